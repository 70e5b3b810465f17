"""Drift: what is known of a column, what a test says of two of them, and how a verdict comes about."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mlconsole.records import field, record, replace

LEVEL = 0.01
"""The share of false discoveries that is put up with (Benjamini and Hochberg 1995), and on data that did not move the
chance that one comparison calls anything drift."""
FEWEST_ROWS = 30
OTHER = "(other)"
MISSING = "(missing)"


class Kind(StrEnum):
    """What the values of a column are; EMPTY where none was seen, NESTED for lists and objects, ID for row numbers."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    TEXT = "text"
    TIME = "time"
    NESTED = "nested"
    EMPTY = "empty"
    ID = "id"

    @property
    def is_number(self) -> bool:
        """True for what lies on a line: numbers, and moments as seconds since 1970."""
        return self in (Kind.INT, Kind.FLOAT, Kind.TIME)

    @property
    def is_written_as_number(self) -> bool:
        """True for what is read as a number."""
        return self in (Kind.INT, Kind.FLOAT, Kind.ID)

    def fits(self, other: Kind) -> bool:
        """True when values of both can be compared; nothing at all can be compared with anything."""
        are_numbers = self.is_written_as_number and other.is_written_as_number
        return self is other or Kind.EMPTY in (self, other) or are_numbers


class Verdict(StrEnum):
    """What a comparison says.

    INSUFFICIENT is never OK: too few rows to say. SCHEMA: the column failed a check, and is not tested for drift.
    """

    OK = "ok"
    DRIFT = "drift"
    INSUFFICIENT = "insufficient"
    SCHEMA = "schema"


@record
class NumberShape:
    """How the finite numbers of a column are spread.

    Attributes:
        edges: k values, ascending.
        counts: 2k + 1 counts: below the first edge, at it, between it and the second, at that, ..., above the last.
        mean: of the finite numbers.
        std: their standard deviation (n in the denominator).
        low: the smallest of them.
        high: the largest of them.
        below: the sum of what the numbers below the first edge fall short of it.
        above: the sum of what those above the last exceed it by.
    """

    edges: array[float]
    counts: array[float]
    mean: float
    std: float
    low: float
    high: float
    below: float = 0.0
    above: float = 0.0


@record
class CategoryShape:
    """How often each of some values occurs; ``other`` counts the rest.

    ``distinct`` is how many values there are, ``is_more`` that it stopped counting there. ``drawers`` has the rest
    once more, by the drawer that each value belongs in; empty where that was not counted.
    """

    values: tuple[str, ...]
    counts: tuple[int, ...]
    other: int
    distinct: int
    is_more: bool = False
    drawers: tuple[int, ...] = ()


DRAWERS = 16
"""Into so many drawers rare values are put, by a digest of each."""


def drawer(value: str) -> int:
    """The drawer of a value: always the same one, on any machine.

    A checksum alone fills drawers with ``n0`` to ``n499`` more evenly than chance does, and would see nothing there:
    it is mixed as Appleby, MurmurHash3, 2011 ends (fmix32).
    """
    mixed = zlib.crc32(value.encode("utf-8", "surrogatepass"))
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) % DRAWERS


@record
class ColumnProfile:
    """What is kept of a column: counts, never rows.

    Attributes:
        name: the column.
        kind: what its values are.
        rows: how many rows there are, whatever is in them.
        nulls: rows without a value.
        empties: texts of no characters, or of blanks alone.
        nans: rows that are not a number.
        infinities: rows that are infinite.
        invalid: values that are not of the column's kind.
        shape: how the rest is spread; None where there is no rest, or it is nested.
    """

    name: str
    kind: Kind
    rows: int
    nulls: int = 0
    empties: int = 0
    nans: int = 0
    infinities: int = 0
    invalid: int = 0
    shape: NumberShape | CategoryShape | None = None

    @property
    def missing(self) -> int:
        """Rows that have no value to compare."""
        return self.nulls + self.nans + self.infinities + self.invalid

    @property
    def values(self) -> int:
        """Rows that have one."""
        return self.rows - self.missing


@record
class SliceProfile:
    """The rows in which a column has one value."""

    column: str
    value: str
    rows: int
    columns: tuple[ColumnProfile, ...]


@record
class Profile:
    """What is kept of a table: a profile a column, and of some slices the same.

    ``source`` names what was read, ``digest`` tells it from other content, ``notes`` say what was odd about it.
    """

    source: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    slices: tuple[SliceProfile, ...] = ()
    digest: str = ""
    files: int = 1
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> ColumnProfile | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


@record
class TestDefinition:
    """What ``drift tests`` says of a test.

    Attributes:
        name: as given to ``--tests``.
        summary: what it measures.
        applies: the kinds of columns it takes, in words.
        floor: the least effect that counts.
        unit: what the effect is measured in.
        definition: the formula: log base, binning, correction.
        p_value: where the significance comes from, exact or asymptotic.
        source: author, title, year.
    """

    __test__ = False

    name: str
    summary: str
    applies: str
    floor: float
    unit: str
    definition: str
    p_value: str
    source: str


@record
class Bin:
    """The bin or category whose share moved most, and its shares before and now."""

    label: str
    reference: float
    current: float


