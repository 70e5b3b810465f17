"""Colours of a program's log lines, kept safely: SGR becomes styled spans, every other sequence is dropped.

Sequences as in ECMA-48 (5th edition), sections 5.4 and 8.3.117, with the palette and direct colours of ITU-T
T.416, section 13.1.8.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mlconsole.records import record, replace
from mlconsole.render.sanitise import clean

LINE_LIMIT = 4096
_TAB_STOP = 8
# CSI, then the strings (OSC, DCS, SOS, PM, APC) up to their terminator, then the short escapes.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)([0-?]*)([ -/]*)([@-~])"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\x18\x1a]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]"
)


@record
class Sgr:
    """How text looks. A colour is empty (the default), ``0`` to ``255`` of the palette, or ``#rrggbb``."""

    fg: str = ""
    bg: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False


PLAIN = Sgr()
Spans = list[tuple[str, Sgr]]

_SWITCHES: dict[int, Callable[[Sgr], Sgr]] = {
    0: lambda style: PLAIN,
    1: lambda style: replace(style, bold=True),
    2: lambda style: replace(style, dim=True),
    3: lambda style: replace(style, italic=True),
    4: lambda style: replace(style, underline=True),
    7: lambda style: replace(style, reverse=True),
    21: lambda style: replace(style, underline=True),
    22: lambda style: replace(style, bold=False, dim=False),
    23: lambda style: replace(style, italic=False),
    24: lambda style: replace(style, underline=False),
    27: lambda style: replace(style, reverse=False),
    39: lambda style: replace(style, fg=""),
    49: lambda style: replace(style, bg=""),
}


def sgr_only(text: str, limit: int = LINE_LIMIT) -> Spans:
    """One line of a program's output as styled spans.

    Progress bars written with carriage returns are folded to their last state; tabs become blanks; text is
    cleaned, so that an escape sequence which never ends shows instead of swallowing what follows.

    Args:
        text: one line, with or without its newline.
        limit: the most characters kept of it.
    """
    line = folded(text)
    is_cut = len(line) > 4 * limit
    spans: Spans = []
    style, column, start = PLAIN, 0, 0
    line = line[: 4 * limit]
    for match in _SEQUENCE.finditer(line):
        column += _add(spans, line[start : match.start()], style, column, limit)
        start = match.end()
        if match[3] == "m" and not match[2]:
            style = _restyled(style, match[1])
        if column >= limit:
            return spans
    _add(spans, line[start:] + ("…" if is_cut else ""), style, column, limit)
    return spans


def plain(text: str, limit: int = LINE_LIMIT) -> str:
    """One line of a program's output as cleaned text without any style."""
    return "".join(part for part, _ in sgr_only(text, limit))


def folded(text: str) -> str:
    """The last state of a line that was written over itself with carriage returns."""
    line = text.rstrip("\r\n")
    if "\r" not in line:
        return line
    for part in reversed(line.rsplit("\r", 64)):
        if _SEQUENCE.sub("", part).strip():
            return part
    return ""


def _add(spans: Spans, text: str, style: Sgr, column: int, limit: int) -> int:
    """Add cleaned text that starts at ``column``; returns its length, 0 when nothing was added."""
    if not text or column >= limit:
        return 0
    if "\t" in text:
        text = (" " * (column % _TAB_STOP) + text).expandtabs(_TAB_STOP)[column % _TAB_STOP :]
    shown = clean(text, limit - column)
    if spans and spans[-1][1] == style:
        spans[-1] = (spans[-1][0] + shown, style)
    else:
        spans.append((shown, style))
    return len(shown)


def _restyled(style: Sgr, params: str) -> Sgr:
    """The style after one SGR sequence. Conceal and blink are ignored: a log may not hide text."""
    codes = _codes(params)
    position = 0
    while position < len(codes):
        code = codes[position]
        position += 1
        if code in (38, 48):
            colour, used = _extended(codes[position : position + 4])
            position += used
            style = _coloured(style, code - 38, colour)
        else:
            style = _switched(style, code)
    return replace(style, bg="") if style.fg and style.fg == style.bg else style


def _codes(params: str) -> list[int]:
    if not all(char in "0123456789;:" for char in params):
        return []  # A private form, such as the keyboard modes that end in m.
    fields: list[str] = []
    for group in params.split(";"):
        parts = group.split(":")
        if parts[0] in ("38", "48") and len(parts) > 5:
            del parts[2]  # The colour space of the direct form, which terminals ignore.
        fields += parts if parts[0] in ("38", "48") else parts[:1]
    return [int(field[:4] or 0) for field in fields[:64]]


def _extended(codes: list[int]) -> tuple[str, int]:
    if len(codes) >= 2 and codes[0] == 5:
        return str(min(codes[1], 255)), 2
    if len(codes) >= 4 and codes[0] == 2:
        return "#" + "".join(f"{min(value, 255):02x}" for value in codes[1:4]), 4
    return "", len(codes)


def _switched(style: Sgr, code: int) -> Sgr:
    if code in _SWITCHES:
        return _SWITCHES[code](style)
    for base, brightness in ((30, 0), (90, 8)):
        if base <= code <= base + 7:
            return replace(style, fg=str(code - base + brightness))
        if base + 10 <= code <= base + 17:
            return replace(style, bg=str(code - base - 10 + brightness))
    return style


def _coloured(style: Sgr, layer: int, colour: str) -> Sgr:
    return replace(style, bg=colour) if layer else replace(style, fg=colour)
