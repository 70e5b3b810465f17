"""Hosts behind a fake ``ssh``: folders of this machine, with real agents, real jobs, and a fake ``nvidia-smi``."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from program import Program

FAKES = Path(__file__).parent / "fakes" / "far"


def far_gpu(host: str, index: int = 0, **more: str) -> dict[str, str]:
    """A GPU as nvidia-smi tells of it."""
    return {
        "index": str(index),
        "uuid": f"GPU-{host}-{index}",
        "name": "NVIDIA H100 80GB HBM3",
        "driver_version": "550.54.15",
        "utilization.gpu": "93",
        "memory.used": "40000",
        "memory.total": "81559",
        "power.draw": "301.50",
        "enforced.power.limit": "700.00",
        "temperature.gpu": "55",
        "clocks.sm": "1980",
        "clocks.mem": "2619",
        "ecc.errors.corrected.volatile.total": "0",
        "ecc.errors.uncorrected.volatile.total": "0",
    } | more


def put_driver(folder: Path, gpus: Sequence[Mapping[str, str]] = (), **state: Any) -> Path:
    """A folder for a PATH with a fake nvidia-smi that tells of these GPUs."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "draft"
    draft.write_text(json.dumps({"gpus": list(gpus), **state}))
    draft.rename(folder / "nvidia-smi.json")
    if not (folder / "nvidia-smi").exists():
        shutil.copy(FAKES / "nvidia-smi", folder)
    return folder


def calls(folder: Path) -> list[str]:
    """What a fake nvidia-smi was called with."""
    path = folder / "nvidia-smi.calls"
    return path.read_text().splitlines() if path.exists() else []


class FarHosts:
    """Hosts of these names below a folder."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.names = folder, names
        for name in names:
            (folder / name / "bin").mkdir(parents=True)

    def driver(self, name: str, *gpus: Mapping[str, str], **state: Any) -> Path:
        """Give a host a driver that tells of these GPUs."""
        return put_driver(self.folder / name / "bin", gpus, **state)

    def down(self, name: str) -> None:
        """From now on the host does not answer."""
        (self.folder / name / "down").touch()

    def up(self, name: str) -> None:
        (self.folder / name / "down").unlink()

    @property
    def env(self) -> dict[str, str]:
        """The variables of a program that knows these hosts."""
        config = self.folder / "config.toml"
        config.write_text(f'[backends.ssh]\nhosts = {json.dumps(self.names)}\ndefault = "{self.names[0]}"\n')
        path = f"{FAKES}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "FAKE_HOSTS": str(self.folder), "MLCONSOLE_CONFIG": str(config)}

    def known_to(self, program: Program) -> Program:
        """The program with these hosts in its settings."""
        return replace(program, env={**program.env, **self.env})
