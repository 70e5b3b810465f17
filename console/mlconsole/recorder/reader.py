"""Reads a run log piece by piece: keeps what is sound and names what is not."""

from __future__ import annotations

import json
from zlib import crc32

from mlconsole.recorder.columns import Rows, Schema, Series
from mlconsole.recorder.layout import (
    HEADER,
    MAGIC,
    MAX_EVENT_BYTES,
    MAX_KEYS,
    MAX_SCHEMA,
    SHORTEST_EVENT,
    event_size,
    prefix_of,
    seed_of,
)
from mlconsole.recorder.resync import candidates

LONGEST_DAMAGE = 1 << 20
MAX_PENDING = MAX_EVENT_BYTES + LONGEST_DAMAGE + 4096

_WAIT = 0
_BAD = -1


class Damage:
    """Bytes of a log that are no record: where, how many, and what is wrong with the first of them."""

    __slots__ = ("length", "message", "offset")

    def __init__(self, offset: int, length: int, message: str) -> None:
        self.offset = offset
        self.length = length
        self.message = message

    def __repr__(self) -> str:
        return f"Damage(offset={self.offset}, length={self.length}, message={self.message!r})"


class Batch:
    """What one piece of a log held.

    Attributes:
        events: absolute offset and content of each event, ``keys`` events included, in the order of the file.
        series: the new points by metric.
        consumed: bytes of the piece that were used; the next piece starts after them.
        damage: what was skipped.
    """

    __slots__ = ("consumed", "damage", "events", "series")

    def __init__(self) -> None:
        self.events: list[tuple[int, dict[str, object]]] = []
        self.series: dict[str, Series] = {}
        self.consumed = 0
        self.damage: list[Damage] = []


class Reader:
    """Decodes one run log; never raises on what the bytes hold.

    However a log is cut into pieces, the results put together are the same. A piece of ``MAX_PENDING`` bytes
    always moves on by something. Damage longer than ``LONGEST_DAMAGE`` is reported in parts of that length.

    Args:
        schemas: keys by schema number, as another Reader left them, to go on from an offset.
    """

    def __init__(self, schemas: dict[int, list[str]] | None = None) -> None:
        self.schemas: dict[int, list[str]] = {}
        self._known: dict[int, Schema] = {}
        for number, keys in (schemas or {}).items():
            self._define(number, keys)

    def read(self, data: bytes, offset: int, final: bool = False) -> Batch:
        """Decode the log's bytes from ``offset`` on.

        Args:
            data: the bytes; from offset 0 they begin with the magic.
            offset: absolute place of ``data`` in the log.
            final: nothing will follow: an incomplete record at the end is damage instead of left unread.
        """
        batch = Batch()
        if offset == 0:
            batch.consumed = self._begin(data, final, batch)
        if offset or batch.consumed:
            while moved := self._advance(data, batch.consumed, offset, final, batch):
                batch.consumed += moved
        return batch

    def _begin(self, data: bytes, final: bool, batch: Batch) -> int:
        """Bytes used by the magic, or by what stands in its place; 0 when nothing can be told yet."""
        if data.startswith(MAGIC):
            return len(MAGIC)
        if not data or (len(data) < len(MAGIC) and not final):
            return 0
        return self._skip(data, 0, 0, final, "the file does not begin as a run log of version 1", batch)

    def _advance(self, data: bytes, at: int, offset: int, final: bool, batch: Batch) -> int:
        """Read rows, then one event or stretch of damage; returns the bytes used, 0 when some are missing."""
        start = at
        at = Rows(data, self._known, batch.series).take(at)
        size = self._measure(data, at)
        if size > 0:
            self._take_event(data, at, offset, size, batch)
        elif at < len(data) and (final or size == _BAD):
            complaint = "torn record" if size == _WAIT else self._complaint(data, at)
            size = self._skip(data, at, offset, final, complaint, batch)
        return at - start + max(size, 0)

    def _measure(self, data: bytes, at: int) -> int:
        """Size of the sound record at a place, ``_WAIT`` when bytes are missing to tell, else ``_BAD``."""
        left = len(data) - at
        if left < HEADER.size:
            return _WAIT
        number, words, checksum = HEADER.unpack_from(data, at)
        prefix = prefix_of(number, words)
        if number:
            schema = self._known.get(prefix)
            size = schema.size + HEADER.size if schema else _BAD
        else:
            size = _event_size(data, at, words) if left >= SHORTEST_EVENT else _WAIT
        if size <= 0 or left < size:
            return min(size, _WAIT)
        return size if crc32(data[at + HEADER.size : at + size], seed_of(prefix)) == checksum else _BAD

    def _complaint(self, data: bytes, at: int) -> str:
        number, words, _ = HEADER.unpack_from(data, at)
        if number == 0:
            return "damaged event" if _event_size(data, at, words) > 0 else "no record begins here"
        if number not in self.schemas:
            return f"row of an unknown schema {number}"
        return "damaged row" if prefix_of(number, words) in self._known else "no record begins here"

    def _skip(self, data: bytes, at: int, offset: int, final: bool, complaint: str, batch: Batch) -> int:
        """Report damage up to the next sound record; 0 when that cannot be found yet."""
        limit = at + LONGEST_DAMAGE
        end = min(limit, len(data))
        for place in candidates(data, at + 1, self._known):
            size = self._measure(data, place) if place < limit else 1
            if size == _WAIT and not final:
                return 0
            if size > 0:
                end = min(place, limit)
                break
        batch.damage.append(Damage(offset + at, end - at, complaint))
        return end - at

    def _take_event(self, data: bytes, at: int, offset: int, size: int, batch: Batch) -> None:
        length = int.from_bytes(data[at + 8 : at + 16], "little")
        try:
            event = json.loads(data[at + 16 : at + 16 + length].decode("utf-8"))
        except (ValueError, RecursionError) as error:
            batch.damage.append(Damage(offset + at, size, f"event that cannot be read: {type(error).__name__}"))
            return
        if not isinstance(event.get("e"), str):
            batch.damage.append(Damage(offset + at, size, "event without a kind"))
        elif event["e"] == "keys" and not self._define(event.get("schema"), event.get("keys")):
            batch.damage.append(Damage(offset + at, size, "schema that cannot be used"))
        else:
            batch.events.append((offset + at, event))

    def _define(self, number: object, keys: object) -> bool:
        """Learn a schema; False when it is not a usable one."""
        if not isinstance(number, int) or not 0 < number <= MAX_SCHEMA or not isinstance(keys, list):
            return False
        if not 0 < len(keys) <= MAX_KEYS or not all(isinstance(key, str) for key in keys):
            return False
        if len(set(keys)) < len(keys):
            return False
        if number in self.schemas:
            del self._known[Schema(number, self.schemas[number]).prefix]
        self.schemas[number] = keys
        schema = Schema(number, keys)
        self._known[schema.prefix] = schema
        return True


def _event_size(data: bytes, at: int, words: int) -> int:
    """Size of the event whose header is at a place and whose payload claims so many words, or ``_BAD``."""
    length = int.from_bytes(data[at + 8 : at + 16], "little")
    size = event_size(length)
    if data[at + 16] != 0x7B or length > MAX_EVENT_BYTES or (size - HEADER.size) // 8 & 0xFFFF != words:
        return _BAD
    return size
