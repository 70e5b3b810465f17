"""What tests of logs share: a log that is written bit by bit, and a pager that is worked until it is done."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

from mlconsole.tui.logs.file import LogFile
from mlconsole.tui.logs.frame import Frame
from mlconsole.tui.logs.index import LineIndex
from mlconsole.tui.logs.pager import Pager

Found = TypeVar("Found")


def append(path: Path, data: bytes) -> None:
    """Write more to a log, as its program would."""
    with open(path, "ab") as file:
        file.write(data)


def finished(steps: Generator[None, None, Found]) -> Found:
    """The result of work that gives way."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def counted(path: Path, block: int) -> tuple[LogFile, LineIndex]:
    """A file that was looked at, and its lines counted."""
    file = LogFile(path)
    file.look()
    index = LineIndex(file, block)
    while index.step():
        pass
    return file, index


class Desk:
    """A pager without a thread: every command is carried out whole."""

    def __init__(self, path: Path, rows: int = 10, columns: int = 80, block: int = 64) -> None:
        self.pager = Pager(path, clock=lambda: 0.0, block=block)
        self.do("resize", columns, rows)
        self.look()

    def do(self, command: str, *arguments: object) -> None:
        getattr(self.pager, command)(*arguments)
        self.settle()

    def look(self) -> Frame:
        self.pager.look()
        return self.frame

    @property
    def frame(self) -> Frame:
        self.settle()
        frame = self.pager.frame()
        self.settle()
        return self.pager.frame() if self.pager.is_busy else frame

    def settle(self) -> None:
        while self.pager.work(0.0):
            pass

    @property
    def texts(self) -> list[str]:
        return [row.shown.text[row.start : row.stop] for row in self.frame.rows]

    @property
    def numbers(self) -> list[int | None]:
        return [row.number for row in self.frame.rows]

    @property
    def current(self) -> str:
        return next((row.shown.text for row in self.frame.rows if row.is_current), "")


def lines(data: bytes) -> list[bytes]:
    """The lines of some bytes, without their newlines; the unfinished last one counts."""
    parts = data.split(b"\n")
    return parts if parts[-1] else parts[:-1]
