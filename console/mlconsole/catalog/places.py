"""Where a catalog may lie: network file systems break SQLite's locks and are recognised before the file is touched."""

from __future__ import annotations

import os
from pathlib import Path

from mlconsole.errors import CatalogUnsafePlace

NETWORK_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph", "lustre", "glusterfs", "fuse.glusterfs",
     "beegfs", "gpfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "ncpfs", "virtiofs"}
)  # fmt: skip
MOUNTS = Path("/proc/self/mounts")


def refuse_network_file_system(directory: Path, mounts: Path = MOUNTS) -> None:
    """Raise when the directory lies on a network file system.

    Raises:
        CatalogUnsafePlace: it does; the message names the mount.
    """
    found = mount_of(directory, mounts)
    if found is not None and found[1] in NETWORK_TYPES:
        point, kind = found
        raise CatalogUnsafePlace(
            f'The catalog "{directory}" is on a network file system ({kind} at "{point}"), where locks fail.',
            "Choose a local disk: --catalog DIR; MLCONSOLE_NETWORK_HOME=1 lets one process at a time use it.",
        )


def mount_of(directory: Path, mounts: Path = MOUNTS) -> tuple[str, str] | None:
    """The (mount point, type) that holds the directory, by the mount table alone; None where there is no table."""
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    wanted = os.path.abspath(directory)
    best: tuple[str, str] | None = None
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = _unescape(fields[1])
        inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best[0])):
            best = (point, fields[2])
    return best


def _unescape(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
