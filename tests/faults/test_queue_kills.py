"""SIGKILL to consoles, watchers, supervisors and jobs at random points: the history afterwards has no run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from histories import FULL, history_of
from program import Program

KILLS = 300 if FULL else 9


@pytest.mark.timeout(3600 if FULL else 300)
def test_whatever_is_killed_no_run_starts_twice_ends_wrongly_or_is_lost(cli: Program, tmp_path: Path) -> None:
    victims = ("launch", "look", "start", "stop", "watch", "shim", "child")
    history = history_of(cli, tmp_path, "local", victims, slots=2)
    history.goes_on_until(KILLS, 3 * KILLS)
    assert history.faults() == []
    assert sum(history.kills.values()) >= KILLS
