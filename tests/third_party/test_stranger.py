"""A backend that somebody else wrote and packaged is found, and held to the same contract, with no change of ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROMISES = HERE.parent / "contract" / "test_promises.py"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the stranger's package is installed into."""
    pytest.importorskip("hatchling", reason="the stranger's package cannot be built without hatchling")
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    install += ["--no-deps", "--no-build-isolation", "--target", str(site), str(HERE / "stranger")]
    subprocess.run(install, check=True, capture_output=True)
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *(each for each in sys.path if each)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_an_installed_package_adds_its_backend(installed: Path) -> None:
    code = (
        "from mlconsole import backends; print('stranger' in backends.names(), backends.one('stranger').probe().detail)"
    )
    assert run(installed, "-c", code).stdout == "True in memory\n"


def test_a_signal_that_a_backend_would_never_send_is_refused(installed: Path, tmp_path: Path) -> None:
    words = ("--time-limit", "9m", "--warn", "USR1=1m", "--", "true")
    done = run(installed, "-m", "mlconsole", "--catalog", str(tmp_path / "home"), "launch", "-b", "stranger", *words)
    assert (done.returncode, done.stderr.partition(".")[0]) == (
        2,
        'mlconsole: Backend "stranger" sends no signal before a time limit',
    )


@pytest.mark.timeout(400)  # A test run of its own: on a machine that is busy it takes many times its few seconds.
def test_the_contract_is_run_over_a_strangers_backend_unasked(installed: Path) -> None:
    found = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "stranger", str(PROMISES))
    assert found.returncode == 0, found.stdout
    passed = re.search(r"(\d+) passed", found.stdout)
    assert passed is not None and int(passed[1]) > 25
