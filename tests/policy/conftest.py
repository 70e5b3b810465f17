from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policykit import Clock, Desk


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    """A session on a catalog of its own, whose clocks a test moves."""
    made = Desk(home, Clock())
    yield made
    made.close()
