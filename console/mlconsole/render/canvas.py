"""A drawing as lines of spans: text and the theme token of its look, no colours and no screen library."""

from __future__ import annotations

from itertools import groupby

from mlconsole.records import record


@record
class Span:
    """A piece of a line."""

    text: str
    token: str = ""


class Grid:
    """Cells to draw on, one character and one token each."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.chars = [[" "] * width for _ in range(height)]
        self.tokens = [[""] * width for _ in range(height)]

    def put(self, x: int, y: int, char: str, token: str) -> None:
        """Draw one character; outside the grid nothing happens."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self.chars[y][x] = char
            self.tokens[y][x] = token

    def write(self, x: int, y: int, text: str, token: str) -> None:
        """Draw text of single-cell characters; what would stand outside is left out."""
        for offset, char in enumerate(text):
            self.put(x + offset, y, char, token)

    def is_blank(self, x: int, y: int) -> bool:
        """True where nothing is drawn."""
        return self.chars[y][x] == " "

    def lines(self) -> list[list[Span]]:
        """The rows, neighbours of one token joined."""
        return [_joined(chars, tokens) for chars, tokens in zip(self.chars, self.tokens, strict=True)]


def _joined(chars: list[str], tokens: list[str]) -> list[Span]:
    spans = []
    start = 0
    for token, run in groupby(tokens):
        stop = start + sum(1 for _ in run)
        spans.append(Span("".join(chars[start:stop]), token))
        start = stop
    return spans
