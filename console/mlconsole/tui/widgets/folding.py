"""Long lines of spans over several lines of a page, hung under the text that goes on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlconsole.render.sanitise import cell_width, clean
from mlconsole.render.width import head, middle
from mlconsole.tui.widgets.line import Span

LONGEST = 4096
GAP = re.compile(r" *\S{1,16} {2,}(?=\S)")
"""A text of one span that begins with a label of its own."""
Folded = list[tuple[Span, ...]]


def fold(line: Sequence[Span], width: int, most: int = 0) -> Folded:
    """The line in as many lines as its text takes in ``width`` cells, every text cleaned.

    What goes on stands beside the label, or under the last span that begins left of the middle: columns stay columns.
    With ``most``, the span that is too long for so many lines is cut in its middle: both ends can be told.
    """
    spans = [(clean(text, LONGEST), token) for text, token in line]
    if width <= 0 or sum(cell_width(text) for text, _ in spans) <= width:
        return [tuple(spans)]
    indent = min(_indent(spans, width), max(0, width - 8))
    out = _folded(spans, width, indent)
    room = most * (width - indent)
    while most and len(out) > most and room > 8:
        out = _folded(_cut(spans, room), width, indent)
        room -= width // 8
    return out


def _folded(spans: Sequence[Span], width: int, indent: int) -> Folded:
    out: Folded = [()]
    room = width
    for text, token in spans:
        rest = text
        while rest:
            part = rest if cell_width(rest) <= room else rest[: _break(rest, room, width - indent)]
            if part:
                out[-1] += ((part, token),)
            room -= cell_width(part)
            if rest := rest[len(part) :]:
                rest = rest.lstrip(" ")
                out.append(((" " * indent, "value"),))
                room = width - indent
    return out


def _indent(spans: Sequence[Span], width: int) -> int:
    """The column under which the rest stands."""
    text, token = spans[0]
    if token == "label":
        return cell_width(text)
    if len(spans) == 1 and (gap := GAP.match(text)) is not None:
        return cell_width(gap[0])
    starts, at = [min(len(text) - len(text.lstrip(" ")) + 2, width // 2)], 0
    for text, _ in spans:
        starts.append(at + len(text) - len(text.lstrip(" ")) if text.strip() else 0)
        at += cell_width(text)
    return max(start for start in starts if start <= width * 3 // 5)


def _break(text: str, room: int, whole: int) -> int:
    """How many characters stand on a line with so much room left of ``whole`` cells: to a blank, or all that fit.

    A word that no line can hold is broken where it begins.
    """
    fits = len(head(text, room))
    blank = text.rfind(" ", 0, fits + 1)
    word = text[blank + 1 :].split(" ", 1)[0]
    if cell_width(word) > whole and fits - blank > 8:
        return fits
    if blank > 0:
        return blank
    return max(fits, 1) if room == whole else 0


def _cut(spans: Sequence[Span], room: int) -> list[Span]:
    """The spans in about so many cells: the longest of them loses what is too much."""
    longest = max(range(len(spans)), key=lambda at: cell_width(spans[at][0]))
    others = sum(cell_width(text) for at, (text, _) in enumerate(spans) if at != longest)
    text, token = spans[longest]
    return [*spans[:longest], (middle(text, max(8, room - others)), token), *spans[longest + 1 :]]
