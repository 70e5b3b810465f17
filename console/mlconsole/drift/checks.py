"""Checking data against expectations: one pass over the rows, and for each expectation how much is against it."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mlconsole.domain.drift import CategoryShape, CheckFinding, ColumnProfile, Kind, NumberShape, Profile
from mlconsole.domain.expectations import ColumnExpectation, Expectations
from mlconsole.drift.files import TableFile
from mlconsole.drift.grid import Cut, Grid
from mlconsole.drift.opening import has_open_quote, separator_of
from mlconsole.drift.profile import ColumnTally, Tally
from mlconsole.drift.table import Table

if TYPE_CHECKING:
    import polars as pl

MOST_NAMED = 5
FAILURE, NOTE, OK = "failure", "note", "ok"
MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}
LEVELS = (FAILURE, NOTE, OK)
MIXED = (0.05, 0.95)
"""From and up to this share of numbers among texts a column is said to be mixed, where nothing is expected of it."""


class NumbersAmongTexts:
    """Counts the numbers in columns that are read as text: one in ten wrong values makes a column of numbers text."""

    def __init__(self, table: Table, expected: Expectations) -> None:
        names = [name for name, kind in table.kinds.items() if kind is Kind.TEXT and name not in expected.columns]
        self.counts = {name: [0, 0] for name in names}

    def add(self, piece: pl.DataFrame) -> None:
        """Count a piece of the table."""
        import polars as pl

        for name, count in self.counts.items():
            if name in piece.columns and piece[name].dtype == pl.String:
                given = piece[name].drop_nulls()
                count[0] += len(given)
                count[1] += len(given.str.strip_chars().cast(pl.Float64, strict=False).drop_nulls())

    def findings(self) -> Iterator[CheckFinding]:
        """A note for each column that holds both."""
        for name, (total, numbers) in self.counts.items():
            if total and MIXED[0] <= numbers / total <= MIXED[1]:
                told = f"{numbers:,} numbers among {total:,} texts: it is read as text"
                yield CheckFinding("mixed types", NOTE, told, name, min(numbers, total - numbers))


def grid_for(table: Table, expected: Expectations) -> Grid:
    """Where the columns are cut so that what is against the expectations can be counted."""
    cuts = {}
    for name, kind in table.kinds.items():
        column = expected.columns.get(name, ColumnExpectation())
        limits = [limit for limit in (column.min, column.max) if limit is not None]
        cuts[name] = Cut(kind, array("d", sorted({float(limit) for limit in limits})), column.values or ())
    return Grid(cuts)


def kinds_for(table: Table, expected: Expectations) -> Table:
    """The table with its columns read as what they are expected to be."""
    return table.with_kinds({name: one.kind for name, one in expected.columns.items() if one.kind is not None})


def check(table: Table, expected: Expectations, tally: Tally, age_s: float) -> list[CheckFinding]:
    """What was found, failures first; ``tally`` has counted the table on :func:`grid_for`.

    Args:
        table: as its files say.
        expected: what it should be like.
        tally: what was counted.
        age_s: seconds since its newest file was written.
    """
    found = [*_files(table.files, expected, age_s), *_rows(tally.rows, expected), *_notes(table)]
    found += _columns(table, expected)
    for column in tally.columns:
        found += _column(column, expected.columns.get(column.name), table.kinds[column.name])
    return sorted(found, key=lambda one: LEVELS.index(one.level))


def suppressed(findings: Sequence[CheckFinding]) -> tuple[str, ...]:
    """The columns whose schema is wrong: what they hold is not to be called drift as well."""
    kinds = ("missing column", "kind", "invalid values")
    return tuple(dict.fromkeys(f.column for f in findings if f.level == FAILURE and f.check in kinds))


def _files(files: Sequence[TableFile], expected: Expectations, age_s: float) -> Iterator[CheckFinding]:
    size = sum(file.size_bytes for file in files)
    wrong = [file.path for file in files if expected.formats and file.format not in expected.formats]
    if expected.formats:
        yield _finding("format", not wrong, f"files are {', '.join(expected.formats)}", _named(wrong), count=len(wrong))
    low, high = expected.min_bytes or 0, expected.max_bytes
    if expected.min_bytes is not None or high is not None:
        fits = low <= size and (high is None or size <= high)
        yield _finding("size", fits, _between(low, high, "bytes"), f"{size:,} bytes")
    if expected.max_age_s is not None:
        fits = age_s <= expected.max_age_s
        yield _finding("freshness", fits, f"at most {_time(expected.max_age_s)} old", f"{_time(age_s)} old")
    torn = [file.path for file in files if has_open_quote(file)]
    if torn:
        told = f"a quote is not closed, so that rows behind it may be lost: {_named(torn)}"
        yield CheckFinding("quotes", NOTE, told, "", len(torn))
    if not expected.duplicate_files and len(files) > 1:
        twins = duplicates(files)
        told = "; ".join(" = ".join(group) for group in twins[:MOST_NAMED])
        count = sum(len(group) - 1 for group in twins)
        yield _finding("duplicate files", not twins, "every file once", told, count=count)


def duplicates(files: Sequence[TableFile]) -> list[list[str]]:
    """The paths of files with the same bytes; only files of the same size are read."""
    sizes: dict[int, list[TableFile]] = {}
    for file in files:
        sizes.setdefault(file.size_bytes, []).append(file)
    groups: dict[tuple[int, str], list[str]] = {}
    for size, same in sizes.items():
        for file in same if len(same) > 1 else ():
            with open(file.path, "rb") as stream:
                digest = hashlib.file_digest(stream, "blake2b").hexdigest()
            groups.setdefault((size, digest), []).append(file.path)
    return [group for group in groups.values() if len(group) > 1]


def _rows(rows: int, expected: Expectations) -> Iterator[CheckFinding]:
    fits = expected.min_rows <= rows and (expected.max_rows is None or rows <= expected.max_rows)
    yield _finding("rows", fits, _between(expected.min_rows, expected.max_rows, "rows"), f"{rows:,} rows")


def _notes(table: Table) -> Iterator[CheckFinding]:
    marks = {mark for file in table.files if file.format == "csv" and (mark := separator_of(file)) != ","}
    if marks:
        told = f"fields are separated by {', '.join(MARKS[mark] for mark in sorted(marks))} and not by commas"
        yield CheckFinding("separator", NOTE, told, "", 1)
    if len(table.files) > 1:
        shown = "; ".join(table.notes[:MOST_NAMED])
        yield _finding(
            "same columns", not table.notes, "every file has the same columns", shown, count=len(table.notes)
        )


def _columns(table: Table, expected: Expectations) -> Iterator[CheckFinding]:
    gone = [name for name, one in expected.columns.items() if one.required and name not in table.kinds]
    for name in gone:
        yield CheckFinding("missing column", FAILURE, f'the column "{name}" is missing', name, 1)
    if expected.columns and not expected.new_columns:
        new = [name for name in table.kinds if name not in expected.columns]
        yield _finding("new columns", not new, "no other columns", _named(new), count=len(new))


def _column(tally: ColumnTally, expected: ColumnExpectation | None, kind: Kind) -> Iterator[CheckFinding]:
    profile = tally.profile()
    if expected is None:
        yield from _unexpected(profile)
        return
    yield from _shares(profile, expected)
    yield from _kind(profile.name, kind, expected.kind)
    yield from _range(profile, expected)
    if expected.values is not None and tally.values is not None:
        others = sorted(tally.values.others)
        count = tally.values.total - sum(tally.values.counts.values())
        yield _finding(
            "values", not count, f"one of {len(expected.values)} values", _named(others), profile.name, count
        )
    if expected.constant is False and profile.shape is not None:
        yield _finding("not constant", not _is_constant(profile), "more than one value", _one(profile), profile.name)


def _shares(profile: ColumnProfile, expected: ColumnExpectation) -> Iterator[CheckFinding]:
    rows = max(1, profile.rows)
    shares = (
        ("nulls", profile.nulls, expected.max_nulls),
        ("empty texts", profile.empties, expected.max_empties),
        ("invalid values", profile.invalid + profile.nans + profile.infinities, expected.max_invalid),
    )
    for name, count, most in shares:
        if most is not None:
            told = f"{count:,} of {profile.rows:,} ({count / rows:.1%})"
            yield _finding(name, count <= most * rows, f"at most {most:.1%}", told, profile.name, count)


def check_profile(profile: Profile, expected: Expectations) -> list[CheckFinding]:
    """The expectations that counts alone show not to hold; used where the rows are gone, or were counted otherwise."""
    found: list[CheckFinding] = []
    for name, column in expected.columns.items():
        own = profile.column(name)
        if own is None or (own.rows and own.shape is None and own.kind is Kind.NESTED):
            if own is None and column.required:
                found.append(CheckFinding("missing column", FAILURE, "the column is missing", name, 1))
            continue
        found += [one for one in _shares(own, column) if one.level == FAILURE]
        shape = own.shape
        low = -math.inf if column.min is None else column.min
        high = math.inf if column.max is None else column.max
        if isinstance(shape, NumberShape) and (shape.low < low or shape.high > high):
            told = f"from {shape.low:.6g} to {shape.high:.6g}; expected: from {low:g} to {high:g}"
            found.append(CheckFinding("range", FAILURE, told, name, 1))
    return found


def _unexpected(profile: ColumnProfile) -> Iterator[CheckFinding]:
    """What is worth a note, or is plainly wrong, where nothing is expected."""
    if profile.invalid:
        told = f"{profile.invalid:,} values are no {profile.kind.value}, as the first ones were"
        yield CheckFinding("invalid values", FAILURE, told, profile.name, profile.invalid)
    if profile.nans or profile.infinities:
        told = f"{profile.nans:,} are not a number, {profile.infinities:,} are infinite"
        yield CheckFinding("not finite", NOTE, told, profile.name, profile.nans + profile.infinities)
    if profile.rows and profile.nulls == profile.rows:
        yield CheckFinding("no values", NOTE, "every value is missing", profile.name, profile.rows)
    elif profile.shape is not None and profile.rows > 1 and _is_constant(profile):
        yield CheckFinding("constant", NOTE, f"every value is {_one(profile)}", profile.name)


def _kind(column: str, kind: Kind, expected: Kind | None) -> Iterator[CheckFinding]:
    """Whole numbers are fine as floats, and anything is as text."""
    if expected is None or kind is Kind.EMPTY:
        return
    fits = kind is expected or (expected, kind) == (Kind.FLOAT, Kind.INT) or expected is Kind.TEXT
    yield _finding("kind", fits, expected.value, kind.value, column)


def _range(profile: ColumnProfile, expected: ColumnExpectation) -> Iterator[CheckFinding]:
    shape = profile.shape
    if not isinstance(shape, NumberShape) or (expected.min is None and expected.max is None):
        return
    edges, counts = list(shape.edges), list(shape.counts)
    low = -math.inf if expected.min is None else expected.min
    high = math.inf if expected.max is None else expected.max
    below = int(sum(counts[: 2 * edges.index(low)]) + counts[2 * edges.index(low)]) if expected.min is not None else 0
    above = int(sum(counts[2 * edges.index(high) + 2 :])) if expected.max is not None else 0
    told = f"from {shape.low:.6g} to {shape.high:.6g}"
    told += f"; {below:,} below, {above:,} above" if below + above else ""
    yield _finding("range", not below + above, f"from {low:g} to {high:g}", told, profile.name, below + above)


def _is_constant(profile: ColumnProfile) -> bool:
    shape = profile.shape
    if isinstance(shape, NumberShape):
        return shape.low == shape.high
    return isinstance(shape, CategoryShape) and shape.distinct == 1


def _one(profile: ColumnProfile) -> str:
    shape = profile.shape
    if isinstance(shape, NumberShape):
        return f"{shape.low:.6g}" if shape.low == shape.high else f"{shape.low:.6g} to {shape.high:.6g}"
    return f"{shape.distinct:,} different" if isinstance(shape, CategoryShape) and shape.distinct > 1 else "the same"


def _finding(check: str, holds: bool, expected: str, found: str, column: str = "", count: int = 0) -> CheckFinding:
    message = found or expected if holds else f"{found}; expected: {expected}"
    return CheckFinding(
        check, OK if holds else FAILURE, message, column, 0 if holds else max(1, count), expected, found
    )


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(f'"{name}"' for name in names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _between(low: float, high: float | None, unit: str) -> str:
    return f"at least {low:,} {unit}" if high is None else f"{low:,} to {high:,} {unit}"


def _time(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.3g}{unit}"
    return f"{seconds:.3g}s"
