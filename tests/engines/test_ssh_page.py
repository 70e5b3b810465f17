"""The README page of the SSH backend: each of its commands as it stands, on real hosts."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from engines.fleet import Fleet
from farkit import far_gpu, put_driver
from program import Program

pytestmark = pytest.mark.engine("ssh")
PAGE = (Path(__file__).parents[2] / "plugins" / "mlconsole_ssh" / "README.md").read_text(encoding="utf-8")
SETTINGS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"```\n(mlconsole .*?)```", PAGE, re.DOTALL)[0].splitlines()]


@pytest.fixture
def lab(engine: Fleet, cli: Program, tmp_path: Path) -> Program:
    """A person whose ssh knows gpu1 and gpu2, with the page's settings and a training."""
    aliases = "".join(f"Host gpu{n}\n  HostKeyAlias h{n}\n  HostName {engine.address(n)}\n" for n in (1, 2))
    (tmp_path / "ssh_config").write_text(aliases + engine.config.read_text())
    more = f'config = "{tmp_path}/ssh_config"\nroot = "{tmp_path}/far"\n'
    (tmp_path / "config.toml").write_text(SETTINGS + more)
    (cli.cwd / "train.py").write_text("import time\nprint('epoch 1', flush=True)\ntime.sleep(600)\n")
    return replace(cli, env={**cli.env, "MLCONSOLE_CONFIG": str(tmp_path / "config.toml")})


def test_each_command_of_the_page_does_what_it_says(engine: Fleet, lab: Program) -> None:
    driver = put_driver(engine.folder / "h1.bin", [far_gpu("gpu1")])
    said: dict[str, str] = {}
    followed = None
    for words in COMMANDS:
        if "-f" in words:
            followed = lab.start(*words)
            assert followed.stdout is not None and followed.stdout.readline() == b"epoch 1\n"
            continue
        done = lab(*words)
        assert done.code == 0, f"{words}: {done.err}"
        said[" ".join(words[:2])] = said.get(" ".join(words[:2]), "") + done.out
    for each in driver.iterdir():
        each.unlink()

    assert followed is not None and followed.communicate(timeout=60)[0] == b"" and followed.returncode == 0
    assert "gpu1" in said["backend check"] and "gpu2" in said["backend check"]
    assert re.search(r"ssh +gpu1 +up .* of 1", said["host list"])
    assert "send 1 file" in said["launch -b"] and "running" in said["launch -b"]
    assert re.search(r"gpu1 +\d+s +0 +NVIDIA H100", said["gpu list"])
    shown = lab.json("run", "show", "hand")
    assert (shown["outcome"], shown["host"]) == ("cancelled", "h2")
