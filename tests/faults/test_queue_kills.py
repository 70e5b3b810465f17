"""SIGKILL to consoles, watchers, supervisors and jobs at random points: the history afterwards has no run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from histories import FULL, history_of
from program import Program, wait_until

KILLS = 300 if FULL else 9


@pytest.mark.timeout(3600 if FULL else 300)
def test_whatever_is_killed_no_run_starts_twice_ends_wrongly_or_is_lost(cli: Program, tmp_path: Path) -> None:
    victims = ("launch", "look", "start", "stop", "watch", "shim", "child")
    history = history_of(cli, tmp_path, "local", victims, slots=2)
    history.goes_on_until(KILLS, 3 * KILLS)
    assert history.faults() == []
    assert sum(history.kills.values()) >= KILLS


def test_the_history_tells_of_what_must_not_be(cli: Program, tmp_path: Path) -> None:
    history = history_of(cli, tmp_path, "local", (), slots=2)
    for _ in range(2):
        history.launch()
    for name in list(history.closed):
        history.open(name)
    wait_until(history.is_over, "both runs to end")
    assert history.faults() == []

    with (history.folder / "r000" / "starts").open("a") as starts:
        starts.write("x\n")
    (history.folder / "r001" / "ends").unlink()
    (history.folder / "r002").mkdir()
    (history.folder / "r002" / "starts").write_text("x\n")
    assert sorted(history.faults()) == [
        "r000 was started 2 times and ended 1 times",
        "r001 did not come to its end (nothing was killed) and is said to be succeeded: exit code 0",
        "r002 ran and is not listed",
    ]
