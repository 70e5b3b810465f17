from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from program import Program, end_processes_of

# How long one example takes is the load of the machine, and no property of what is tried.
settings.register_profile("at any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("at any load")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # Whatever a shell starts in the background inherits this.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory for a catalog; whatever still runs on it is killed afterwards."""
    directory = tmp_path / "home"
    yield directory
    end_processes_of(directory)


@pytest.fixture
def cli(tmp_path: Path, home: Path) -> Program:
    """The ``mlconsole`` program on a catalog of its own, in an empty working directory."""
    work = tmp_path / "work"
    work.mkdir()
    return Program(home, work)
