"""Reading tables in pieces, whatever their size: every column as one of few kinds, what does not fit it counted.

A column's kind comes from a profile, or from the first rows. Text is first read as what it is said to be; only where
that fails (one wrong value is enough) is the file read as text, and each value tried: three times the work, and every
wrong value counted instead of an error for the lot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mlconsole.dialects import NO_VALUE
from mlconsole.domain.drift import Kind
from mlconsole.drift.files import TableFile
from mlconsole.drift.kinds import json_row, json_text, kind_of_type, times
from mlconsole.drift.opening import clear, need_all_rows, separator_of, unpacked
from mlconsole.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS = 50_000
AT_ONCE = 12
"""Columns of a Parquet file that are read together: the whole of a wide row group would not be small."""


def batches(file: TableFile, kinds: Mapping[str, Kind]) -> Iterator[pl.DataFrame]:
    """The rows of a file in order, in pieces of bounded size, with the columns of ``kinds`` that it has.

    A number, a moment or a truth value stands in a column of floats or texts; beside a column read as text stands
    ``NAME\\0invalid``, which is true where a value is not of the column's kind.

    Raises:
        ActionFailed: it cannot be read.
    """
    with clear(file), unpacked(file) as path:
        if file.format == "parquet":
            pieces = _parquet(path, kinds)
        elif file.format == "json":
            pieces = _json(file, path, kinds)
        else:
            pieces = _separated(file, path, kinds)
        for piece in pieces:
            yield _with_partition(piece, file, kinds)


def _with_partition(frame: pl.DataFrame, file: TableFile, kinds: Mapping[str, Kind]) -> pl.DataFrame:
    import polars as pl

    own = [pl.lit(value).alias(name) for name, value in file.partition if name in kinds]
    if not own:
        return frame
    names = [name for name, _ in file.partition if name in kinds]
    out = frame.with_columns(own)
    return out.with_columns(part for name in names for part in _tried(out[name], kinds[name]))


def _parquet(path: str, kinds: Mapping[str, Kind]) -> Iterator[pl.DataFrame]:
    import polars as pl

    schema = pl.read_parquet_schema(path)
    names = [name for name in schema if name in kinds]
    frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    step = int(max(1_000, min(BATCH_ROWS * 4, BATCH_ROWS * AT_ONCE * 2 / max(1, len(names)))))
    rows = int(frame.select(pl.len()).collect().item())
    for start in range(0, rows, step):
        piece = frame.select(names).slice(start, step).collect()
        yield pl.DataFrame([part for series in piece.get_columns() for part in _typed(series, kinds[series.name])])


def _typed(series: pl.Series, kind: Kind) -> list[pl.Series]:
    """A column of a typed file as its kind wants it."""
    import polars as pl

    own = kind_of_type(series.dtype)
    if own is Kind.NESTED or kind is Kind.NESTED or own is Kind.EMPTY:
        return [series]
    if kind.is_written_as_number and own in (Kind.INT, Kind.FLOAT):
        return [series.cast(pl.Float64)]
    if kind is Kind.TIME and own is Kind.TIME:
        return [_seconds(series)]
    if own is Kind.BOOL and kind is Kind.BOOL:
        return [series.cast(pl.String)]
    if own is Kind.TEXT and kind is Kind.TEXT:
        return [series.cast(pl.String)]
    return _tried(series.cast(pl.String), kind)


def _seconds(series: pl.Series) -> pl.Series:
    import polars as pl

    if series.dtype == pl.Date:
        return series.cast(pl.Int64).cast(pl.Float64) * 86400.0
    if series.dtype == pl.Time:
        return series.cast(pl.Int64).cast(pl.Float64) / 1e9
    if series.dtype == pl.Duration:
        return series.dt.total_microseconds().cast(pl.Float64) / 1e6
    return series.dt.epoch("us").cast(pl.Float64) / 1e6


def _tried(series: pl.Series, kind: Kind) -> list[pl.Series]:
    """A column of texts as its kind wants it, and beside it which values are not of that kind."""
    import polars as pl

    if series.dtype != pl.String:
        return [series]
    if kind in (Kind.TEXT, Kind.EMPTY, Kind.NESTED):
        return [series]
    plain = series.str.strip_chars().str.to_lowercase()
    absent = plain.is_null() | plain.is_in(list(NO_VALUE))
    if kind is Kind.BOOL:
        found = plain.set(~plain.is_in(["true", "false"]), None)
    elif kind is Kind.TIME:
        found = times(plain.str.to_uppercase())
    else:
        found = plain.cast(pl.Float64, strict=False)
    return [found.alias(series.name), (found.is_null() & ~absent).alias(f"{series.name}\0invalid")]


def _json(file: TableFile, path: str, kinds: Mapping[str, Kind]) -> Iterator[pl.DataFrame]:
    """JSON lines. polars reads a text in a column of numbers as null without a word: all is read as text first."""
    import polars as pl

    schema = dict.fromkeys(kinds, pl.String)
    done = 0
    try:
        for piece in pl.scan_ndjson(path, schema=schema).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            yield pl.DataFrame([part for one in piece.get_columns() for part in _tried(one, kinds[one.name])])
            done += piece.height
    except pl.exceptions.ComputeError:
        for piece in _json_lines(file, path, kinds, done):
            yield pl.DataFrame([part for one in piece.get_columns() for part in _tried(one, kinds[one.name])])


def _json_lines(file: TableFile, path: str, kinds: Mapping[str, Kind], done: int) -> Iterator[pl.DataFrame]:
    """The rows behind those that are done, line by line: polars takes no bare NaN or Infinity, which Python writes.

    A line that is wrong all the same is named by its number.
    """
    import polars as pl

    cells: dict[str, list[str | None]] = {name: [] for name in kinds}
    count = number = 0
    for lines in pl.scan_lines(path).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        for line in lines.to_series():
            number += 1
            if not line.strip():
                continue
            count += 1
            if count > done:
                row = json_row(file, number, line.encode())
                for name, column in cells.items():
                    column.append(json_text(row.get(name)))
        yield pl.DataFrame(cells, schema=dict.fromkeys(kinds, pl.String))
        cells = {name: [] for name in kinds}


def _separated(file: TableFile, path: str, kinds: Mapping[str, Kind]) -> Iterator[pl.DataFrame]:
    import polars as pl

    names = [name for name in _header(file, path) if name in kinds]
    wanted = {name: pl.Float64 if kinds[name].is_written_as_number else pl.String for name in names}
    separator = separator_of(file)
    done = 0
    try:
        scan = pl.scan_csv(path, separator=separator, glob=False, schema_overrides=wanted, infer_schema=False).select(
            names
        )
        for piece in scan.collect_batches(maintain_order=True):
            yield _finished(piece, kinds, names)
            done += piece.height
        need_all_rows(file, done)
        return
    except pl.exceptions.ComputeError as error:
        if "parse" not in str(error) and "utf-8" not in str(error):
            raise
    scan = pl.scan_csv(path, separator=separator, glob=False, infer_schema=False, encoding="utf8-lossy").select(names)
    for piece in scan.slice(done).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        yield pl.DataFrame([part for one in piece.get_columns() for part in _tried(one, kinds[one.name])])
        done += piece.height
    need_all_rows(file, done)


def _finished(piece: pl.DataFrame, kinds: Mapping[str, Kind], names: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    if all(kinds[name] is Kind.TEXT or kinds[name].is_written_as_number for name in names):
        return piece
    return pl.DataFrame([part for one in piece.get_columns() for part in _tried(one, kinds[one.name])])


def _header(file: TableFile, path: str) -> list[str]:
    import polars as pl

    separator = separator_of(file)
    if os.path.getsize(path) == 0:
        raise UsageError(f'"{file.path}" is empty.')
    scan = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False, encoding="utf8-lossy", n_rows=0)
    return list(scan.collect_schema().names())
