from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlconsole.catalog import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog."""
    opened = Catalog(tmp_path / "home")
    yield opened
    opened.close()
