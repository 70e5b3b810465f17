"""GPUs of SSH hosts on the screens: with their host and age, kept and marked while the host does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from farkit import FarHosts, far_gpu
from mlconsole import backends
from mlconsole.actions.context import Context
from mlconsole.config import load
from mlconsole.plugin_api import Backend
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location
from mlconsole_ssh import SshBackend
from mlconsole_ssh.hosts import SshSettings
from tui.robot import Robot


def line_of(user: Robot, name: str) -> str:
    return next((line for line in user.lines if name in line), "")


async def test_a_host_that_goes_away_keeps_its_gpus_with_a_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = FarHosts(tmp_path / "hosts", "h1", "h2", "h3")
    far.driver("h1", far_gpu("h1"))
    far.driver("h2", far_gpu("h2", **{"utilization.gpu": "41"}))
    far.down("h3")
    for name, value in {**far.env, "HOME": str(tmp_path), "MLCONSOLE_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    ssh = SshBackend(SshSettings(hosts=("h1", "h2", "h3")))

    def one(name: str) -> Backend:
        return ssh if name == "ssh" else backends.one(name)

    async with Console(Context(load(), backend=one), Location("gpus")).run_test(size=(140, 24)) as pilot:
        user = Robot(pilot)
        await user.sees("h1:0", "h2:0", "93%", "41%", "AGE", "h3", "cannot be reached")

        far.down("h2")
        ssh._link("h2").close()
        await user.waits(lambda: "? " in line_of(user, "h2:0"), "the mark of h2's GPU")
        assert "41%" in line_of(user, "h2:0") and "cannot be reached" in line_of(user, "h2:0")
        assert "h2" in user.lines[1] and "unreachable" in user.lines[1]
        assert "? " not in line_of(user, "h1:0")

        await user.presses("enter")
        await user.sees("GPU-h1-0 on h1", "ago on h1")
    ssh._link("h1").close()
