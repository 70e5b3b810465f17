"""Rows of metrics out of a run log, as columns, at millions of points a second without numpy.

Two paths give the same result. A long run of rows of one schema is read through strided views of the bytes;
mixed rows are walked one by one, grouped by schema and then sliced the same way. Views are in the host's byte
order, taken to be little-endian.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from zlib import crc32

from mlconsole.recorder.layout import prefix_of, row_words, seed_of

_MASK = 0xFFFFFFFF
_LOOK = 8  # equal headers in a row before a run is tried
_FIRST_RUN = 256
_LONGEST_RUN = 1 << 14
_LARGEST_GROUP = 1 << 14


class Series:
    """The points of one metric, in the order they were logged: three columns of equal length."""

    __slots__ = ("steps", "times", "values")

    def __init__(self) -> None:
        self.steps: array[int] = array("q")
        self.times: array[float] = array("d")
        self.values: array[float] = array("d")


class Schema:
    """The keys of a row and what follows from their number."""

    __slots__ = ("keys", "prefix", "seed", "size", "words")

    def __init__(self, number: int, keys: list[str]) -> None:
        self.keys = keys
        self.words = row_words(len(keys))
        self.size = 8 * self.words
        self.prefix = prefix_of(number, self.words)
        self.seed = seed_of(self.prefix)


class Rows:
    """Takes rows from bytes into series.

    Args:
        data: bytes of a run log.
        schemas: known schemas by the first four bytes of their rows' headers.
        series: where the points go, by key.
    """

    def __init__(self, data: bytes, schemas: dict[int, Schema], series: dict[str, Series]) -> None:
        self._data = data
        self._schemas = schemas
        self._series = series

    def take(self, start: int) -> int:
        """Read sound rows from ``start`` on; returns where the first thing that is not one begins."""
        at = start
        while int.from_bytes(self._data[at : at + 4], "little") in self._schemas:
            after, repeated = self._walk(at)
            if repeated is not None:
                after = self._run(after, repeated)
            if after == at:
                break
            at = after
        return at

    def _walk(self, start: int) -> tuple[int, Schema | None]:
        """Read rows of any schema one by one, until none is left or one schema repeats."""
        data, schemas = self._data, self._schemas
        headers = memoryview(data)[start : start + (len(data) - start & ~7)].cast("Q")
        order: list[Schema] = []
        groups: dict[int, list[bytes]] = {}
        at, limit, streak, last = start, len(data), 0, -1
        while at < limit - 7 and len(order) < _LARGEST_GROUP:
            header = headers[at - start >> 3]
            prefix = header & _MASK
            schema = schemas.get(prefix)
            if schema is None:
                break
            streak = streak + 1 if prefix == last else 0
            if streak == _LOOK:
                self._flush(groups, order)
                return at, schema
            payload = data[at + 8 : at + 8 + schema.size]
            if crc32(payload, schema.seed) != header >> 32 or len(payload) < schema.size:
                break
            if prefix in groups:
                groups[prefix].append(payload)
            else:
                groups[prefix] = [payload]
            order.append(schema)
            last = prefix
            at += 8 + schema.size
        self._flush(groups, order)
        return at, None

    def _run(self, start: int, schema: Schema) -> int:
        """Read rows of one schema for as long as they follow each other."""
        at, count, stride = start, _FIRST_RUN, schema.size + 8
        while True:
            count = min(count, (len(self._data) - at) // stride)
            sound = self._sound(at, schema, count) if count else 0
            if sound:
                words = memoryview(self._data)[at + 8 : at + sound * stride].cast("Q")
                self._extend(schema, words, schema.words + 1)
                at += sound * stride
            if not count or sound < count:
                return at
            count = min(count * 8, _LONGEST_RUN)

    def _sound(self, start: int, schema: Schema, count: int) -> int:
        """How many of ``count`` rows from ``start`` on are of this schema and whole."""
        data, stride, size, seed = self._data, schema.size + 8, schema.size, schema.seed
        halves = memoryview(data)[start : start + count * stride].cast("I")
        prefixes = halves[:: stride >> 2].tobytes()
        expected = schema.prefix.to_bytes(4, "little") * count
        if prefixes != expected:
            count = _common(prefixes, expected) >> 2
        first = start + 8
        sums = [crc32(data[at : at + size], seed) for at in range(first, first + count * stride, stride)]
        told = halves[1 :: stride >> 2].tolist()[:count]
        return count if sums == told else _common(sums, told)

    def _flush(self, groups: dict[int, list[bytes]], order: Sequence[Schema]) -> None:
        """Append walked rows, each key's points in the order of the file."""
        parts = [(self._schemas[prefix], b"".join(rows)) for prefix, rows in groups.items()]
        shared = _shared([schema for schema, _ in parts])
        for key in shared:
            series = self._of(key)
            pools = {schema: _points(schema, key, rows) for schema, rows in parts if key in schema.keys}
            for schema in order:
                if schema in pools:
                    step, time, value = next(pools[schema])
                    series.steps.append(step)
                    series.times.append(time)
                    series.values.append(value)
        for schema, rows in parts:
            self._extend(schema, memoryview(rows).cast("Q"), schema.words, shared)

    def _extend(self, schema: Schema, words: memoryview, stride: int, skip: Sequence[str] = ()) -> None:
        steps = words[::stride].tobytes()
        times = words[1::stride].tobytes()
        for column, key in enumerate(schema.keys, 2):
            if key not in skip:
                series = self._of(key)
                series.steps.frombytes(steps)
                series.times.frombytes(times)
                series.values.frombytes(words[column::stride].tobytes())

    def _of(self, key: str) -> Series:
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series()
        return found


def _points(schema: Schema, key: str, rows: bytes) -> Iterator[tuple[int, float, float]]:
    """One key's points out of the payloads of one schema's rows."""
    steps = memoryview(rows).cast("q")[:: schema.words].tolist()
    reals = memoryview(rows).cast("d")
    times = reals[1 :: schema.words].tolist()
    return iter(zip(steps, times, reals[schema.keys.index(key) + 2 :: schema.words].tolist()))


def _shared(schemas: list[Schema]) -> list[str]:
    """Keys that more than one of the schemas has."""
    if len(schemas) < 2:
        return []
    seen: set[str] = set()
    again: dict[str, None] = {}
    for schema in schemas:
        again.update(dict.fromkeys(seen.intersection(schema.keys)))
        seen.update(schema.keys)
    return list(again)


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common start of two sequences, by halves: comparing slices is what is fast."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
