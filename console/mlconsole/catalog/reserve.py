"""A megabyte held back beside the catalog, given up so that an ending can be recorded on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES = 1 << 20


def hold(catalog: Path) -> None:
    """Make the reserve if it is missing; on a disk too full for it there is none until the next time."""
    path = place_of(catalog)
    if path.exists():
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    except OSError:
        give_up(catalog)
    finally:
        os.close(descriptor)


def give_up(catalog: Path) -> bool:
    """Free the reserved space; False when there was none."""
    try:
        os.unlink(place_of(catalog))
    except OSError:
        return False
    return True


def place_of(catalog: Path) -> Path:
    """The reserve's file."""
    return catalog.with_name("reserve")
