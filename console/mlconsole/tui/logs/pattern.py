"""What is searched for in a log: text in smart case, or the marks of an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mlconsole.tui.logs.anycase import places
from mlconsole.tui.logs.memory import holds

_SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")
_FOLDS_MOST = 64
_MANY = 32
_FROM_COMMON_TO_RARE = b" 0123456789.:-=,/_etaoinsrlhdcumfpgwybvkxjqz"


@dataclass(frozen=True)
class Pattern:
    """What a line must hold.

    Attributes:
        label: how it is called on the screen.
        needles: texts of which a line must hold one; in lower case when ``is_exact`` is false.
        is_exact: upper and lower case differ.
        confirm: what the line must also match, in the form it is looked through in.
        shown: what to highlight in the line on the screen.
    """

    label: str
    needles: tuple[bytes, ...]
    is_exact: bool
    confirm: re.Pattern[bytes] | None
    shown: re.Pattern[str]

    def starts(self, data: bytearray, first: int = 0, last: int | None = None) -> list[int]:
        """Where the matching lines start.

        Args:
            data: holds whole lines; the newline of the last may be missing.
            first: where they start.
            last: where they end; None is the end of ``data``.
        """
        last = len(data) if last is None else last
        if _is_bare(data, first, last) and (self.is_exact or self._is_ascii):
            likely = [n for n, rare in self._rare if any(data.find(byte, first, last) >= 0 for byte in rare)]
            return self._starts_bare(data, first, last, likely) if likely else []
        lines = bytes(data[first:last])
        plain = bytearray(self._in_case(_bare(lines)))
        found = self._found(plain, 0, len(plain), self.needles)
        return [first + start for start in _same_lines(plain, lines, found)]

    def _starts_bare(self, data: bytearray, first: int, last: int, likely: Sequence[bytes]) -> list[int]:
        if self.is_exact:
            return list(self._found(data, first, last, likely))
        if len(likely) == 1 and self.confirm is None:
            found = places(data, likely[0], _rarest(likely[0]), first, last)
            if found is not None:
                return sorted({max(first, data.rfind(b"\n", first, at) + 1) for at in found})
        return list(self._found(data.lower(), first, last, likely))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """What to highlight in a line on the screen."""
        return [match.span() for match in self.shown.finditer(text) if match.end() > match.start()]

    def _in_case(self, lines: bytes) -> bytes:
        if self.is_exact:
            return lines
        if self._is_ascii:
            return lines.lower()
        return lines.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")

    @cached_property
    def _is_ascii(self) -> bool:
        return all(needle.isascii() for needle in self.needles)

    @cached_property
    def _rare(self) -> tuple[tuple[bytes, frozenset[bytes]], ...]:
        """Each needle and the byte of it that is rarest in logs, in the cases it may have: the quickest to miss."""
        rarest = [_rarest(needle) for needle in self.needles]
        cases = [frozenset((byte,) if self.is_exact else (byte, byte.upper())) for byte in rarest]
        return tuple(zip(self.needles, cases, strict=True))

    def _found(self, plain: bytearray, first: int, last: int, needles: Sequence[bytes]) -> Iterator[int]:
        nexts = [plain.find(needle, first, last) if holds(plain, needle, first, last) else -1 for needle in needles]
        count = 0
        while hits := [at for at in nexts if at >= 0]:
            start = max(first, plain.rfind(b"\n", first, min(hits)) + 1)
            count += 1
            if count > _MANY and len(needles) == 1 and self.confirm is None:
                yield from _found_in_most(plain, needles[0], start, last)
                return
            stop = plain.find(b"\n", min(hits), last)
            stop = last if stop < 0 else stop
            if self.confirm is None or self.confirm.search(plain, start, stop):
                yield start
            nexts = [
                plain.find(needle, stop, last) if 0 <= at < stop else at
                for needle, at in zip(needles, nexts, strict=True)
            ]


def _found_in_most(plain: bytearray, needle: bytes, first: int, last: int) -> Iterator[int]:
    """The same for a needle that many lines hold: a sixth of the time where it is all of them."""
    start = first
    for line in plain[first:last].split(b"\n"):
        if needle in line:
            yield start
        start += len(line) + 1


def typed(text: str) -> Pattern:
    """A text as it was typed: a capital letter in it makes upper and lower case differ."""
    is_exact = text != text.lower()
    shown = re.compile(re.escape(text), 0 if is_exact else re.IGNORECASE)
    return Pattern(f'"{text}"', (text.encode("utf-8", "surrogateescape"),), is_exact, None, shown)


_ERROR = (
    r"Traceback \(most recent call last\)|\b\w*(?:Error|Exception|ERROR|FATAL|CRITICAL|FAILED)\b|out of memory"
    r"|Segmentation fault|core dumped|\bKilled\b|\bpanic:|(?<![-\w])error:|loss[\"']?\W{0,3}(?:nan|NaN|inf)\b"
)
ERRORS = Pattern(
    "errors",
    (
        b"Traceback (most", b"Error", b"Exception", b"ERROR", b"FATAL", b"CRITICAL", b"FAILED", b"out of memory",
        b"Segmentation fault", b"core dumped", b"Killed", b"panic:", b"error:", b"nan", b"NaN", b"inf",
    ),
    True,
    re.compile(_ERROR.encode()),
    re.compile(_ERROR),
)  # fmt: skip
"""Lines that tell of a failure, as Python, CUDA, C++ and shells write them, and losses that are no numbers."""


def _rarest(needle: bytes) -> bytes:
    return bytes([max(needle, key=_rarity)])


def _rarity(byte: int) -> int:
    return _FROM_COMMON_TO_RARE.find(byte) % 256


def _is_bare(data: bytearray, first: int, last: int) -> bool:
    """True of lines without escape sequences, none of them written over itself."""
    if data.find(b"\x1b", first, last) >= 0:
        return False
    return data.find(b"\r", first, last) < 0 or data.count(b"\r", first, last) == data.count(b"\r\n", first, last)


def _bare(lines: bytes) -> bytes:
    """Lines without escape sequences and folded, as many as before."""
    if b"\x1b" in lines:
        lines = _SEQUENCE.sub(b"", lines)
    return b"\n".join(map(_folded, lines.split(b"\n"))) if b"\r" in lines else lines


def _folded(line: bytes) -> bytes:
    """The last state of a line that was written over itself, as :func:`mlconsole.render.ansi.folded` shows it."""
    if b"\r" not in line:
        return line
    parts = line.rstrip(b"\r").rsplit(b"\r", _FOLDS_MOST)
    return next((part for part in reversed(parts) if part.strip()), b"")


def _same_lines(plain: bytearray, lines: bytes, found: Iterable[int]) -> Iterator[int]:
    """The starts in ``lines`` of the lines that start at ``found`` in ``plain``, where they have other lengths."""
    at = start = 0
    for one in found:
        for _ in range(plain.count(b"\n", at, one)):
            start = lines.index(b"\n", start) + 1
        at = one
        yield start
