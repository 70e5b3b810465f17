"""Files that a run made or used: copied into its folder or named where they are, with size and digest."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple, Optional
from zlib import crc32

from mlconsole.recorder.forking import importing

_CHUNK = 1 << 20
_WHOLE_DIGEST = 64 << 20
_MOST_FILES = 100_000
_NAME_BYTES = 200
_EMPTY = ("", ".", "..")


class Stored(NamedTuple):
    """What became of a file or folder: its path, size in bytes and digest (``kind:hex``), where they are known.

    ``files`` are those of a folder whose bytes were read: the path inside and the digest of each.
    """

    path: str
    size: Optional[int]
    digest: str
    files: tuple[tuple[str, str], ...] = ()


class _TooMany(ValueError):
    """A folder has more files than are looked at."""


def safe_name(name: str) -> str:
    """A relative path of plain components for any text: nothing in it leads out of a folder.

    Raises:
        ValueError: nothing of the text is left.
    """
    parts = [_safe_part(part) for part in name.replace("\\", "/").split("/") if part.strip() not in _EMPTY]
    if not parts:
        raise ValueError(f"{name[:80]!r} is no name for an artifact")
    return "/".join(parts)


def _safe_part(part: str) -> str:
    """One component; where it had to be changed, a checksum keeps it apart from others."""
    raw = part.encode("utf-8", "surrogatepass")
    clean = "".join(c if c.isprintable() else "_" for c in part)
    if clean == part and len(raw) <= _NAME_BYTES:
        return part
    kept = clean.encode("utf-8", "replace")[:_NAME_BYTES].decode("utf-8", "ignore")
    return f"{kept}-{crc32(raw):08x}"


def store(source: str, root: str, name: str) -> Stored:
    """Copy a file, or a folder's regular files, to ``root/name``; the digest is of the bytes copied.

    Links inside a folder are left out, and no component below ``root`` may be one.

    Raises:
        OSError: the source cannot be read or the copy cannot be written.
        ValueError: the source is neither a file nor a folder, or the name is none.
    """
    target = safe_name(name)
    if not os.path.isdir(source):
        return _copy_file(source, root, target)
    files = []
    size = 0
    # All names first: the run's own folder may lie in the one that is copied.
    for path in list(_files_of(source)):
        inner = os.path.relpath(path, source)
        copied = _copy_file(path, root, f"{target}/{safe_name(inner)}")
        files.append((inner, copied.digest))
        size += copied.size or 0
    os.close(_open_folder(root, target.split("/")))
    return _tree(target, size, files)


def describe(source: str) -> Stored:
    """A file or folder where it is, with a digest whose name says what it is over.

    ``sha256``: all bytes. ``sha256-ends``: size, first and last 32 MiB, for files of more than 64 MiB.
    ``sha256-tree``: names and digests of a folder's files. ``sha256-list``: names and sizes, for folders of more
    than 64 MiB. A folder of more than 100,000 files is only named.

    Raises:
        OSError: it cannot be read.
        ValueError: it is neither a file nor a folder.
    """
    path = os.path.abspath(source)
    if not os.path.isdir(path):
        return _describe_file(path)
    try:
        files = [(inner, os.stat(inner, follow_symlinks=False).st_size) for inner in _files_of(path)]
    except _TooMany:
        return Stored(path, None, "")
    size = sum(length for _, length in files)
    if size > _WHOLE_DIGEST:
        lines = [f"{os.path.relpath(inner, path)}\0{length}\n" for inner, length in files]
        return Stored(path, size, _digest_of_text("".join(lines), "sha256-list"))
    return _tree(path, size, [(os.path.relpath(inner, path), _describe_file(inner).digest) for inner, _ in files])


def measure(source: str) -> Stored:
    """A file or folder where it is, with the digest that :func:`store` would give it: every byte is read once.

    Raises:
        OSError: it cannot be read.
        ValueError: it is neither a file nor a folder, or has too many files.
    """
    path = os.path.abspath(source)
    if not os.path.isdir(path):
        return _measure_file(path)
    found = [(os.path.relpath(inner, path), _measure_file(inner)) for inner in _files_of(path)]
    return _tree(path, sum(one.size or 0 for _, one in found), [(inner, one.digest) for inner, one in found])


def _tree(path: str, size: int, files: list[tuple[str, str]]) -> Stored:
    """A folder by the names and digests of its files."""
    text = "".join(f"{inner}\0{digest}\n" for inner, digest in files)
    return Stored(path, size, _digest_of_text(text, "sha256-tree"), tuple(files))


def _measure_file(path: str) -> Stored:
    import hashlib

    digest = hashlib.sha256()
    fd = _open_source(path)
    size = 0
    try:
        while chunk := os.read(fd, _CHUNK):
            digest.update(chunk)
            size += len(chunk)
    finally:
        os.close(fd)
    return Stored(path, size, f"sha256:{digest.hexdigest()}")


def _describe_file(path: str) -> Stored:
    with importing:
        import hashlib

    digest = hashlib.sha256()
    fd = _open_source(path)
    try:
        size = os.fstat(fd).st_size
        half = _WHOLE_DIGEST // 2
        whole = size <= _WHOLE_DIGEST
        for start, stop in [(0, size)] if whole else [(0, half), (size - half, size)]:
            os.lseek(fd, start, os.SEEK_SET)
            while start < stop and (chunk := os.read(fd, min(_CHUNK, stop - start))):
                digest.update(chunk)
                start += len(chunk)
    finally:
        os.close(fd)
    if whole:
        return Stored(path, size, f"sha256:{digest.hexdigest()}")
    digest.update(str(size).encode("ascii"))
    return Stored(path, size, f"sha256-ends:{digest.hexdigest()}")


def _copy_file(source: str, root: str, target: str) -> Stored:
    with importing:
        import hashlib

    digest = hashlib.sha256()
    size = 0
    *folders, name = target.split("/")
    draft = f".{os.urandom(6).hex()}.tmp"
    source_fd = _open_source(source)
    try:
        folder_fd = _open_folder(root, folders)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(draft, flags, 0o666, dir_fd=folder_fd), "wb", buffering=0) as file:
                while chunk := os.read(source_fd, _CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    _write_all(file.fileno(), chunk)
            os.replace(draft, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except BaseException:
            _unlink(draft, folder_fd)
            raise
        finally:
            os.close(folder_fd)
    finally:
        os.close(source_fd)
    return Stored(target, size, f"sha256:{digest.hexdigest()}")


def _open_source(path: str) -> int:
    """Open a regular file for reading; a pipe or a device is refused without waiting for it."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise ValueError(f"{path!r} is not a regular file")


def _open_folder(root: str, folders: list[str]) -> int:
    """Open a folder below the root, made if need be, without following a link on the way."""
    os.makedirs(root, exist_ok=True)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(root, flags)
    for folder in folders:
        try:
            try:
                os.mkdir(folder, dir_fd=fd)
            except FileExistsError:
                pass
            inner = os.open(folder, flags, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _files_of(folder: str) -> Iterator[str]:
    """The regular files below a folder in a fixed order, links not followed."""
    found = 0
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            full = os.path.join(path, name)
            if stat.S_ISREG(os.lstat(full).st_mode):
                found += 1
                if found > _MOST_FILES:
                    raise _TooMany(f"{folder!r} has more than {_MOST_FILES} files")
                yield full


def _digest_of_text(text: str, kind: str) -> str:
    with importing:
        import hashlib

    return f"{kind}:{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _unlink(name: str, folder_fd: int) -> None:
    try:
        os.unlink(name, dir_fd=folder_fd)
    except OSError:
        pass
