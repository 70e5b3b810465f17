"""What the columns of a file are, told from its schema or from its first values."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from mlconsole.dialects import NO_VALUE
from mlconsole.domain.drift import Kind
from mlconsole.drift.files import TableFile
from mlconsole.drift.opening import clear, opened, separator_of, unpacked
from mlconsole.errors import ActionFailed, UsageError

if TYPE_CHECKING:
    import polars as pl

HEAD_ROWS = 1000
MOST_WRONG = 0.1
"""Up to this share of a column's first values may fail to be numbers, and the column still is one of numbers."""
_BOOL = frozenset({"true", "false"})


def kinds_of(file: TableFile) -> dict[str, Kind]:
    """The columns of a file and what their first thousand values are."""
    import polars as pl

    with clear(file), unpacked(file) as path:
        if file.format == "parquet":
            found = {name: kind_of_type(dtype) for name, dtype in pl.read_parquet_schema(path).items()}
        else:
            head = _head(file, path)
            found = {series.name: _kind_of_values(series) for series in head.get_columns()}
    return found | {name: _kind_of_values(pl.Series([value])) for name, value in file.partition}


def _head(file: TableFile, path: str) -> pl.DataFrame:
    import polars as pl

    if file.format == "json":
        return _json_head(file, path)
    if os.path.getsize(path) == 0:
        raise UsageError(f'"{file.path}" is empty.')
    return pl.read_csv(
        path,
        separator=separator_of(file),
        infer_schema=False,
        n_rows=HEAD_ROWS,
        encoding="utf8-lossy",
        truncate_ragged_lines=True,
    )


def _json_head(file: TableFile, path: str) -> pl.DataFrame:
    """The first rows, every value as text but lists and objects, whose columns hold empty lists."""
    import polars as pl

    names: dict[str, list[str | None]] = {}
    nested: set[str] = set()
    count = 0
    with opened(file) if file.packed != "zstd" else _zstd_lines(path) as lines:
        for number, line in enumerate(lines, 1):
            if count == HEAD_ROWS:
                break
            if not line.strip():
                continue
            for name, value in json_row(file, number, line).items():
                nested |= {name} if isinstance(value, (list, dict)) else set()
                names.setdefault(name, [None] * count).append(json_text(value))
            count += 1
            for cells in names.values():
                cells += [None] * (count - len(cells))
    if not count:
        raise UsageError(f'"{file.path}" is empty.')
    texts = [pl.Series(name, cells, dtype=pl.String) for name, cells in names.items() if name not in nested]
    return pl.DataFrame([*texts, *(pl.Series(name, [[""]] * count) for name in nested)])


def json_row(file: TableFile, number: int, line: bytes) -> dict[str, object]:
    """The columns of a line of JSON.

    Raises:
        ActionFailed: it is none; its number is named.
    """
    import json

    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ActionFailed(f'Cannot read "{file.path}", line {number}: it is not JSON.') from error
    if not isinstance(row, dict):
        hint = "Write one object a line (JSON lines)."
        raise ActionFailed(f'Cannot read "{file.path}", line {number}: it is not an object with columns.', hint)
    return row


def _zstd_lines(path: str) -> IO[bytes]:
    import io

    import polars as pl

    frame = pl.scan_lines(path).head(HEAD_ROWS).collect()
    return io.BytesIO("\n".join(frame.to_series().to_list()).encode())


def kind_of_type(dtype: pl.DataType) -> Kind:
    """What the values of a typed column are."""
    import polars as pl

    if dtype.is_integer():
        return Kind.INT
    if dtype.is_numeric():
        return Kind.FLOAT
    if dtype == pl.Boolean:
        return Kind.BOOL
    if dtype.is_temporal():
        return Kind.TIME
    if dtype == pl.Null:
        return Kind.EMPTY
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return Kind.TEXT
    return Kind.NESTED


def _kind_of_values(series: pl.Series) -> Kind:
    import polars as pl

    if series.dtype != pl.String:
        return kind_of_type(series.dtype)
    given = series.drop_nulls().str.strip_chars().str.to_lowercase()
    given = given.filter(~given.is_in(list(NO_VALUE)))
    if not len(given):
        has_nan = bool((series.str.to_lowercase() == "nan").any())
        return Kind.FLOAT if has_nan else Kind.EMPTY
    if set(given.unique().to_list()) <= _BOOL:
        return Kind.BOOL
    numbers = given.cast(pl.Float64, strict=False)
    if numbers.null_count() <= MOST_WRONG * len(given):
        whole = given.cast(pl.Int64, strict=False).null_count() == numbers.null_count()
        return Kind.INT if whole else Kind.FLOAT
    moments = times(given.str.to_uppercase())
    return Kind.TIME if moments.null_count() <= MOST_WRONG * len(given) else Kind.TEXT


def times(texts: pl.Series) -> pl.Series:
    """Seconds since 1970 of texts in ISO 8601; null where one is no such moment. Without a zone it is UTC."""
    import polars as pl

    plain = texts.str.replace(" ", "T", literal=True).str.replace(r"(Z|\+00:?00)$", "")
    out = pl.Series(texts.name, [None] * len(texts), dtype=pl.Float64)
    for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        out = out.fill_null(plain.str.to_datetime(form, strict=False, time_unit="us").cast(pl.Float64) / 1e6)
        if not out.null_count():
            return out
    zoned = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_unit="us")
    return out.fill_null(zoned.cast(pl.Float64) / 1e6)


def json_text(value: object) -> str | None:
    """A value of JSON as text."""
    import json

    return value if value is None or isinstance(value, str) else json.dumps(value)
