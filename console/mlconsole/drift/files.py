"""The table files that a path, a folder or a glob pattern means, and how each one is written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mlconsole.dialects import FORMATS, PACKED, dialect_of
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.patterns import matching

MAGIC = frozenset("*?[")
_PARTITION = re.compile(r"([^=/]+)=([^/]*)")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a table.

    Attributes:
        path: where it is.
        format: csv, tsv, json (lines) or parquet.
        packed: how it is compressed, empty if it is not.
        size_bytes: as it lies there.
        mtime: when it was written last, seconds since 1970.
        partition: columns that its folders' names give it, as in ``country=DE/part-0.csv``.
    """

    path: str
    format: str
    packed: str = ""
    size_bytes: int = 0
    mtime: float = 0.0
    partition: tuple[tuple[str, str], ...] = ()


def table_files(word: str, *, folder: str | None = None) -> list[TableFile]:
    """The files of a table in the order of their names; a name that exists is taken as it is.

    Raises:
        UsageError: there is no such thing, or no file in it is a table.
        ActionFailed: it cannot be looked at.
    """
    base = os.path.join(folder or os.getcwd(), os.path.expanduser(word))
    if "\0" in word or not word:
        raise UsageError(f'"{word}" is no path.')
    try:
        if os.path.isdir(base):
            found = [one for path in _below(base) if (one := _known(path, base)) is not None]
        elif os.path.exists(base):
            return [_named(base)]
        elif MAGIC & set(word):
            found = _matching(folder or os.getcwd(), os.path.expanduser(word))
        else:
            raise UsageError(f'No file or folder "{word}".')
    except OSError as error:
        raise ActionFailed(f'Cannot read "{error.filename}": {error.strerror}.') from error
    if not found:
        known = " ".join(FORMATS)
        raise UsageError(f'No file of "{word}" is a table.', f"Known: {known}, also compressed: {' '.join(PACKED)}")
    return found


def _matching(folder: str, pattern: str) -> list[TableFile]:
    root = os.sep if os.path.isabs(pattern) else folder
    parts = os.path.normpath(pattern).lstrip(os.sep).split(os.sep)
    found: list[TableFile] = []
    for path in sorted({os.path.join(root, path) for path in matching(root, parts)}):
        if os.path.isdir(path):
            found += [one for inner in _below(path) if (one := _known(inner, path)) is not None]
        elif (one := _known(path, os.path.dirname(path))) is not None:
            found.append(one)
    return found


def _below(folder: str) -> Iterable[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield from (os.path.join(root, name) for name in sorted(names) if not name.startswith((".", "_")))


def _known(path: str, base: str) -> TableFile | None:
    kind, packed = dialect_of(path)
    if not kind:
        return None
    status = os.stat(path)
    parts = _PARTITION.findall(os.path.relpath(os.path.dirname(path), base) + "/")
    return TableFile(path, kind, packed, status.st_size, status.st_mtime, tuple(parts))


def _named(path: str) -> TableFile:
    """A file that was named outright: where its name does not tell, its first bytes do."""
    found = _known(path, os.path.dirname(path))
    if found is not None:
        return found
    with open(path, "rb") as file:
        head = file.read(4096)
    status = os.stat(path)
    if head[:4] == b"PAR1":
        return TableFile(path, "parquet", "", status.st_size, status.st_mtime)
    if head.lstrip()[:1] == b"{":
        return TableFile(path, "json", "", status.st_size, status.st_mtime)
    hint = f"Give it one of these endings: {' '.join(FORMATS)}"
    raise UsageError(f'"{path}" is no table that could be told by its name or its first bytes.', hint)
