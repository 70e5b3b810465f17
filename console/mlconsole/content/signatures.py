"""What saved models say of themselves: headers are read, nothing is loaded, nothing is executed.

The format of safetensors is that of huggingface/safetensors, README, "Format"; ONNX and pickles have modules of their
own. Every reader is bounded in bytes, whatever a header claims.
"""

from __future__ import annotations

import json
import os
import stat
import struct
from typing import Any, BinaryIO

from mlconsole.content import onnx, pickles
from mlconsole.domain.models import Signature, Tensor

MOST_HEADER = 16 << 20
MOST_TENSORS = 10_000
MOST_NAME = 1000


def signature_of(path: str) -> Signature:
    """The signature of a file, by its name's ending and its first bytes; never an error.

    A file that is not what it claims is ``unreadable``, with the reason.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return Signature("unreadable", note="not a regular file")
            return _read(path, file, status.st_size)
    except OSError as error:
        return Signature("unreadable", note=error.strerror or "cannot be read")


def _read(path: str, file: BinaryIO, size: int) -> Signature:
    suffix = os.path.splitext(path)[1].lower()
    try:
        if suffix == ".safetensors":
            return safetensors(file, size)
        if suffix == ".onnx":
            return onnx.read(file, size)
        if suffix in pickles.SUFFIXES or pickles.is_pickle(file):
            return pickles.read(file, size)
    except (ValueError, KeyError, TypeError, EOFError, IndexError, RecursionError, struct.error) as error:
        return Signature("unreadable", note=str(error)[:200] or type(error).__name__)
    return Signature()


def safetensors(file: BinaryIO, size: int) -> Signature:
    """The tensors that a safetensors header names.

    Raises:
        ValueError: the header is not one, or not within the file.
    """
    first = file.read(8)
    length = int.from_bytes(first, "little")
    if len(first) < 8 or length > size - 8:
        raise ValueError(f"its header claims {length:,} bytes, the file has {size:,}")
    if length > MOST_HEADER:
        raise ValueError(f"its header of {length:,} bytes is too long")
    try:
        header = json.loads(file.read(length))
    except UnicodeDecodeError as error:
        raise ValueError("its header is not JSON") from error
    if not isinstance(header, dict):
        raise ValueError("its header is not an object")
    names = [name for name in header if name != "__metadata__"]
    kept = tuple(_tensor(name, header[name]) for name in names[:MOST_TENSORS])
    missing = max((_end(header[name]) for name in names), default=0) - (size - 8 - length)
    note = f"it is cut short: {missing:,} bytes of its tensors are missing" if missing > 0 else ""
    return Signature("safetensors", kept, more=len(names) - len(kept), note=note)


def _end(found: object) -> int:
    """Where a tensor's bytes end, counted from the header's end; 0 where it is not said."""
    offsets = found.get("data_offsets") if isinstance(found, dict) else None
    return offsets[1] if isinstance(offsets, list) and len(offsets) == 2 and type(offsets[1]) is int else 0


def _tensor(name: str, found: dict[str, Any]) -> Tensor:
    shape = found["shape"]
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
        raise ValueError(f"the shape of {name[:80]!r} is none")
    return Tensor(name[:MOST_NAME], str(found["dtype"])[:40], tuple(shape[:64]))
