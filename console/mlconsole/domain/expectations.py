"""What data is expected to be like: of the table as a whole, and of each column."""

from __future__ import annotations

from mlconsole.domain.drift import Kind
from mlconsole.records import field, record


@record
class ColumnExpectation:
    """What is expected of one column; None where nothing is.

    Attributes:
        kind: what its values are; a whole number is also accepted where floats are expected.
        required: it has to be there.
        max_nulls: the largest share of rows without a value.
        max_empties: the largest share of texts that are empty or blank.
        max_invalid: the largest share of values that are not of the kind, not a number, or infinite.
        min: the least number.
        max: the largest number.
        values: the only values.
        constant: False: more than one value is expected.
    """

    kind: Kind | None = None
    required: bool = True
    max_nulls: float | None = None
    max_empties: float | None = None
    max_invalid: float | None = 0.0
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    constant: bool | None = None


@record
class Expectations:
    """What is expected of a table.

    Attributes:
        source: the file that says so, or in words where it comes from.
        formats: how its files are written.
        min_rows: the fewest rows.
        max_rows: the most.
        min_bytes: the smallest size of all files together.
        max_bytes: the largest.
        max_age_s: the longest time since the newest file was written.
        new_columns: whether columns of which nothing is said are fine.
        duplicate_files: whether two files may have the same bytes.
        columns: what is expected of each.
    """

    source: str = ""
    formats: tuple[str, ...] = ()
    min_rows: int = 1
    max_rows: int | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None
    max_age_s: float | None = None
    new_columns: bool = True
    duplicate_files: bool = False
    columns: dict[str, ColumnExpectation] = field(default_factory=dict)
