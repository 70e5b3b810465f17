"""The log view at a real terminal: what it sends, and that it keeps up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ptyterm import PtyTerm

APP = str(Path(__file__).resolve().parent / "log_app.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


def opened(path: Path) -> PtyTerm:
    return PtyTerm([sys.executable, APP, str(path)], 100, 30)


def test_fifty_thousand_lines_in_small_pieces_are_all_counted_and_the_last_is_shown(path: Path) -> None:
    path.touch()
    with opened(path) as term:
        term.wait_for("Nothing printed yet.")
        data = b"".join(b"step %d loss 0.25\n" % number for number in range(1, 50_001))
        with open(path, "ab", buffering=0) as file:
            for at in range(0, len(data), 7001):
                file.write(data[at : at + 7001])
                term.pump()
        term.wait_for("of 50,000 lines")
        assert "49999 step 49999 loss 0.25" in term.text
        assert "50000 step 50000 loss 0.25" in term.text


def test_a_quiet_log_sends_nothing(path: Path) -> None:
    path.write_bytes(b"line\n" * 1000)
    with opened(path) as term:
        term.wait_for("of 1,000 lines")
        term.settle(0.5)
        with term.measured() as cost:
            term.settle(1.0)
        assert cost.bytes == 0


def test_scrolling_by_a_line_sends_little_more_than_that_line(path: Path) -> None:
    path.write_bytes(
        b"".join(b"2026-08-01 12:00:00 INFO step %d loss 0.25 lr 3e-4\n" % number for number in range(1000))
    )
    with opened(path) as term:
        term.wait_for("of 1,000 lines")
        term.send("k")
        term.wait_for("paused")
        term.settle(0.3)
        with term.measured() as cost:
            term.send("k")
            term.wait_for("970-998")
            term.settle(0.2)
        assert cost.bytes <= 300


def test_a_hostile_log_reaches_the_terminal_without_its_sequences(path: Path) -> None:
    hostile = (
        b"\x1b]0;owned\x07",
        b"\x1b[2J",
        b"\x9b31m",
        b"\x1bPdcs\x1b\\",
        b"\x1b[6n",
        b"\x1b[?1049l",
        b"\x07",
        b"\x08",
    )
    with opened(path) as term:
        term.wait_for("Nothing printed yet.")
        start = len(term.raw)
        path.write_bytes(b" text ".join(hostile) + b"\nthe end\n")
        term.wait_for("the end")
        term.settle()
        painted = bytes(term.raw[start:])
    assert [sequence for sequence in hostile if sequence in painted] == []
