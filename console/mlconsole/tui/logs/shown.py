"""A line of a log as it is shown: cleaned, folded, with the colours of its program, and cut into rows to wrap it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlconsole.render.ansi import Sgr, sgr_only
from mlconsole.render.width import head
from mlconsole.tui.logs.lines import KEPT_BYTES, Line

LONGEST = KEPT_BYTES // 4  # Characters; so many are always whole, whatever was cut off behind them.


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One line; the same as another only if it is the very same object.

    Attributes:
        line: where it stands in the file.
        spans: cleaned text and its look.
        text: the text alone.
    """

    line: Line
    spans: tuple[tuple[str, Sgr], ...]
    text: str = field(default="")

    def rows(self, width: int) -> list[tuple[int, int]]:
        """Where its rows start and end when it is wrapped at ``width`` cells; one row when that is 0."""
        if width <= 0 or not self.text:
            return [(0, len(self.text))]
        return list(_rows(self.text, width))


def show(line: Line, data: bytes) -> Shown:
    """A line of bytes made fit for the screen.

    Args:
        line: where it stands.
        data: what :func:`~mlconsole.tui.logs.lines.raw` gives of it.
    """
    spans = tuple(sgr_only(data.decode("utf-8", "surrogateescape"), LONGEST))
    return Shown(line, spans, "".join(part for part, _ in spans))


def _rows(text: str, width: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        stop = start + (width if text.isascii() else max(1, len(head(text[start : start + 2 * width], width))))
        yield start, min(stop, len(text))
        start = stop
