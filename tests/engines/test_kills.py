"""SIGKILL to consoles, watchers, supervisors and jobs of real engines at random points: no run twice, none lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.looking import reaching
from histories import FULL, history_of
from program import Program

KILLS = 100 if FULL else 6


@pytest.mark.timeout(3600 if FULL else 300)
@pytest.mark.parametrize("backend", ["ssh", "slurm", "ray"])
def test_whatever_is_killed_no_run_starts_twice_ends_wrongly_or_is_lost(
    backend: str, cli: Program, tmp_path: Path
) -> None:
    victims = ("launch", "look", "stop", "watch", "shim", "child")
    history = history_of(reaching(cli), tmp_path, backend, victims)
    history.goes_on_until(KILLS, 3 * KILLS)
    assert history.faults() == []
    assert sum(history.kills.values()) >= KILLS
