"""Small parts of a release, kept in the catalog's own folder by the digest of what they are.

Each one is a folder ``kept/DIGEST``, whole from the moment it can be seen. Code, configuration and lock files are kept,
so that an edit in place does not take away what was released; data and models stay where they lie.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence, Set
from pathlib import Path

from mlconsole.content.hashing import Hasher
from mlconsole.content.tree import Found, Source, find, measure, pick
from mlconsole.domain.datasets import EntryKind
from mlconsole.domain.releases import MemberFile
from mlconsole.errors import ActionFailed

FOLDER = "kept"
MOST_BYTES = 256 << 20
IGNORED = frozenset({".git", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
KINDS = frozenset({stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR})


def read(root: str, hasher: Hasher, only: Set[str] | None = None) -> tuple[str, tuple[MemberFile, ...]]:
    """The digest and the files of a folder, or of one file as a folder that holds it.

    Caches and .git are left out, and what is no file, as sockets and pipes.

    ``only``: the paths from the root that count; None: all.

    Raises:
        ActionFailed: it cannot be read.
    """
    found = _found(root, only)
    manifest = measure(found, hasher)
    files = [
        MemberFile(entry.path, entry.digest, entry.size_bytes, entry.is_executable)
        for entry in manifest.entries
        if entry.kind is EntryKind.FILE
    ]
    return manifest.digest, tuple(sorted(files, key=lambda one: os.fsencode(one.path)))


def _found(root: str, only: Set[str] | None = None) -> list[Found]:
    if only is None:
        found = find(Source(root), _is_no_code)
    else:
        found = pick(root, (path for path in only if not IGNORED & set(path.split("/"))))
    if not found:
        raise ActionFailed(f'Nothing is in "{root}".')
    if len(found) == 1 and not found[0].path:
        one = found[0]
        return [Found(os.path.basename(root), one.full, one.mode, one.key)]
    return found


def _is_no_code(name: str, kind: int) -> bool:
    return name in IGNORED or kind not in KINDS


def keep(
    home: Path, root: str, hasher: Hasher, only: Set[str] | None = None
) -> tuple[str, tuple[MemberFile, ...], str]:
    """Keep a folder or a file, or of a folder ``only`` these paths; returns its digest, its files, and where they are.

    Raises:
        ActionFailed: it cannot be read or written, changed meanwhile, or is too large to be kept.
    """
    digest, files = read(root, hasher, only)
    place = home / FOLDER / digest.removeprefix("blake3:")
    if place.is_dir():
        return digest, files, str(place)
    check_size(root, sum(one.size_bytes for one in files))
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        _copy(_found(root, only), new)
        if read(str(new), Hasher())[0] != digest:
            raise ActionFailed(f'"{root}" changed while it was read.', "Try again when nobody writes to it.")
        os.rename(new, place)
    except OSError as error:
        if not place.is_dir():
            raise ActionFailed(f'Cannot keep "{root}": {error.strerror}.') from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return digest, files, str(place)


def check_size(root: str, size: int) -> None:
    """Refuse what is no code.

    Raises:
        ActionFailed: it has too many bytes to be kept.
    """
    if size > MOST_BYTES:
        raise ActionFailed(
            f'"{root}" has {size:,} bytes, more than the {MOST_BYTES:,} that are kept with a release.',
            "Name the folder of the code alone; data and models have flags of their own.",
        )


def _copy(found: Sequence[Found], new: Path) -> None:
    for one in found:
        target = new / one.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(one.mode):
            os.symlink(os.readlink(one.full), target)
        elif stat.S_ISDIR(one.mode):
            target.mkdir(exist_ok=True)
        else:
            shutil.copyfile(one.full, target, follow_symlinks=False)
            # Read and execute alone: an edit in place would take away what was released.
            target.chmod(0o555 if one.mode & stat.S_IXUSR else 0o444)
