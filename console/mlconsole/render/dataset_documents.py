"""Datasets as JSON documents."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.datasets import DatasetDiff, DatasetPage, DatasetVersion, Entry, FileChange
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about datasets; None for any other."""
    if isinstance(result, DatasetVersion):
        return {"kind": "dataset", **version_document(result)}
    if isinstance(result, DatasetPage):
        entries = [_entry(entry) for entry in result.entries]
        return {"kind": "dataset", **version_document(result.version), "manifest": entries}
    if isinstance(result, DatasetDiff):
        return _diff(result)
    return None


def item(thing: object) -> Document | None:
    """An element of a list about datasets; None for any other."""
    if isinstance(thing, DatasetVersion):
        return version_document(thing)
    if isinstance(thing, FileChange):
        return _change(thing)
    return None


def version_document(version: DatasetVersion) -> Document:
    """A version, with the field names that scripts rely on."""
    columns = version.schema.columns
    return {
        "id": version.id,
        "name": version.name,
        "version": version.version,
        "files": version.files,
        "size_bytes": version.size_bytes,
        "rows": version.schema.rows,
        "columns": None if columns is None else [column._asdict() for column in columns],
        "schema_note": version.schema.note,
        "added_at": iso(version.added_at),
        "added_by": version.added_by,
        "places": [{"source": p.source, "host": p.host, "at": iso(p.at)} for p in version.places],
    }


def _entry(entry: Entry) -> Document:
    return {
        "path": entry.path,
        "kind": entry.kind.value,
        "executable": entry.is_executable,
        "size_bytes": entry.size_bytes,
        "digest": f"blake3:{entry.digest}",
    }


def _change(change: FileChange) -> Document:
    before, after = (entry and _entry(entry) for entry in (change.before, change.after))
    return {"path": change.path, "change": change.change, "before": before, "after": after}


def _diff(diff: DatasetDiff) -> Document:
    return {
        "kind": "dataset_diff",
        "before": version_document(diff.before),
        "after": version_document(diff.after),
        "files": [_change(change) for change in diff.files],
        "columns": [{"column": name, "before": old, "after": new} for name, old, new in diff.columns],
    }
