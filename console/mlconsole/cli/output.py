"""Where a command's words go: data to stdout, talk to stderr, both fit for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from mlconsole.domain.plans import Plan
from mlconsole.domain.results import TextChunk, Updates
from mlconsole.errors import FileMistakes, MlconsoleError, QueryError
from mlconsole.render.sanitise import clean, clean_bytes
from mlconsole.render.states import ASCII_TWINS

if TYPE_CHECKING:
    from mlconsole.cli.logs import LogLines


def survive_any_encoding() -> None:
    """Make both streams show what their encoding lacks as escapes, instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


class Output:
    """One command's output.

    Args:
        json: print documents instead of text.
        color: whether colour sequences are allowed.
    """

    def __init__(self, *, json: bool, color: bool) -> None:
        self.json = json
        self.color = color
        self._talk: list[str] = []

    def line(self, text: str) -> None:
        """One line of data."""
        if not text.isascii() and not sys.stdout.encoding.lower().startswith("utf"):
            text = text.translate(ASCII_TWINS)
        sys.stdout.write(text + "\n")

    def say(self, text: str) -> None:
        """One line of talk. Under ``--json`` it waits for the end: an error is then alone on stderr."""
        self._talk.append(clean(text, 4096) + "\n")
        if not self.json:
            self.told()

    def told(self) -> None:
        """Say what waited."""
        sys.stderr.write("".join(self._talk))
        sys.stderr.flush()
        self._talk.clear()

    def result(self, result: object, now: datetime) -> None:
        """A result, as one document or as lines."""
        if self.json:
            self._document(result, now, indent=2)
        else:
            from mlconsole.render import tables  # 3 ms, for text

            self.line("\n".join(tables.lines(result, now)))
        sys.stdout.flush()

    def _document(self, result: object, now: datetime, indent: int | None) -> None:
        from mlconsole.render import documents  # 2 ms, for JSON

        self.line(documents.dumps(documents.document(result, now), indent=indent))

    def plan_as_talk(self, plan: Plan) -> None:
        """A plan on stderr, for a person who has to decide."""
        if not self.json:
            from mlconsole.render.plan_lines import plan_lines  # 1 ms, for text

            for line in plan_lines(plan):
                sys.stderr.write(line + "\n")

    def stream(self, results: object, clock: Callable[[], datetime]) -> None:
        """Results as they come: text as it is (made safe on a terminal), the rest as one object a line."""
        assert isinstance(results, Iterable)
        log: LogLines | None = None
        for result in results:
            if isinstance(result, TextChunk) and result.kind == "file":
                self._file(result.data)
            elif isinstance(result, TextChunk):
                log = log or self._log_lines()
                log.write(result.data)
            else:
                self._document(result, clock(), indent=None)
            sys.stdout.flush()
        if log is not None:
            log.close()

    def updates(self, updates: Updates, clock: Callable[[], datetime]) -> None:
        """Results that follow each other."""
        for result in updates.items:
            if self.json:
                self._document(result, clock(), indent=None)
                sys.stdout.flush()
            else:
                self.result(result, clock())

    def _file(self, data: bytes) -> None:
        if sys.stdout.isatty():
            sys.stdout.write(clean_bytes(data, limit=len(data) * 4 + 16, lines=data.count(b"\n") + 1))
        else:
            sys.stdout.buffer.write(data)

    def _log_lines(self) -> LogLines:
        from mlconsole.cli import logs

        if self.json:
            return logs.ByLine(sys.stdout, logs.as_object)
        if sys.stdout.isatty():
            return logs.ByLine(sys.stdout, logs.with_colour if self.color else logs.without_colour)
        return logs.AsWritten(sys.stdout.buffer)

    def error(self, error: MlconsoleError) -> None:
        """An error: one line and its way out, or one document."""
        if self.json:
            from mlconsole.render import documents  # 2 ms, for JSON

            sys.stderr.write(documents.dumps(documents.error_document(error)) + "\n")
            return
        if isinstance(error, QueryError) and error.text:
            sys.stderr.write("\n".join(clean(line, 5000) for line in error.pointer().splitlines()) + "\n")
        if isinstance(error, FileMistakes):
            sys.stderr.write("".join(clean(line, 1000) + "\n" for line in error.mistakes))
            sys.stderr.write(f"mlconsole: {clean(error.summary, 1000)}\n")
            return
        sys.stderr.write(f"mlconsole: {clean(str(error), 4096)}\n")
