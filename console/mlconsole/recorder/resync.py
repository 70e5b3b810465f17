"""Where, after damage, the next record of a run log may begin."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mlconsole.recorder.layout import SHORTEST_EVENT

_FEW = 64
_FIRST_WINDOW = 1 << 10
_LARGEST_WINDOW = 1 << 18


def candidates(data: bytes, start: int, prefixes: Collection[int]) -> Iterator[int]:
    """Places from ``start`` on where a row's header with one of the prefixes or an event may begin, in order.

    Everything near the end, where too little is left to tell, is a candidate.
    """
    rows = _rows_of_few if len(prefixes) <= _FEW else _rows_of_many
    tail = max(start, len(data) - SHORTEST_EVENT + 1)
    window = _FIRST_WINDOW
    while start < tail:
        stop = min(start + window, tail)
        yield from sorted({*rows(data, start, stop, prefixes), *_events(data, start, stop)})
        start, window = stop, min(window * 4, _LARGEST_WINDOW)
    yield from range(tail, len(data))


def _rows_of_few(data: bytes, start: int, stop: int, prefixes: Collection[int]) -> Iterator[int]:
    """Places in [start, stop) whose four bytes are one of the prefixes: a search for each, 1 GB/s."""
    for prefix in prefixes:
        pattern = prefix.to_bytes(4, "little")
        place = data.find(pattern, start, stop + 3)
        while place != -1:
            yield place
            place = data.find(pattern, place + 1, stop + 3)


def _rows_of_many(data: bytes, start: int, stop: int, prefixes: Collection[int]) -> Iterator[int]:
    """The same by looking at every place, at all four alignments: 10 MB/s, however many prefixes there are."""
    for shift in range(4):
        begin = start + shift
        count = max(0, stop - begin + 3 >> 2)
        words = memoryview(data)[begin : begin + 4 * count].cast("I").tolist()
        yield from [begin + 4 * i for i, word in enumerate(words) if word in prefixes]


def _events(data: bytes, start: int, stop: int) -> Iterator[int]:
    """Places in [start, stop) that have an event's zeros and its opening brace where an event has them."""
    brace = data.find(b"\0\0\0\0{", start + 12, stop + SHORTEST_EVENT - 1)
    while brace != -1:
        if data[brace - 12] == 0 == data[brace - 11]:
            yield brace - 12
        brace = data.find(b"\0\0\0\0{", brace + 1, stop + SHORTEST_EVENT - 1)
