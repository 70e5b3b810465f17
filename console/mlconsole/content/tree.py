"""The files that a path or a glob pattern means, and their manifest."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator

from mlconsole.content.hashing import Hasher, key_of, text_digest
from mlconsole.content.manifest import manifest_of
from mlconsole.domain.datasets import Entry, EntryKind, FileKey, Manifest
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.patterns import matching
from mlconsole.records import record

MAGIC = frozenset("*?[")
WORTH_THREADS = 64 << 20
MOST_THREADS = 8


@record
class Source:
    """What a person named: a file or a folder, or with a pattern what it matches below ``root``."""

    root: str
    pattern: str = ""

    @property
    def text(self) -> str:
        """It as one absolute path or pattern."""
        return f"{self.root.rstrip('/')}/{self.pattern}" if self.pattern else self.root


@record
class Found:
    """A thing below the root: its path from there (empty for the root), its full path, and its status in short."""

    path: str
    full: str
    mode: int
    key: FileKey


Skip = Callable[[str, int], bool]
"""Whether a thing of this name and this kind, ``stat.S_IFMT`` of its mode, is left out."""


def _nothing(name: str, kind: int) -> bool:
    return False


def source_of(word: str, folder: str) -> Source:
    """What the word means, seen from a folder; a name that exists is taken as it is, whatever is in it.

    Raises:
        UsageError: there is no such thing and it is no pattern.
    """
    full = os.path.join(folder, os.path.expanduser(word))
    if "\0" in word:
        raise UsageError(f'"{word}" is no path: a NUL is in it.')
    if os.path.lexists(full):
        return Source(os.path.realpath(full))
    if not MAGIC & set(word):
        raise UsageError(f'No file or folder "{word}".')
    parts = os.path.normpath(os.path.join(folder, full)).split("/")
    cut = next(i for i, part in enumerate(parts) if MAGIC & set(part))
    return Source(os.path.realpath("/".join(parts[:cut]) or "/"), "/".join(parts[cut:]))


def source_from(text: str, is_pattern: bool) -> Source:
    """The source that :attr:`Source.text` was made of."""
    if not is_pattern:
        return Source(text)
    parts = text.split("/")
    cut = next((i for i, part in enumerate(parts) if MAGIC & set(part)), len(parts) - 1)
    return Source("/".join(parts[:cut]) or "/", "/".join(parts[cut:]))


def find(source: Source, skip: Skip = _nothing) -> list[Found]:
    """Everything that belongs to the source, links not followed; folders only where they are empty.

    ``skip`` is asked of each thing below the root; what it leaves out is not gone into.

    Raises:
        ActionFailed: something cannot be read, is neither file nor link nor folder, or nothing is there.
    """
    try:
        found = {one.path: one for one in _find(source, skip)}
    except OSError as error:
        raise ActionFailed(f'Cannot read "{error.filename}": {error.strerror}.') from error
    if not found:
        raise ActionFailed(f'Nothing is at "{source.text}".')
    return list(found.values())


def pick(root: str, paths: Iterable[str]) -> list[Found]:
    """The files and links at these paths from the root; what is none, or not there, is left out.

    Raises:
        ActionFailed: something cannot be read.
    """
    found = []
    for path in paths:
        full = os.path.join(root, path)
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ActionFailed(f'Cannot read "{full}": {error.strerror}.') from error
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            found.append(Found(path, full, status.st_mode, key_of(status)))
    return found


def _find(source: Source, skip: Skip) -> Iterator[Found]:
    if not source.pattern:
        yield from _below(source.root, "", skip)
        return
    for path in matching(source.root, source.pattern.split("/")):
        yield from _below(os.path.join(source.root, path), path, skip)


def _below(full: str, path: str, skip: Skip) -> Iterator[Found]:
    pending = [(full, path)]
    while pending:
        full, path = pending.pop()
        status = os.lstat(full)
        kind = stat.S_IFMT(status.st_mode)
        if path and skip(os.path.basename(path), kind):
            continue
        if kind == stat.S_IFDIR:
            names = os.listdir(full)
            pending += [(os.path.join(full, name), f"{path}/{name}" if path else name) for name in names]
            if names or not path:
                continue
        elif kind not in (stat.S_IFREG, stat.S_IFLNK):
            raise ActionFailed(f'"{full}" is neither a file nor a folder nor a link.', "Take it away, or name files.")
        yield Found(path, full, status.st_mode, key_of(status))


def measure(found: list[Found], hasher: Hasher) -> Manifest:
    """The manifest of what was found; several files are read at once where that is worth it."""
    large = sum(one.key.size for one in found if stat.S_ISREG(one.mode)) >= WORTH_THREADS
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    if not large or threads == 1 or len(found) == 1:
        return manifest_of([entry_of(one, hasher) for one in found])
    from concurrent.futures import ThreadPoolExecutor  # 9 ms, for large data

    with ThreadPoolExecutor(threads) as pool:
        return manifest_of(list(pool.map(lambda one: entry_of(one, hasher), found)))


def entry_of(one: Found, hasher: Hasher) -> Entry:
    """The manifest's line for one thing; a file that is read is described as it was while it was read."""
    if stat.S_ISDIR(one.mode):
        return Entry(one.path, EntryKind.FOLDER, False, 0, text_digest(b""))
    if stat.S_ISLNK(one.mode):
        try:
            target = os.fsencode(os.readlink(one.full))
        except OSError as error:
            raise ActionFailed(f'Cannot read "{one.full}": {error.strerror}.') from error
        return Entry(one.path, EntryKind.LINK, False, len(target), text_digest(target))
    if (known := hasher.known(one.key)) is not None:
        return Entry(one.path, EntryKind.FILE, bool(one.mode & stat.S_IXUSR), one.key.size, known)
    digest, status = hasher.digest(one.full)
    return Entry(one.path, EntryKind.FILE, bool(status.st_mode & stat.S_IXUSR), status.st_size, digest)
