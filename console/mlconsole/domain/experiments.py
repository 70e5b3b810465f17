"""Experiments: named groups of runs."""

from __future__ import annotations

from datetime import datetime

from mlconsole.records import record


@record
class Experiment:
    """A named group of runs, with counts by what became of them."""

    name: str
    runs: int
    running: int
    failed: int
    last_run_at: datetime | None
