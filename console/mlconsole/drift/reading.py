"""Reading tables in pieces, whatever their size: every column as one of few kinds, what does not fit it counted.

A column's kind comes from a profile, or from the first rows. Text is first read as what it is said to be; only where
that fails (one wrong value is enough) is the file read as text, and each value tried: three times the work, and every
wrong value counted instead of an error for the lot.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, cast

from mlconsole.domain.drift import Kind
from mlconsole.drift.files import TableFile
from mlconsole.errors import ActionFailed, UsageError

if TYPE_CHECKING:
    import polars as pl

HEAD_ROWS = 1000
BATCH_ROWS = 50_000
AT_ONCE = 12
"""Columns of a Parquet file that are read together: the whole of a wide row group would not be small."""
MOST_WRONG = 0.1
"""Up to this share of a column's first values may fail to be numbers, and the column still is one of numbers."""
NO_VALUE = frozenset({"", "na", "n/a", "null", "none", "nan", "-nan", "#n/a", "nil"})
_BOOL = frozenset({"true", "false"})


def need_polars() -> None:
    """Raise when what reads tables is not installed.

    Raises:
        ActionFailed: polars or numpy is missing.
    """
    try:
        import numpy  # noqa: F401
        import polars  # noqa: F401  300 ms, to read tables
    except ImportError as error:
        raise ActionFailed("Reading tables needs polars and numpy.", "pip install 'mlconsole[drift]'") from error


@contextlib.contextmanager
def _unpacked(file: TableFile) -> Iterator[str]:
    """A path that polars can read; what it cannot unpack itself is unpacked beside the system's temporary files."""
    if file.packed in ("", "gzip", "zstd"):
        yield file.path
        return
    import shutil
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="mlconsole-", suffix=f".{file.format}") as plain:
        with _opened(file) as packed:
            shutil.copyfileobj(packed, plain, 1 << 20)
        plain.flush()
        yield plain.name


def _opened(file: TableFile) -> IO[bytes]:
    if file.packed == "gzip":
        import gzip

        return cast("IO[bytes]", gzip.open(file.path, "rb"))
    if file.packed == "bz2":
        import bz2

        return bz2.open(file.path, "rb")
    if file.packed == "xz":
        import lzma

        return lzma.open(file.path, "rb")
    return open(file.path, "rb")


