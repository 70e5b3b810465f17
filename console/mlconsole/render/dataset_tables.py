"""Datasets as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.datasets import DatasetDiff, DatasetPage, DatasetVersion, Entry, EntryKind, FileChange
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

MOST_LINES = 200
ID_CHARACTERS = 19


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about datasets; None for any other."""
    if isinstance(result, DatasetVersion):
        size = f"{numbers.counted(result.files, 'file')}  {numbers.size(result.size_bytes)}"
        return [f"{short(result.id)}  {clean(result.label)}  {size}{_rows(result)}"]
    if isinstance(result, DatasetPage):
        return _page(result)
    if isinstance(result, DatasetDiff):
        return _diff(result)
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about datasets; None for any other."""
    if isinstance(items[0], DatasetVersion):
        titles = ("DATASET", "ID", "FILES", "SIZE", "ROWS", "COLUMNS", "ADDED")
        return table(titles, [_row(one) for one in items if isinstance(one, DatasetVersion)], {2, 3, 4, 5})
    if isinstance(items[0], FileChange):
        return changes([one for one in items if isinstance(one, FileChange)])
    return None


def short(digest: str) -> str:
    """The start of a digest, long enough to be given as an id."""
    return digest[:ID_CHARACTERS]


def changes(found: Sequence[FileChange]) -> list[str]:
    """One line a file, the first two hundred."""
    rows = [(one.change, one.path or "(the file)", _size(one.before), _size(one.after)) for one in found[:MOST_LINES]]
    more = len(found) - MOST_LINES
    out = table(("CHANGE", "FILE", "SIZE BEFORE", "SIZE NOW"), rows, {2, 3})
    return out + ([f"... and {more:,} more: --json has all"] if more > 0 else [])


def _size(entry: Entry | None) -> str:
    return "" if entry is None else numbers.size(entry.size_bytes)


def _rows(version: DatasetVersion) -> str:
    return "" if version.schema.rows is None else f"  {numbers.counted(version.schema.rows, 'row')}"


def _row(version: DatasetVersion) -> tuple[str, ...]:
    schema = version.schema
    rows = "unknown" if schema.rows is None else f"{schema.rows:,}"
    columns = "unknown" if schema.columns is None else str(len(schema.columns))
    what = (version.label, short(version.id), f"{version.files:,}", numbers.size(version.size_bytes))
    return *what, rows, columns, iso(version.added_at) or ""


def _page(page: DatasetPage) -> list[str]:
    version = page.version
    pairs = [
        ("dataset", version.label),
        ("id", version.id),
        ("files", f"{version.files:,}, {numbers.size(version.size_bytes)}"),
        ("rows", "unknown" if version.schema.rows is None else f"{version.schema.rows:,}"),
        ("schema", version.schema.note),
        ("added", f"{iso(version.added_at)} by {version.added_by}"),
        *(("at", f"{place.source}  on {place.host}") for place in version.places[:MOST_LINES]),
    ]
    out = [f"{title:10}{clean(text, 2000)}" for title, text in pairs if text]
    if version.schema.columns:
        out += ["", *table(("COLUMN", "TYPE"), [tuple(column) for column in version.schema.columns[:MOST_LINES]])]
    rows = [(entry.path or "(the file)", _kind(entry), numbers.size(entry.size_bytes), entry.digest[:12])
            for entry in page.entries[:MOST_LINES]]  # fmt: skip
    out += ["", *table(("FILE", "KIND", "SIZE", "BLAKE3"), rows, {2})]
    more = len(page.entries) - MOST_LINES
    return out + ([f"... and {more:,} more: --json has all"] if more > 0 else [])


def _kind(entry: Entry) -> str:
    return "file, executable" if entry.is_executable and entry.kind is EntryKind.FILE else entry.kind.value


def _diff(diff: DatasetDiff) -> list[str]:
    before, after = diff.before, diff.after
    if before.id == after.id:
        return [f"{clean(before.label)} and {clean(after.label)} have the same content."]
    out = [f"{clean(one.label)}: {numbers.counted(one.files, 'file')}{_rows(one)}" for one in (before, after)]
    if diff.columns:
        rows = [(name, old or "", new or "") for name, old, new in diff.columns[:MOST_LINES]]
        out += ["", *table(("COLUMN", "BEFORE", "AFTER"), rows)]
    return [*out, "", *changes(diff.files)]
