"""A host that does not answer is not asked again for a while, by no process; then it is."""

from __future__ import annotations

import json
import time
from pathlib import Path

from mlconsole_ssh.patience import LONGEST_PAUSE_S, Patience


def test_another_process_need_not_wait_for_a_host_that_has_just_not_answered(tmp_path: Path) -> None:
    Patience(tmp_path, "h1").failed("No route to host")
    assert Patience(tmp_path, "h1").why_not_now() == "No route to host"
    assert Patience(tmp_path, "h2").why_not_now() == ""


def test_an_answer_ends_it_for_all(tmp_path: Path) -> None:
    mine = Patience(tmp_path, "h1")
    mine.failed("No route to host")
    mine.answered()
    assert Patience(tmp_path, "h1").why_not_now() == ""
    assert list(tmp_path.iterdir()) == []


def test_each_failure_doubles_the_pause_up_to_half_a_minute(tmp_path: Path) -> None:
    for _ in range(9):
        Patience(tmp_path, "h1").failed("No route to host")
    (path,) = tmp_path.iterdir()
    again_at, pause_s, _ = json.loads(path.read_text())
    assert pause_s == LONGEST_PAUSE_S
    assert LONGEST_PAUSE_S / 2 < again_at - time.monotonic() <= LONGEST_PAUSE_S


def test_what_is_of_another_boot_or_damaged_says_nothing(tmp_path: Path) -> None:
    Patience(tmp_path, "h1").failed("No route to host")
    (path,) = tmp_path.iterdir()
    for text in (json.dumps([time.monotonic() + 10_000, 1.0, "x"]), "[1", "{}", '["a", "b", "c"]'):
        path.write_text(text)
        assert Patience(tmp_path, "h1").why_not_now() == ""