@record
class Histogram:
    """The shares of the same bins or categories before and now."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]

    @property
    def top(self) -> float:
        """The largest share of both: what a drawing of both is scaled to."""
        return max((*self.reference, *self.current), default=0.0)


@record
class ColumnResult:
    """What one test says of one column.

    Attributes:
        column: its name.
        test: the test's name; empty where none could be made.
        effect: how far it moved, in the test's unit; None where it cannot be told.
        p_value: the chance of such an effect or a larger one where nothing moved.
        q_value: the same, corrected for all tests of this comparison.
        floor: the least effect that counts.
        verdict: what comes of both.
        n_reference: values of the reference that were compared.
        n_current: values of the current data.
        worst: the bin or category that moved most.
        note: why there is no more to say.
        slice: ``column=value`` of the rows it is about; empty for all.
    """

    column: str
    test: str
    effect: float | None
    p_value: float | None
    verdict: Verdict
    n_reference: int
    n_current: int
    floor: float = 0.0
    q_value: float | None = None
    worst: Bin | None = None
    note: str = ""
    slice: str = ""

    @property
    def is_idle(self) -> bool:
        """True for missing values where there are none: no hypothesis that the others should pay for."""
        return (
            self.worst is not None and self.worst.label == MISSING and self.worst.reference == self.worst.current == 0
        )

    @property
    def weight(self) -> float:
        """The effect in floors: what results of different tests are ordered by."""
        return 0.0 if self.effect is None or not self.floor else self.effect / self.floor


@record
class SchemaFinding:
    """A column that is missing, new, or of another kind. ``level`` is failure or note."""

    column: str
    level: str
    message: str


@record
class DriftReport:
    """What a comparison found.

    ``monitor`` is its monitor's name, empty for a comparison ad hoc; ``window`` says which rows were looked at.
    """

    reference: str
    current: str
    verdict: Verdict
    rows_reference: int
    rows: int
    columns: tuple[ColumnResult, ...]
    schema: tuple[SchemaFinding, ...] = ()
    notes: tuple[str, ...] = ()
    level: float = LEVEL
    monitor: str = ""
    window: str = ""

    @property
    def failed(self) -> bool:
        """True when something was found."""
        return self.verdict in (Verdict.DRIFT, Verdict.SCHEMA)

    @property
    def worst(self) -> ColumnResult | None:
        """The result that counts most: what drifted first, then by effect."""
        found = [one for one in self.columns if one.effect is not None]
        return max(found, key=lambda one: (one.verdict is Verdict.DRIFT, one.weight), default=None)


@record
class Rule:
    """How verdicts are made.

    Attributes:
        level: the share of false discoveries.
        floors: least effects by test, where they are not the test's own.
        fewest: below so many values on either side it is insufficient.
    """

    level: float = LEVEL
    floors: tuple[tuple[str, float], ...] = ()
    fewest: int = FEWEST_ROWS

    def floor(self, test: TestDefinition) -> float:
        """The least effect of a test that counts."""
        return dict(self.floors).get(test.name, test.floor)


def corrected(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in the same order.

    Benjamini and Hochberg, Controlling the False Discovery Rate, 1995: the k-th smallest of m becomes the least of
    p(j) m / j over j >= k.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    out = [1.0] * len(p_values)
    least = 1.0
    for place, i in enumerate(order):
        least = min(least, p_values[i] * len(p_values) / (len(p_values) - place))
        out[i] = least
    return out


def judged(results: Sequence[ColumnResult], rule: Rule) -> list[ColumnResult]:
    """The results with their verdicts: drift is an effect of at least the floor that is significant after correction.

    What is insufficient, or failed a check, is not part of the correction.
    """
    tested = [
        i for i, one in enumerate(results) if one.p_value is not None and one.verdict is Verdict.OK and not one.is_idle
    ]
    out = list(results)
    for i, q in zip(tested, corrected([results[i].p_value or 0.0 for i in tested]), strict=True):
        one = results[i]
        is_drift = one.effect is not None and one.effect >= one.floor and q <= rule.level
        out[i] = replace(one, q_value=q, verdict=Verdict.DRIFT if is_drift else Verdict.OK)
    return out


def overall(results: Sequence[ColumnResult], schema: Sequence[SchemaFinding]) -> Verdict:
    """One verdict for all: drift before a failed schema, before OK; insufficient where nothing could be judged."""
    verdicts = {one.verdict for one in results}
    if Verdict.DRIFT in verdicts:
        return Verdict.DRIFT
    if any(finding.level == "failure" for finding in schema):
        return Verdict.SCHEMA
    return Verdict.OK if Verdict.OK in verdicts else Verdict.INSUFFICIENT


def moment_words(seconds: float) -> str:
    """Seconds since 1970 as a date and time in UTC; a number beyond the calendar as it is."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):
        return f"{seconds:.6g}"


@record
class CheckFinding:
    """One expectation and what was found. ``level`` is ok, note or failure; ``count`` the rows or files against it."""

    check: str
    level: str
    message: str
    column: str = ""
    count: int = 0
    expected: str = ""
    found: str = ""


@record
class CheckReport:
    """What a check of data found, and the columns that are not to be tested for drift because of it."""

    source: str
    rows: int
    files: int
    findings: tuple[CheckFinding, ...]
    expectations: str = ""
    suppressed: tuple[str, ...] = field(default_factory=tuple)

    @property
    def failed(self) -> bool:
        """True when an expectation does not hold."""
        return any(finding.level == "failure" for finding in self.findings)
