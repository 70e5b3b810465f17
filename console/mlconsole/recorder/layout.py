"""The bytes of a run log: constants, and encoding.

A log is ``MAGIC`` and then records. A record is a header of 8 bytes, ``<HHI`` = schema, words, crc, and a
payload whose length is a multiple of 8::

    schema >= 1   one row of metrics: step i64, time f64 (seconds since the epoch), then one f64 per key
    schema == 0   one JSON event: its length u64, the JSON text in ASCII, zeros up to a multiple of 8

``words`` is the payload's length in units of 8 bytes, modulo 65536 for an event, whose true length is its own
u64. ``crc`` is CRC-32 (zlib) of the payload, started from the header's first four bytes: a header that is
damaged does not match its payload either. A schema is defined by a ``keys`` event before its first row. All
numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from zlib import crc32

from mlconsole.recorder.forking import importing

MAGIC = b"MLCLOG\x00\x01"
FORMAT = 1
SUFFIX = ".mlog"

MAX_SCHEMA = 0xFFFF
MAX_KEYS = 4096
MAX_EVENT_BYTES = 64 << 20

HEADER = struct.Struct("<HHI")
SHORTEST_EVENT = 17  # a header, a length and the opening brace

_SEED = 0x4D4C4F47
_LENGTH = struct.Struct("<Q")


def prefix_of(schema: int, words: int) -> int:
    """The first four bytes of a header, as one number."""
    return schema | words << 16


def seed_of(prefix: int) -> int:
    """What the checksum of a payload starts from."""
    return prefix ^ _SEED


def row_words(keys: int) -> int:
    """Payload words of a row of so many keys."""
    return keys + 2


def event_size(length: int) -> int:
    """Bytes of the whole record of an event whose JSON text has ``length`` bytes."""
    return 16 + (length + 7 & ~7)


def row_payload(keys: int) -> struct.Struct:
    """The packer of a row's payload: step, time, values."""
    return struct.Struct(f"<qd{keys}d")


def encode_row(schema: int, step: int, time: float, values: Sequence[float]) -> bytes:
    """One row as a record."""
    words = row_words(len(values))
    payload = row_payload(len(values)).pack(step, time, *values)
    return HEADER.pack(schema, words, crc32(payload, seed_of(prefix_of(schema, words)))) + payload


def encode_event(event: Mapping[str, object]) -> bytes:
    """One event as a record.

    Raises:
        ValueError: the event is larger than ``MAX_EVENT_BYTES``.
        TypeError: it holds something that JSON has no form for.
    """
    with importing:
        import json  # about 4 ms, and the console never encodes

    text = json.dumps(event, separators=(",", ":")).encode("ascii")
    if len(text) > MAX_EVENT_BYTES:
        raise ValueError(f"an event of {len(text)} bytes; at most {MAX_EVENT_BYTES} fit")
    payload = _LENGTH.pack(len(text)) + text + bytes(-len(text) % 8)
    words = len(payload) // 8 & 0xFFFF
    return HEADER.pack(0, words, crc32(payload, seed_of(prefix_of(0, words)))) + payload
