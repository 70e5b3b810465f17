"""From a list of entries to the digest that is a dataset's id.

Entries are grouped by folder into partitions, so that a version that appends a folder shares the others. Every text
and number is framed by its length; what is framed, and in which order, is the format of the id and never changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from mlconsole.domain.datasets import Entry, EntryKind, Manifest, Partition

PARTITION = "mlconsole dataset partition 1"
MANIFEST = "mlconsole dataset manifest 1"
_KIND = {EntryKind.FILE: b"f", EntryKind.LINK: b"l", EntryKind.FOLDER: b"d"}


def manifest_of(entries: Iterable[Entry]) -> Manifest:
    """The manifest of entries, whose paths are relative to the root; their order does not matter."""
    folders: dict[str, list[Entry]] = {}
    for entry in entries:
        folder, _, name = entry.path.rpartition("/")
        folders.setdefault(folder, []).append(entry._replace(path=name))
    parts = [_partition(folder, folders[folder]) for folder in sorted(folders, key=os.fsencode)]
    framed = b"".join(_framed(os.fsencode(part.folder)) + bytes.fromhex(part.digest) for part in parts)
    return Manifest(f"blake3:{_digest(framed, MANIFEST)}", tuple(parts))


def _partition(folder: str, entries: list[Entry]) -> Partition:
    entries.sort(key=lambda entry: os.fsencode(entry.path))
    framed = b"".join(
        _KIND[entry.kind]
        + (b"x" if entry.is_executable else b"-")
        + _framed(os.fsencode(entry.path))
        + entry.size_bytes.to_bytes(8, "little")
        + bytes.fromhex(entry.digest)
        for entry in entries
    )
    return Partition(folder, _digest(framed, PARTITION), tuple(entries))


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data


def _digest(data: bytes, context: str) -> str:
    from blake3 import blake3  # 1 ms, where something is hashed

    return str(blake3(data, derive_key_context=context).hexdigest())
