"""A program's output on its way to a pipe, a terminal or a script; chunks may be cut anywhere, in a character too."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Protocol, TextIO

from mlconsole.render import documents
from mlconsole.render.ansi import PLAIN, Sgr, plain, sgr_only

LONGEST_LINE = 1 << 16


class LogLines(Protocol):
    """Takes chunks of a log."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def close(self) -> None:
        """Show what is left of a line that never ended."""
        ...


class AsWritten:
    """Byte for byte, for pipes and files."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> None:
        """Pass the bytes on."""
        self._out.write(data)

    def close(self) -> None:
        """Nothing was held back."""


class ByLine:
    """Cuts a log into its lines and writes each one as ``shown`` gives it; one beyond all reason is cut into pieces."""

    def __init__(self, out: TextIO, shown: Callable[[bytes], str]) -> None:
        self._out = out
        self._shown = shown
        self._held = b""

    def write(self, data: bytes) -> None:
        """Write the lines that have ended."""
        *lines, self._held = (self._held + data).split(b"\n")
        while len(self._held) > LONGEST_LINE:
            lines.append(self._held[:LONGEST_LINE])
            self._held = self._held[LONGEST_LINE:]
        for line in lines:
            self._out.write(self._shown(line) + "\n")

    def close(self) -> None:
        """Write the line that never ended."""
        if self._held:
            self._out.write(self._shown(self._held) + "\n")
            self._held = b""


def as_object(line: bytes) -> str:
    """``{"kind": "log", "text": ...}``; bytes that are not UTF-8 as lone surrogates, so that none is lost."""
    return documents.dumps({"kind": "log", "text": line.decode("utf-8", "surrogateescape")}, indent=None)


def without_colour(line: bytes) -> str:
    """The line cleaned, its progress bar folded to the last state."""
    return plain(line.decode("utf-8", "backslashreplace"), LONGEST_LINE)


def with_colour(line: bytes) -> str:
    """The line cleaned, with the program's own colours and nothing else of its escape sequences."""
    spans = sgr_only(line.decode("utf-8", "backslashreplace"), LONGEST_LINE)
    return "".join(text if style == PLAIN else f"\x1b[{codes(style)}m{text}\x1b[0m" for text, style in spans)


def codes(style: Sgr) -> str:
    """The parameters of the SGR sequence that gives this style."""
    flags = (style.bold, style.dim, style.italic, style.underline, style.reverse)
    parts = [number for number, on in zip(("1", "2", "3", "4", "7"), flags, strict=True) if on]
    for layer, colour in (("38", style.fg), ("48", style.bg)):
        if colour.startswith("#"):
            red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
            parts.append(f"{layer};2;{red};{green};{blue}")
        elif colour:
            parts.append(f"{layer};5;{colour}")
    return ";".join(parts)
