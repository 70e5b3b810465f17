"""Experiments: named groups of runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs, with counts by what became of them."""

    name: str
    runs: int
    running: int
    failed: int
    last_run_at: datetime | None
