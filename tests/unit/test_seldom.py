"""Who looks every second says what it finds once an hour."""

from __future__ import annotations

from pathlib import Path

from mlconsole.actions.context import Context
from mlconsole.config import Settings


def test_the_same_words_are_said_once_an_hour_and_others_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    moments = iter((0.0, 1.0, 3599.0, 3599.0, 3600.0))
    quiet = Context(Settings(tmp_path, "ann", "gpu-1"), say=said.append).seldom(lambda: next(moments))

    for words in ("a process is left", "a process is left", "a process is left", "two are left", "a process is left"):
        quiet.say(words)

    assert said == ["a process is left", "two are left", "a process is left"]
