"""Texts that strangers may send: escape sequences, markup, bidi controls, and what no encoding holds.

Every place that shows foreign text is tested with all of them. :func:`raw_controls` finds what must never reach a
terminal.
"""

from __future__ import annotations

import unicodedata

STRINGS: dict[str, str] = {
    "clear screen": "a\x1b[2J\x1b[Hb",
    "colour": "\x1b[31mred\x1b[0m",
    "title by OSC": "\x1b]0;owned\x07x",
    "clipboard by OSC 52": "\x1b]52;c;ZXZpbA==\x1b\\x",
    "device control": "\x1bPq#0;2;0;0;0#0~~\x1b\\x",
    "C1 control sequence": "\x9b2Jx",
    "C1 operating system command": "\x9d0;owned\x9cx",
    "report that types": "\x1b[6n\x1b[c\x05x",
    "closing markup": "[/]x",
    "action markup": "[@click=app.quit]x[/]",
    "bell action": "[@click=app.bell]x[/]",
    "link markup": "[link=file:///etc/passwd]x[/link]",
    "style markup": "[bold red]x",
    "open bracket": "x[",
    "right to left": "abc\u202edcba\u202c",
    "isolate": "a\u2066b\u2069c",
    "zero width": "a\u200bb\u200dc\ufeffd",
    "NUL": "a\x00b",
    "delete": "a\x7fb",
    "backspaces": "good\x08\x08\x08\x08evil",
    "carriage return": "good\revil",
    "tab and newline": "a\tb\nc",
    "line separators": "a\u2028b\u2029c\x85d",
    "lone surrogate": "a\udcffb\ud800c",
    "wide and combining": "模型e\u0301" + "\u0301" * 40,
    "html": "<script>alert(1)</script>&amp;'\"",
    "percent and braces": "%s %n {0} {x!r} ${HOME} $(id) `id`",
    "leading dash": "--yes",
    "sql": "x'; DROP TABLE run; --",
    "path": "../../etc/passwd",
    "long": "x" * 10_000,
}
MANY_NEWLINES = "\n" * 200_000

# What argv, environment and file names can carry: no NUL.
IN_ARGV = {name: text for name, text in STRINGS.items() if "\x00" not in text}


def raw_controls(text: str, *, allowed: str = "\n") -> set[str]:
    """The characters that could steer or deceive a terminal, apart from the allowed ones."""
    found = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return found - set(allowed)
