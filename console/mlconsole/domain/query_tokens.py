"""The tokens of the filter language; see :mod:`mlconsole.domain.query`."""

from __future__ import annotations

import re

from mlconsole.errors import QueryError
from mlconsole.records import record

OPERATORS = ("<=", ">=", "==", "!=", "!~", "<", ">", "=", "~", ":")
MAX_LENGTH = 4096


@record
class Token:
    """A piece of the line: ``kind`` is one of word, text (quoted), op, open, close."""

    kind: str
    text: str
    start: int
    end: int


_WORD = re.compile(r"[^\s<>=!~:()\"']+")
_QUOTES = {'"', "'"}


def tokenize(text: str) -> list[Token]:
    """The tokens of a line.

    Raises:
        QueryError: a quote is not closed, or the line is too long.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(f"The filter has {len(text)} characters; at most {MAX_LENGTH} are read.", text=text[:80])
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = _token(text, at)
        tokens.append(token)
        at = token.end
    return tokens


def _token(text: str, at: int) -> Token:
    char = text[at]
    if char in _QUOTES:
        return _quoted(text, at)
    if char in "()":
        return Token("open" if char == "(" else "close", char, at, at + 1)
    for op in OPERATORS:
        if text.startswith(op, at):
            return Token("op", op, at, at + len(op))
    if char == "!":
        return Token("word", "not", at, at + 1)
    match = _WORD.match(text, at)
    assert match is not None
    return Token("word", match.group(), at, match.end())


def _quoted(text: str, at: int) -> Token:
    out: list[str] = []
    i = at + 1
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text) and text[i + 1] in "\\\"'":
            out.append(text[i + 1])
            i += 2
        elif text[i] == text[at]:
            return Token("text", "".join(out), at, i + 1)
        else:
            out.append(text[i])
            i += 1
    raise QueryError("A quote is opened here and never closed.", "Close it.", text=text, start=at, end=len(text))
