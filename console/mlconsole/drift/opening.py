"""Opening table files: unpacked, and with errors that name the file, the line and what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO

from mlconsole import dialects
from mlconsole.config import begin_with
from mlconsole.drift.files import TableFile
from mlconsole.errors import ActionFailed

POLARS_THREADS = "POLARS_MAX_THREADS"
"""Each thread reads ahead of what counts the rows: with two, a million rows of 50 columns as text took 400 MB, with one
310, and no more processor time."""


def need_polars() -> None:
    """Raise when what reads tables is not installed.

    Raises:
        ActionFailed: polars or numpy is missing.
    """
    try:
        import numpy  # noqa: F401

        begin_with(POLARS_THREADS, "1", _begin_polars)
    except ImportError as error:
        raise ActionFailed("Reading tables needs polars and numpy.", "pip install 'mlconsole[drift]'") from error


def _begin_polars() -> None:
    import polars  # 300 ms, to read tables

    polars.thread_pool_size()  # Its threads begin here, as many as it is told now.


@contextlib.contextmanager
def unpacked(file: TableFile) -> Iterator[str]:
    """A path that polars can read; what it cannot unpack itself is unpacked beside the system's temporary files."""
    if file.packed in ("", "gzip", "zstd"):
        yield file.path
        return
    import shutil
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="mlconsole-", suffix=f".{file.format}") as plain:
        with opened(file) as packed:
            shutil.copyfileobj(packed, plain, 1 << 20)
        plain.flush()
        yield plain.name


def opened(file: TableFile) -> IO[bytes]:
    """The bytes of a file, unpacked."""
    return dialects.opened(file.path, file.packed)


def separator_of(file: TableFile) -> str:
    """What stands between the fields of a CSV file: a comma, unless its header has none and has one of the others.

    Raises:
        ActionFailed: it is UTF-16.
    """
    if file.format == "tsv" or file.packed == "zstd":
        return "\t" if file.format == "tsv" else ","
    with opened(file) as data:
        header = data.readline(1 << 16)
    if header.startswith(dialects.UTF_16):
        raise ActionFailed(f'Cannot read "{file.path}" as csv: it is UTF-16.', "Write it as UTF-8.")
    return dialects.separator(header)


@contextlib.contextmanager
def clear(file: TableFile) -> Iterator[None]:
    """Errors of the readers as one line with the file's name."""
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, EOFError, ValueError) as error:
        where, why = _place(file, error)
        raise ActionFailed(f'Cannot read "{file.path}"{where} as {file.format}: {why}.') from error
    except OSError as error:
        why = error.strerror or _first_line(error)
        raise ActionFailed(f'Cannot read "{file.path}": {why}.') from error


def _place(file: TableFile, error: BaseException) -> tuple[str, str]:
    """Where in a file its readers failed, as far as that can be told, and why."""
    line = _long_line(file) if "more fields" in str(error) else 0
    if line:
        return f", line {line}", "it has more fields than the header"
    is_quote = file.format in ("csv", "tsv") and "parse" in str(error) and has_open_quote(file)
    return "", "a quote is opened and not closed" if is_quote else _first_line(error)


def _long_line(file: TableFile) -> int:
    """The number of the first line that has more fields than the header, 0 where that cannot be told."""
    import csv
    import io

    if file.packed == "zstd":
        return 0
    with opened(file) as packed, io.TextIOWrapper(packed, "utf-8", "replace", newline="") as text:
        rows = csv.reader(text, delimiter=separator_of(file))
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
    with clear(file), opened(file) as packed:
        while block := packed.read(1 << 20):
            count += block.count(b'"')
    return count % 2 == 1


def need_all_rows(file: TableFile, rows: int) -> None:
    """Raise when rows were lost behind a quote that is opened and not closed: polars leaves them out without a word.

    A lone quote within a field loses none, and is no reason.

    Raises:
        ActionFailed: the file has more lines than rows were read, and such a quote.
    """
    if not has_open_quote(file):
        return
    lines = 0
    with opened(file) as packed:
        while block := packed.read(1 << 20):
            lines += block.count(b"\n")
    if lines - 1 > rows:
        raise ActionFailed(f'Cannot read "{file.path}" as {file.format} to its end: a quote is opened and not closed.')


def begins_as_utf8(file: TableFile) -> bool:
    """False when the beginning of a text file is not UTF-8."""
    import codecs

    if file.format == "parquet" or file.packed == "zstd":
        return True
    with clear(file), opened(file) as data:
        head = data.read(1 << 16)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    where = next((line for line in lines if "offset" in line), "")
    first = (lines or [type(error).__name__])[0]
    return ", ".join(part.rstrip(".") for part in dict.fromkeys((first, where)) if part)
