"""Versions of libraries, and the constraints on them, after Python's "Version specifiers" specification."""

from __future__ import annotations

import re
from typing import NamedTuple

_VERSION = re.compile(r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)[-_.]?(?:(dev|a|alpha|b|beta|c|rc|pre|preview)[-_.]?(\d*))?", re.I)
_CLAUSE = re.compile(r"(===|==|!=|>=|<=|~=|>|<)\s*([^\s=<>!~].*)")
_STAGES = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1, "pre": -1, "preview": -1}


class Clause(NamedTuple):
    """One comparison of a constraint: an operator and what stands behind it."""

    operator: str
    value: str


def clauses(constraint: str) -> list[Clause] | None:
    """The comparisons of ``>=2.1,<3``; empty for no constraint, None where it does not parse."""
    out = []
    for part in filter(None, (part.strip() for part in constraint.split(","))):
        found = _CLAUSE.fullmatch(part)
        if found is None:
            return None
        out.append(Clause(found[1], found[2].strip()))
    return out


def satisfies(value: str, constraint: str) -> bool:
    """Whether a value keeps every comparison; texts that are no versions are equal or not, and never greater."""
    found = clauses(constraint)
    return found is not None and all(_keeps(value, clause) for clause in found)


def _keeps(value: str, clause: Clause) -> bool:
    operator, wanted = clause
    if operator in ("==", "===", "!=") and not (operator != "===" and wanted.endswith(".*")):
        one, other = _key(value), _key(wanted)
        is_same = value == wanted or (operator != "===" and one is not None and one == other)
        return is_same != (operator == "!=")
    if operator in ("==", "!="):
        return _begins(value, wanted[:-2]) == (operator == "==")
    one, other = _key(value), _key(wanted)
    if one is None or other is None:
        return False
    if operator == "~=":
        return one >= other and _begins(value, wanted.rpartition(".")[0])
    return {">=": one >= other, "<=": one <= other, ">": one > other, "<": one < other}[operator]


def _begins(value: str, prefix: str) -> bool:
    one, other = _key(value), _key(prefix)
    if one is None or other is None:
        return False
    numbers = (*one[1], *([0] * len(other[1])))
    return numbers[: len(other[1])] == other[1] or prefix == ""


def _key(version: str) -> tuple[int, tuple[int, ...], int, int] | None:
    """What a version is ordered by: epoch, numbers without zeros at the end, stage and its number."""
    found = _VERSION.match(version.strip())
    if found is None:
        return None
    epoch, numbers, stage, count = found.groups()
    parts = tuple(int(part) for part in numbers.split("."))
    while len(parts) > 1 and parts[-1] == 0:
        parts = parts[:-1]
    return int(epoch or 0), parts, _STAGES[stage.lower()] if stage else 0, int(count or 0)
