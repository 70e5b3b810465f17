"""Keys that come faster than they are worked off act in their order, each on what the one before has left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from consolekit import fixed_catalog

from ptyterm import PtyTerm


@pytest.fixture
def term(tmp_path: Path) -> Iterator[PtyTerm]:
    fixed_catalog(tmp_path / "lab")
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(tmp_path / "lab")]
    with PtyTerm(argv, 100, 30, {"MLCONSOLE_CONFIG": "/nonexistent"}) as term:
        term.wait_for("rw")
        term.wait_for("40 runs")
        yield term


def test_a_line_in_one_packet_goes_where_it_says(term: PtyTerm) -> None:
    term.send(":audit\r")
    term.wait_for("Audit")
    term.wait_for("failed: it had ended")
    term.send("-:experiments\r")
    term.wait_for("LAST RUN")


def test_a_filter_in_one_packet_acts_on_no_run(term: PtyTerm) -> None:
    term.send("/Dsl\r")
    term.wait_for("0 runs")
    term.send("\x1b")
    term.wait_for("40 runs")


def test_a_form_takes_what_was_typed_before_it_was_there(term: PtyTerm) -> None:
    term.send("lecho hello\x13")
    term.wait_for("Enter does it")
    term.wait_for("start echo hello")


def test_moves_in_one_packet_are_all_made(term: PtyTerm) -> None:
    lines = term.text.splitlines()
    term.send("j" * 7 + "k" * 2)
    term.wait_until(lambda: term.text.splitlines()[3 + 5].startswith("▌"), "the cursor on the sixth row")
    assert len(lines) == 30
