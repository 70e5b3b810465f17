from __future__ import annotations

from pathlib import Path

import pytest
from recorded import Trainer

from mlconsole.recorder.bundle import write_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recorder by itself, as the launcher lays it out."""
    return write_bundle(str(tmp_path_factory.mktemp("bundle")))


@pytest.fixture
def trainer(home: Path, tmp_path: Path, bundle: str) -> Trainer:
    """Runs training scripts in an empty working directory."""
    work = tmp_path / "training"
    work.mkdir()
    return Trainer(home, work, bundle)
