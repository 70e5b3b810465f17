"""What unpickling a file would import and call, listed from its opcodes without unpickling anything.

Plain pickles, compressed ones as joblib writes them, and those inside the zip archives of PyTorch (``data.pkl``) and
others.
"""

from __future__ import annotations

import io
import os
import pickletools
import time
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from mlconsole.domain.models import PLAIN, Signature

SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".bin")
MOST_BYTES = 8 << 20
MOST_OPCODES = 200_000
MOST_CALLS = 200
MOST_MEMBERS = 4
MOST_MEMORY = 128 << 20
TAIL_BYTES = 70_000
DEADLINE_S = 0.5
WARNING = "loading it executes what it names"
MEMOIZING = frozenset(("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"))
RECALLING = frozenset(("GET", "BINGET", "LONG_BINGET"))
CALLING = frozenset(("REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"))


def is_pickle(file: BinaryIO) -> bool:
    """Whether it begins as pickles of protocol 2 and later do."""
    start = file.read(2)
    file.seek(0)
    return start[:1] == b"\x80" and start[1:] in (b"\x02", b"\x03", b"\x04", b"\x05")


def read(file: BinaryIO, size: int) -> Signature:
    """What the pickle, or the pickles of a zip archive, would import.

    Raises:
        ValueError: it is neither.
    """
    start = file.read(6)
    file.seek(0)
    if not start.startswith(b"PK\x03\x04"):
        data, is_whole = _unpacked(start, file.read(MOST_BYTES), size)
        return _listed([data], "" if is_whole else "only its start was read")
    if _directory_bytes(file, size) > MOST_BYTES:
        raise ValueError("a zip archive with too many members")
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if os.path.splitext(name)[1] in (".pkl", ".pickle")]
            # What torch.load() unpickles comes first: it must not be hidden behind others.
            names.sort(key=lambda name: os.path.basename(name) != "data.pkl")
            pickles = [_member(archive, name) for name in names[:MOST_MEMBERS]]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"not a sound zip archive: {type(error).__name__}") from error
    if not names:
        return Signature(note="a zip archive without a pickle")
    left_out = len(names) - len(pickles)
    return _listed(pickles, f"{left_out:,} more pickles in it were not read" if left_out else "")


def _unpacked(start: bytes, data: bytes, size: int) -> tuple[bytes, bool]:
    """The first bytes of what a compressed pickle holds, as joblib writes them, and whether they are all of it.

    Raises:
        ValueError: it is not sound.
    """
    import bz2  # 1 ms with the others, for compressed pickles
    import lzma
    import zlib

    packed: bz2.BZ2Decompressor | lzma.LZMADecompressor | zlib._Decompress
    if start.startswith(b"BZh"):
        packed = bz2.BZ2Decompressor()
    elif start.startswith((b"\xfd7zXZ", b"\x5d\x00\x00")):
        packed = lzma.LZMADecompressor(memlimit=MOST_MEMORY)
    elif start[:2] in (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
        packed = zlib.decompressobj(wbits=47)  # zlib's header or gzip's
    else:
        return data, size <= MOST_BYTES
    try:
        return packed.decompress(data, MOST_BYTES), packed.eof
    except (OSError, zlib.error, lzma.LZMAError, EOFError) as error:
        raise ValueError(f"not soundly compressed: {type(error).__name__}") from error


def _directory_bytes(file: BinaryIO, size: int) -> int:
    """What the end of a zip archive says of the length of its directory (PKWARE APPNOTE 6.3.10, 4.3.14 and 4.3.16)."""
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    file.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    large = tail.rfind(b"PK\x06\x06", 0, max(at, 0))
    if large >= 0:
        return int.from_bytes(tail[large + 40 : large + 48], "little")
    return int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        return member.read(MOST_BYTES)


def _listed(pickles: list[bytes], unread: str = "") -> Signature:
    """The names that would be imported, and a warning; ``unread`` says what was not looked at."""
    if not all(pickles):
        raise ValueError("there is nothing in it")
    found: dict[str, None] = {}
    calls = 0
    until = time.monotonic() + DEADLINE_S
    notes = [unread] if unread else []
    try:
        for name in (name for data in pickles for name in _names(data, until)):
            calls += name in CALLING
            if name not in CALLING:
                found[name] = None
    except ValueError as error:
        if not found:
            raise ValueError(f"what loading it executes is not known: {error}") from error
        notes.append(f"its opcodes were not read to the end: {str(error)[:100]}")
    names = tuple(found)
    is_plain = not (names or calls or notes)
    note = PLAIN if is_plain else "; ".join([WARNING, *notes])
    return Signature("pickle", calls=names[:MOST_CALLS], note=note, more=max(0, len(names) - MOST_CALLS))


def _names(data: bytes, until: float) -> Iterator[str]:
    """``module.name`` of every global that the opcodes load, and the names of the opcodes that call something.

    Several pickles may follow each other, and bytes of arrays behind them.

    Raises:
        ValueError: the opcodes of the first one are not sound.
    """
    stream = io.BytesIO(data)
    first = True
    while stream.tell() < len(data):
        try:
            yield from _names_of_one(stream, until)
        except ValueError:
            if first:
                raise
            return
        first = False


def _names_of_one(stream: io.BytesIO, until: float) -> Iterator[str]:
    texts: list[str] = []
    memo: dict[int, str | None] = {}
    top: str | None = None
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count % 1000 == 999 and (count > MOST_OPCODES or time.monotonic() > until):
            raise ValueError("there are too many")
        if opcode.name in MEMOIZING:
            memo[argument if isinstance(argument, int) else len(memo)] = top
            continue
        top = memo.get(argument) if opcode.name in RECALLING and isinstance(argument, int) else None
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".", 1)[:300]
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])[:300] if len(texts) >= 2 else "a name made while unpickling"
        elif isinstance(argument, str):
            top = argument[:200]
        if top is not None:
            texts = [*texts[-1:], top]
        if opcode.name in CALLING:
            yield opcode.name