@contextlib.contextmanager
def _clear(file: TableFile) -> Iterator[None]:
    """Errors of the readers as one line with the file's name."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, EOFError, ValueError) as error:
        line = _long_line(file) if "more fields" in str(error) else 0
        where, why = (f", line {line}", "it has more fields than the header") if line else ("", _first_line(error))
        raise ActionFailed(f'Cannot read "{file.path}"{where} as {file.format}: {why}.') from error
    except OSError as error:
        why = error.strerror or _first_line(error)
        raise ActionFailed(f'Cannot read "{file.path}": {why}.') from error


def _long_line(file: TableFile) -> int:
    """The number of the first line that has more fields than the header, 0 where that cannot be told."""
    import csv
    import io

    if file.packed == "zstd":
        return 0
    with _opened(file) as packed, io.TextIOWrapper(packed, "utf-8", "replace", newline="") as text:
        rows = csv.reader(text, delimiter="\t" if file.format == "tsv" else ",")
        try:
            width = len(next(rows, ()))
            return next((rows.line_num for row in rows if len(row) > width), 0)
        except csv.Error:
            return 0


def has_open_quote(file: TableFile) -> bool:
    """True when a quote of a CSV file is opened and not closed: the rows behind it are one value, or are left out."""
    if file.format not in ("csv", "tsv") or file.packed == "zstd":
        return False
    count = 0
    with _clear(file), _opened(file) as packed:
        while block := packed.read(1 << 20):
            count += block.count(b'"')
    return count % 2 == 1


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    where = next((line for line in lines if "offset" in line), "")
    return ", ".join(part.rstrip(".") for part in (lines or [type(error).__name__])[:1] + ([where] if where else []))


def kinds_of(file: TableFile) -> dict[str, Kind]:
    """The columns of a file and what their first thousand values are."""
    import polars as pl

    with _clear(file), _unpacked(file) as path:
        if file.format == "parquet":
            found = {name: _kind_of_type(dtype) for name, dtype in pl.read_parquet_schema(path).items()}
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
        separator="\t" if file.format == "tsv" else ",",
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
    with _opened(file) if file.packed != "zstd" else _zstd_lines(path) as lines:
        for number, line in enumerate(lines, 1):
            if count == HEAD_ROWS:
                break
            if not line.strip():
                continue
            for name, value in _json_row(file, number, line).items():
                nested |= {name} if isinstance(value, (list, dict)) else set()
                names.setdefault(name, [None] * count).append(_json_text(value))
            count += 1
            for cells in names.values():
                cells += [None] * (count - len(cells))
    if not count:
        raise UsageError(f'"{file.path}" is empty.')
    texts = [pl.Series(name, cells, dtype=pl.String) for name, cells in names.items() if name not in nested]
    return pl.DataFrame([*texts, *(pl.Series(name, [[""]] * count) for name in nested)])


def _json_row(file: TableFile, number: int, line: bytes) -> dict[str, object]:
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


def _kind_of_type(dtype: pl.DataType) -> Kind:
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
        return _kind_of_type(series.dtype)
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
    times = _times(given.str.to_uppercase())
    return Kind.TIME if times.null_count() <= MOST_WRONG * len(given) else Kind.TEXT


def _times(texts: pl.Series) -> pl.Series:
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


def batches(file: TableFile, kinds: Mapping[str, Kind]) -> Iterator[pl.DataFrame]:
    """The rows of a file in order, in pieces of bounded size, with the columns of ``kinds`` that it has.

    A number, a moment or a truth value stands in a column of floats or texts; beside a column read as text stands
    ``NAME\\0invalid``, which is true where a value is not of the column's kind.

    Raises:
        ActionFailed: it cannot be read.
    """
    with _clear(file), _unpacked(file) as path:
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

    own = _kind_of_type(series.dtype)
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
        found = _times(plain.str.to_uppercase())
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
                row = _json_row(file, number, line.encode())
                for name, column in cells.items():
                    column.append(_json_text(row.get(name)))
        yield pl.DataFrame(cells, schema=dict.fromkeys(kinds, pl.String))
        cells = {name: [] for name in kinds}


def _json_text(value: object) -> str | None:
    import json

    return value if value is None or isinstance(value, str) else json.dumps(value)


def _separated(file: TableFile, path: str, kinds: Mapping[str, Kind]) -> Iterator[pl.DataFrame]:
    import polars as pl

    names = [name for name in _header(file, path) if name in kinds]
    wanted = {name: pl.Float64 if kinds[name].is_written_as_number else pl.String for name in names}
    separator = "\t" if file.format == "tsv" else ","
    done = 0
    try:
        scan = pl.scan_csv(path, separator=separator, glob=False, schema_overrides=wanted, infer_schema=False).select(
            names
        )
        for piece in scan.collect_batches(maintain_order=True):
            yield _finished(piece, kinds, names)
            done += piece.height
        return
    except pl.exceptions.ComputeError as error:
        if "parse" not in str(error) and "utf-8" not in str(error):
            raise
    scan = pl.scan_csv(path, separator=separator, glob=False, infer_schema=False, encoding="utf8-lossy").select(names)
    for piece in scan.slice(done).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        yield pl.DataFrame([part for one in piece.get_columns() for part in _tried(one, kinds[one.name])])


def _finished(piece: pl.DataFrame, kinds: Mapping[str, Kind], names: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    if all(kinds[name] is Kind.TEXT or kinds[name].is_written_as_number for name in names):
        return piece
    return pl.DataFrame([part for one in piece.get_columns() for part in _tried(one, kinds[one.name])])


def _header(file: TableFile, path: str) -> list[str]:
    import polars as pl

    separator = "\t" if file.format == "tsv" else ","
    if os.path.getsize(path) == 0:
        raise UsageError(f'"{file.path}" is empty.')
    scan = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False, encoding="utf8-lossy", n_rows=0)
    return list(scan.collect_schema().names())
