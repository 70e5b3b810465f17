"""Opening table files: unpacked, and with errors that name the file, the line and what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO, cast

from mlconsole.drift.files import TableFile
from mlconsole.errors import ActionFailed


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
def clear(file: TableFile) -> Iterator[None]:
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
    with opened(file) as packed, io.TextIOWrapper(packed, "utf-8", "replace", newline="") as text:
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
    with clear(file), opened(file) as packed:
        while block := packed.read(1 << 20):
            count += block.count(b'"')
    return count % 2 == 1


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    where = next((line for line in lines if "offset" in line), "")
    return ", ".join(part.rstrip(".") for part in (lines or [type(error).__name__])[:1] + ([where] if where else []))
