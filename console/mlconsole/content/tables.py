"""The columns and row counts of tabular files: CSV, JSON lines, and Parquet where polars is installed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from itertools import islice

from mlconsole.dialects import NO_VALUE, UTF_16, dialect_of, opened, separator
from mlconsole.domain.datasets import Column, Schema

MOST_BYTES = 1 << 30
"""Text of more bytes is not read a second time to count its rows."""
SAMPLE_ROWS = 1000
MOST_COLUMNS = 10_000
LONGEST_LINE = 16 << 20


class _Unknown(Exception):
    """The schema cannot be told; the text says why."""


def schema_of(paths: Sequence[str]) -> Schema:
    """The schema that the tabular ones among these files have in common, and their rows together.

    Never an error: what cannot be told is None, with a note.
    """
    tabular = [path for path in paths if _is_table(path)]
    if not tabular:
        return Schema(note="no file is a table")
    try:
        return _common(tabular)
    except _Unknown as why:
        return Schema(note=str(why))
    except (OSError, EOFError, ValueError, RecursionError) as error:
        return Schema(note=f"not readable as a table: {type(error).__name__}")


def _is_table(path: str) -> bool:
    """True for what is a table by its name; a ``.json`` beside tables is more often a document than lines."""
    form, packed = dialect_of(path)
    plain = os.path.splitext(path)[0] if packed else path
    return bool(form) and not plain.lower().endswith(".json")


def _common(tabular: Sequence[str]) -> Schema:
    if sum(os.stat(path).st_size for path in tabular if dialect_of(path)[0] != "parquet") > MOST_BYTES:
        raise _Unknown("too large to count rows")
    columns: tuple[Column, ...] | None = None
    rows = 0
    for path in tabular:
        own, count = _read(path)
        if columns is None:
            columns = own
        elif [c.name for c in own] != [c.name for c in columns]:
            raise _Unknown("the files have different columns")
        elif own != columns:
            columns = tuple(a if a == b else Column(a.name, _wider(a.type, b.type)) for a, b in zip(columns, own))  # noqa: B905
        rows += count
    return Schema(columns, rows)


def _read(path: str) -> tuple[tuple[Column, ...], int]:
    kind, packed = dialect_of(path)
    if kind == "parquet":
        return _parquet(path)
    if packed == "zstd":
        raise _Unknown("packed with zstd: its columns are not read")
    with opened(path, packed) as file:
        header = file.readline(1 << 16)
        if header.startswith(UTF_16):
            raise _Unknown("it is UTF-16, and has to be UTF-8")
        file.seek(0)
        # Letters of another encoding are no reason to know nothing of a table: whoever compares it reads it so, too.
        text = io.TextIOWrapper(file, "utf-8-sig", "replace", newline="")
        lines = _bounded(text) if packed else text
        return _json_lines(lines) if kind == "json" else _separated(lines, "\t" if kind == "tsv" else separator(header))


def _bounded(lines: Iterator[str]) -> Iterator[str]:
    """The lines of a packed file, which may hold a thousand times its size."""
    size = 0
    for line in lines:
        size += len(line)
        if size > MOST_BYTES:
            raise _Unknown("too large to count rows")
        yield line


def _separated(file: Iterator[str], delimiter: str) -> tuple[tuple[Column, ...], int]:
    import csv  # 2 ms, for CSV

    try:
        rows = (row for row in csv.reader(file, delimiter=delimiter) if row)
        names = next(rows, [])
        if not names or len(names) > MOST_COLUMNS:
            raise _Unknown("no header" if not names else "too many columns")
        if _is_row(names):
            raise _Unknown("no header: the first line is numbers, some of them twice")
        sample = list(islice(rows, SAMPLE_ROWS))
        count = len(sample) + sum(1 for _ in rows)
    except csv.Error as error:
        raise _Unknown("not readable as CSV") from error
    types = [_type_of([row[i] for row in sample if i < len(row)]) for i in range(len(names))]
    return tuple(Column(name, kind) for name, kind in zip(names, types, strict=True)), count


def _is_row(names: Sequence[str]) -> bool:
    """True for a first line that names no columns: years may stand in a header, but each once."""
    return len(set(names)) < len(names) and _type_of(list(names)) != "text"


def _type_of(values: list[str]) -> str:
    given = [value for value in values if value.strip().lower() not in NO_VALUE]
    for name, kind in (("int", int), ("float", float)):
        try:
            for value in given:
                kind(value)
        except ValueError:
            continue
        return name if given else "text"
    return "text"


def _json_lines(file: Iterator[str]) -> tuple[tuple[Column, ...], int]:
    import json

    names: dict[str, str] = {}
    count = 0
    for line in file:
        if not line.strip():
            continue
        count += 1
        if count > SAMPLE_ROWS:
            continue
        row = json.loads(line[:LONGEST_LINE])
        for name, value in row.items() if isinstance(row, dict) else (("value", row),):
            kind = _json_type(value)
            names[name] = _wider(names[name], kind) if name in names else kind
    if len(names) > MOST_COLUMNS:
        raise _Unknown("too many columns")
    return tuple(Column(name, kind) for name, kind in sorted(names.items())), count


def _json_type(value: object) -> str:
    return {bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "object"}.get(
        type(value), "null"
    )


def _wider(one: str, other: str) -> str:
    """The type that holds values of both."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    return "float" if {one, other} == {"int", "float"} else "mixed"


def _parquet(path: str) -> tuple[tuple[Column, ...], int]:
    try:
        import polars  # 100 ms, for Parquet
    except ImportError as error:
        raise _Unknown("polars is not installed: pip install 'mlconsole[parquet]'") from error
    try:
        schema = polars.read_parquet_schema(path)
        rows = polars.scan_parquet(path, glob=False).select(polars.len()).collect().item()
    except Exception as error:
        raise _Unknown("not readable as Parquet") from error
    return tuple(Column(name, str(kind)) for name, kind in schema.items()), int(rows)
