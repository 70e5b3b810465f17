"""The table at a real terminal: what it shows is right, and what it sends is little."""

from __future__ import annotations

import re
import signal
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ptyterm import PtyTerm

APP = str(Path(__file__).resolve().parent.parent / "benchmarks" / "table_app.py")
COLOUR = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


def opened(rows: int, columns: int = 160, lines: int = 48, env: dict[str, str] | None = None) -> PtyTerm:
    term = PtyTerm([sys.executable, APP, str(rows)], columns, lines, env)
    term.wait_for("-v10-")
    term.settle(0.3)
    return term


@pytest.fixture(params=[1_000, 1_000_000], ids=["1k", "1M"])
def term(request: pytest.FixtureRequest) -> Iterator[PtyTerm]:
    with opened(request.param) as term:
        yield term


def test_first_screen_and_every_move_stay_within_their_bytes(term: PtyTerm) -> None:
    assert len(term.raw) <= 10_000
    for key, most in (("j", 300), ("k", 300), ("space", 300), ("pagedown", 6_500), ("pageup", 6_500)):
        with term.measured() as cost:
            term.send(key)
            term.settle()
        assert 0 < cost.bytes <= most, f"{key} sent {cost.bytes} bytes"


def test_a_step_past_the_edge_lets_the_terminal_scroll(term: PtyTerm) -> None:
    for _ in range(46):
        term.send("j")
        term.settle(0.02)
    term.wait_for("-v46-")
    with term.measured() as cost:
        term.send("j")
        term.wait_for("-v47-")
        term.settle()
    assert cost.bytes <= 600
    numbers = [int(number) for number in re.findall(r"-v(\d+)-", term.text)]
    assert numbers == list(range(1, 48))


def test_a_table_that_nobody_touches_sends_nothing(term: PtyTerm) -> None:
    with term.measured() as cost:
        term.send("r", "r")
        term.settle(0.5)
    assert cost.bytes == 0


def test_a_key_costs_little_cpu(term: PtyTerm) -> None:
    costs = []
    for _ in range(15):
        with term.measured() as cost:
            term.send("j")
            term.settle(0.05)
        costs.append(cost.cpu_s)
    assert statistics.median(costs) < 0.006


def test_a_resize_storm_ends_in_a_right_picture() -> None:
    with opened(1_000, 100, 30) as term:
        for columns in (80, 140, 60, 120):
            term.resize(columns, 24 + columns // 20)

        def rows() -> list[str]:
            return [line for line in term.text.splitlines() if "-v" in line]

        term.wait_until(lambda: len(rows()) == 29 and rows()[-1].startswith("  vision-v28-"), "29 rows")


def test_a_suspended_table_is_drawn_again_when_it_is_continued() -> None:
    with opened(1_000, 100, 30) as term:
        before = term.text
        term.signal(signal.SIGTSTP)
        term.settle(0.3)
        term.screen.reset()
        term.signal(signal.SIGCONT)
        term.wait_until(lambda: term.text == before, "the same picture")


def test_a_scribble_on_the_screen_is_redrawn_on_demand() -> None:
    with opened(1_000, 100, 30) as term:
        before = term.text
        term.screen.cursor_position(5, 1)
        term.screen.draw("Broadcast message from root")
        term.send("ctrl+l")
        term.wait_until(lambda: term.text == before, "the same picture")


def test_without_colour_no_colour_sequence_is_sent() -> None:
    with opened(1_000, env={"NO_COLOR": "1"}) as term:
        term.send("j", "pagedown")
        term.settle()
        assert not COLOUR.search(bytes(term.raw))
    with opened(1_000) as term:
        assert COLOUR.search(bytes(term.raw))


def test_the_terminal_is_given_back_as_it_was() -> None:
    with opened(1_000, 100, 30) as term:
        term.send("q")
        assert term.wait_exit() == 0
        assert b"\x1b[?1049l" in term.raw
        assert b"\x1b[?25h" in term.raw
