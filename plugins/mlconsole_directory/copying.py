"""Copies a member's files, each one checked against its digest while it is copied; follows no link."""

from __future__ import annotations

import os
import stat

from mlconsole.plugin_api import ActionFailed, MemberRef

PIECE = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def inner(path: str) -> list[str]:
    """The parts of a path that stays inside.

    Raises:
        ActionFailed: it is absolute, empty, or goes up.
    """
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ActionFailed(f'"{path}" is no path within a release.')
    return parts


def copy_member(member: MemberRef, folder: str) -> None:
    """Copy a member's files below a new folder, durably.

    Raises:
        ActionFailed: a file is missing, is a link, or is not what its digest says.
    """
    os.mkdir(folder)
    for path, digest in sorted(member.files.items()):
        source = os.open(member.path, _FILE) if not path else _open(str(member.path), inner(path))
        target = os.path.join(folder, *(inner(path) if path else [member.path.name]))
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            found = _copy(source, target)
        finally:
            os.close(source)
        if found != digest:
            raise ActionFailed(
                f'"{path or member.path.name}" of {member.kind} "{member.id}" is not what the release says.',
                "Its bytes have changed since. Look: mlconsole release show",
            )


def _open(root: str, parts: list[str]) -> int:
    """A descriptor of a file below the root, opened folder by folder so that none of them is a link."""
    at = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = below
        return os.open(parts[-1], _FILE, dir_fd=at)
    finally:
        os.close(at)


def _copy(source: int, target: str) -> str:
    """Copy what a descriptor reads to a new file; returns the digest of what was copied."""
    from blake3 import blake3

    status = os.fstat(source)
    if not stat.S_ISREG(status.st_mode):
        raise ActionFailed(f'"{os.path.basename(target)}" is not a regular file.')
    digest = blake3()
    mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(new, "wb", buffering=0) as file:
        while piece := os.read(source, PIECE):
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
        os.fsync(new)
    return digest.hexdigest()
