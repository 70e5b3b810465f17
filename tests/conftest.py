from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from program import Program, end_processes_of


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
