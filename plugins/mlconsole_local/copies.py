"""Copies of code by their content, where jobs run: only files that no earlier copy has are sent; Python 3.6+.

A copy is a folder named by the digest of its tree, whole from the moment it can be seen; beside it lies the list of
its files with their SHA-256, by which later copies take what is the same. Every file is read again when it is taken.
"""

import hashlib
import json
import os
import shutil
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Dict, Iterator, List, Sequence, Set, Tuple

    #: A path from the root; what it is (file, executable, link, directory); SHA-256 or where a link leads; bytes.
    Entry = Tuple[str, str, str, int]

FILE, EXECUTABLE, LINK, DIRECTORY = "f", "x", "l", "d"
FILES = (FILE, EXECUTABLE)
PIECE = 1 << 20


class Lacking(Exception):
    """A copy cannot be laid out without the files of these digests."""


def lacks(folder: str, digest: str, entries: "Sequence[Entry]") -> "List[str]":
    """The SHA-256 of the files of a copy that have to be sent; none where the copy is there."""
    if os.path.isdir(os.path.join(folder, digest)):
        return []
    known = _known(folder)
    return sorted({key for _, kind, key, size in entries if kind in FILES and not _is_there(known.get(key), size)})


def _known(folder: str) -> "Dict[str, str]":
    """Files of earlier copies, by their SHA-256."""
    found: "Dict[str, str]" = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name.endswith(".json"):
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    entries = json.loads(file.read().decode("ascii"))
                there = os.path.join(folder, name[: -len(".json")])
                found.update((key, os.path.join(there, path)) for path, kind, key, _ in entries if kind in FILES)
            except (OSError, ValueError, TypeError):
                continue
    return found


def _is_there(path: "str | None", size: int) -> bool:
    try:
        return path is not None and os.lstat(path).st_size == size
    except OSError:
        return False


def lay(folder: str, digest: str, entries: "Sequence[Entry]", body: "IO[bytes]") -> str:
    """Lay a copy out, whole or not at all, out of an archive of the files that were lacking and of earlier copies.

    Raises:
        Lacking: files are missing or are not what their digest says.
        ValueError: a path leads out of the copy.
        OSError: it cannot be written.
    """
    target = os.path.join(folder, digest)
    if os.path.isdir(target):
        return target
    draft = os.path.join(folder, ".%s.%d.tmp" % (digest, os.getpid()))
    sent = draft + ".sent"
    try:
        os.makedirs(draft)
        os.makedirs(sent)
        known = dict(_known(folder), **_unpacked(sent, body))
        _fill(draft, entries, known)
        with open(draft + ".json", "wb") as file:
            file.write(json.dumps(list(entries)).encode("ascii"))
        os.rename(draft + ".json", target + ".json")
        os.rename(draft, target)
    except OSError:
        if not os.path.isdir(target):
            raise
    finally:
        for each in (draft, sent):
            shutil.rmtree(each, ignore_errors=True)
    return target


def _unpacked(sent: str, body: "IO[bytes]") -> "Dict[str, str]":
    found = {}
    with tarfile.open(fileobj=body, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and member.name.isalnum():
                found[member.name] = os.path.join(sent, member.name)
                with open(found[member.name], "wb") as file:
                    shutil.copyfileobj(content, file, PIECE)
    return found


def _fill(draft: str, entries: "Sequence[Entry]", known: "Dict[str, str]") -> None:
    wrong: "Set[str]" = set()
    for path, kind, key, _ in entries:
        target = os.path.join(draft, path)
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        if path.startswith("/") or ".." in path.split("/") or os.path.realpath(parent) != parent:
            raise ValueError('"%s" would leave the folder' % path)
        if kind == DIRECTORY:
            os.makedirs(target, exist_ok=True)
        elif kind == LINK:
            os.symlink(key, target)
        elif not _copied(known.get(key), target, key):
            wrong.add(key)
        else:
            os.chmod(target, 0o555 if kind == EXECUTABLE else 0o444)
    if wrong:
        raise Lacking(sorted(wrong))


def _copied(source: "str | None", target: str, key: str) -> bool:
    """Copy a file, and see that it is the one that its digest names."""
    found = hashlib.sha256()
    try:
        with open(source or "", "rb") as file, open(target, "wb") as copy:
            for piece in iter(lambda: file.read(PIECE), b""):
                found.update(piece)
                copy.write(piece)
    except FileNotFoundError:
        return False
    return found.hexdigest() == key


def entries_of(root: str, names: "Sequence[str] | None" = None) -> "List[Entry]":
    """What a copy of a folder consists of; ``names``: of these paths alone."""
    return [_entry(root, name) for name in (sorted(_walk(root)) if names is None else names)]


def _walk(root: str) -> "Iterator[str]":
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            yield os.path.relpath(os.path.join(folder, name), root)


def _entry(root: str, name: str) -> "Entry":
    path = os.path.join(root, name)
    if os.path.islink(path):
        return name, LINK, os.readlink(path), 0
    if os.path.isdir(path):
        return name, DIRECTORY, "", 0
    found, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            found.update(piece)
            size += len(piece)
    return name, EXECUTABLE if os.access(path, os.X_OK) else FILE, found.hexdigest(), size


def archive(root: str, entries: "Sequence[Entry]", wanted: "Sequence[str]", out: "IO[bytes]") -> None:
    """The files of these digests, each under its digest."""
    left = set(wanted)
    with tarfile.open(fileobj=out, mode="w") as found:
        for name, kind, key, _ in entries:
            if kind in FILES and key in left:
                left.discard(key)
                found.add(os.path.join(root, name), key)


def size_of(entries: "Sequence[Entry]", wanted: "Sequence[str]") -> "Tuple[int, int]":
    """How many different files these digests are, and how many bytes."""
    sizes = {key: size for _, kind, key, size in entries if kind in FILES and key in set(wanted)}
    return len(sizes), sum(sizes.values())
