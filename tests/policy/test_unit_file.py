"""``watch --install-user-service``: a unit that systemd takes, and whose end ends no run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlconsole.policy.unit_file import unit_text
from program import Program


def test_the_unit_is_written_where_the_user_has_units(cli: Program) -> None:
    assert "write a systemd user unit" in cli("watch", "--install-user-service", "--dry-run").out

    done = cli.json("watch", "--install-user-service")

    path = Path(done["path"])
    assert path == cli.cwd / ".config" / "systemd" / "user" / "mlconsole-watch.service"
    assert "KillMode=process" in path.read_text() and str(cli.home) in path.read_text()
    assert done["begin"].endswith("enable --now mlconsole-watch")


@pytest.mark.parametrize("home", ["/srv/lab", "/srv/a b", '/srv/a"b%h$HOME\\x', "/srv/a;b'c"])
def test_systemd_takes_the_unit_whatever_the_catalog_is_called(tmp_path: Path, home: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "mlconsole-watch.service"
    unit.write_text(unit_text(Path(home)))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)], capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip

    assert "mlconsole-watch.service" not in done.stderr, done.stderr
