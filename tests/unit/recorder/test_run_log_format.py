"""The run log's bytes: what is written is read back, however it is cut or damaged."""

from __future__ import annotations

import math
import struct
from itertools import accumulate
from zlib import crc32

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlconsole.recorder import layout
from mlconsole.recorder.format import (
    LONGEST_DAMAGE,
    MAGIC,
    MAX_KEYS,
    Batch,
    Reader,
    encode_event,
    encode_row,
)

KEYS = {1: ["loss"], 2: ["acc", "lr"], 3: ["loss", "acc"], 4: [f"m{i}" for i in range(10)]}


def definitions() -> list[bytes]:
    return [encode_event({"e": "keys", "t": 0.0, "schema": n, "keys": keys}) for n, keys in KEYS.items()]


def row(schema: int, step: int) -> bytes:
    return encode_row(schema, step, 1e9 + step, [step + column / 16 for column in range(len(KEYS[schema]))])


def note(text: str) -> bytes:
    return encode_event({"e": "note", "t": 1.0, "text": text})


Record = st.one_of(
    st.tuples(st.sampled_from(sorted(KEYS)), st.integers(1, 120)).map(
        lambda pair: b"".join(row(pair[0], step) for step in range(pair[1]))
    ),
    st.text(max_size=40).map(note),
)
Logs = st.lists(Record, max_size=8).map(lambda records: [MAGIC, *definitions(), *records])


def contents(batches: list[Batch]) -> tuple[object, ...]:
    """Everything that the batches hold, put together in a form that can be compared, NaN included."""
    series: dict[str, list[tuple[int, int, int]]] = {}
    for batch in batches:
        for key, points in batch.series.items():
            times, values = (memoryview(column).cast("B").cast("Q") for column in (points.times, points.values))
            series.setdefault(key, []).extend(zip(points.steps, times, values, strict=True))
    events = [(offset, repr(event)) for batch in batches for offset, event in batch.events]
    damage = [(d.offset, d.length, d.message) for batch in batches for d in batch.damage]
    return series, events, damage, sum(batch.consumed for batch in batches)


def read_in_pieces(data: bytes, cuts: list[int], *, anew: bool = False) -> list[Batch]:
    """Read a log as a follower does: each time all bytes that are there and not yet used."""
    reader, at, batches = Reader(), 0, []
    for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        batches.append(reader.read(data[at:end], at, final=False))
        at += batches[-1].consumed
        if anew:
            reader = Reader(reader.schemas)
    batches.append(reader.read(data[at:], at, final=True))
    return batches


@settings(deadline=None, max_examples=150)
@given(Logs, st.lists(st.integers(0, 20_000), max_size=6), st.booleans())
def test_a_log_cut_anywhere_reads_as_the_whole_log(records: list[bytes], cuts: list[int], anew: bool) -> None:
    data = b"".join(records)
    whole = Reader().read(data, 0, final=True)
    assert whole.consumed == len(data)
    assert whole.damage == []
    assert contents(read_in_pieces(data, cuts, anew=anew)) == contents([whole])


@settings(deadline=None, max_examples=150)
@given(Logs, st.data())
def test_a_damaged_log_cut_anywhere_reads_as_the_whole_damaged_log(records: list[bytes], draw: st.DataObject) -> None:
    data = bytearray(b"".join(records))
    for _ in range(draw.draw(st.integers(1, 4))):
        place = draw.draw(st.integers(0, len(data) - 1))
        junk = draw.draw(st.binary(min_size=1, max_size=40))
        data[place : place + draw.draw(st.integers(0, 40))] = junk
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
    whole = Reader().read(bytes(data), 0, final=True)
    assert contents(read_in_pieces(bytes(data), cuts)) == contents([*whole_batches(bytes(data))])
    assert whole.consumed > 0


def whole_batches(data: bytes) -> list[Batch]:
    reader, at, batches = Reader(), 0, []
    while at < len(data):
        batches.append(reader.read(data[at:], at, final=True))
        at += batches[-1].consumed
    return batches


@settings(deadline=None, max_examples=150)
@given(Logs, st.data())
def test_all_but_the_damaged_record_survives(records: list[bytes], draw: st.DataObject) -> None:
    first = 1 + len(KEYS)
    plain = [part for block in records[first:] for part in split(block)]
    if not plain:
        return
    victim = draw.draw(st.integers(0, len(plain) - 1))
    place = draw.draw(st.integers(0, len(plain[victim]) - 1))
    flip = draw.draw(st.integers(1, 255))
    broken = bytearray(plain[victim])
    broken[place] ^= flip
    head = records[:first]
    sound = head + plain[:victim] + plain[victim + 1 :]
    data = b"".join(head + plain[:victim] + [bytes(broken)] + plain[victim + 1 :])

    got = contents([Reader().read(data, 0, final=True)])
    expected = contents([Reader().read(b"".join(sound), 0, final=True)])

    offset = sum(map(len, head + plain[:victim]))
    assert got[0] == expected[0]
    assert [text for _, text in got[1]] == [text for _, text in expected[1]]  # type: ignore[attr-defined]
    assert [(o, n) for o, n, _ in got[2]] == [(offset, len(broken))]  # type: ignore[attr-defined]


def split(block: bytes) -> list[bytes]:
    """The records of a block, which is one event or rows of one schema."""
    schema, words, _ = layout.HEADER.unpack_from(block)
    size = 8 * (words + 1) if schema else len(block)
    return [block[at : at + size] for at in range(0, len(block), size)]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=400), st.integers(0, 3), st.booleans())
@example(b"\0" * 64, 1, True)
def test_no_bytes_make_the_reader_raise(junk: bytes, place: int, final: bool) -> None:
    parts = [MAGIC, *definitions(), row(1, 1), junk, row(1, 2)]
    data = b"".join(parts) if place else junk
    batch = Reader().read(data, 0, final=final)
    assert 0 <= batch.consumed <= len(data)


def test_zeros_are_damage_and_never_a_record() -> None:
    data = b"".join([MAGIC, *definitions(), row(1, 1), bytes(4096), row(1, 2)])
    batch = Reader().read(data, 0, final=True)
    assert list(batch.series["loss"].steps) == [1, 2]
    assert [damage.length for damage in batch.damage] == [4096]


def test_an_incomplete_record_is_left_until_its_rest_comes() -> None:
    data = b"".join([MAGIC, *definitions(), row(1, 1), row(1, 2)])
    batch = Reader().read(data[:-1], 0)
    assert batch.consumed == len(data) - len(row(1, 2))
    assert batch.damage == []


def test_a_torn_record_at_the_end_is_damage_once_nothing_will_follow() -> None:
    data = b"".join([MAGIC, *definitions(), row(1, 1), row(1, 2)[:-1]])
    batch = Reader().read(data, 0, final=True)
    assert [(d.offset, d.length, d.message) for d in batch.damage] == [(len(data) - 31, 31, "torn record")]


def test_records_after_a_torn_event_survive() -> None:
    data = b"".join([MAGIC, *definitions(), note("x" * 500)[:100], row(1, 7), note("after")])
    batch = Reader().read(data, 0, final=True)
    assert list(batch.series["loss"].steps) == [7]
    assert batch.events[-1][1]["text"] == "after"
    assert len(batch.damage) == 1


def test_rows_of_an_unknown_schema_are_damage() -> None:
    data = b"".join([MAGIC, encode_row(9, 1, 0.0, [1.0]), encode_row(9, 2, 0.0, [1.0]), note("after")])
    batch = Reader().read(data, 0, final=True)
    assert [(d.offset, d.length) for d in batch.damage] == [(8, 64)]
    assert "unknown schema 9" in batch.damage[0].message
    assert len(batch.events) == 1


def test_long_damage_is_reported_in_parts_and_ends_where_records_begin() -> None:
    junk = b"\xab" * (LONGEST_DAMAGE + 1000)
    data = b"".join([MAGIC, *definitions(), junk, row(1, 5)])
    batch = Reader().read(data, 0)
    start = len(MAGIC) + sum(map(len, definitions()))
    assert [(d.offset, d.length) for d in batch.damage] == [
        (start, LONGEST_DAMAGE),
        (start + LONGEST_DAMAGE, 1000),
    ]
    assert list(batch.series["loss"].steps) == [5]


@pytest.mark.parametrize("schemas", [1, 63, 64, 65, 300])
@pytest.mark.parametrize("shift", range(4))
def test_records_after_damage_are_found_at_any_place_and_with_any_number_of_schemas(schemas: int, shift: int) -> None:
    names = [encode_event({"e": "keys", "schema": n, "keys": [f"k{n}"]}) for n in range(1, schemas + 1)]
    rows = [encode_row(n, n, 0.0, [float(n)]) for n in range(1, schemas + 1)]
    junk = b"\xab" * (5_000 + shift)
    data = b"".join([MAGIC, *names, *(part for record in rows for part in (junk, record))])
    batch = Reader().read(data, 0, final=True)
    assert {key: list(points.values) for key, points in batch.series.items()} == {
        f"k{n}": [float(n)] for n in range(1, schemas + 1)
    }
    assert [damage.length for damage in batch.damage] == [len(junk)] * schemas


def test_a_file_that_is_no_run_log_is_damage_from_its_first_byte() -> None:
    batch = Reader().read(b"PK\x03\x04 something else", 0, final=True)
    assert (batch.damage[0].offset, batch.consumed) == (0, 19)
    assert "run log" in batch.damage[0].message


def test_an_event_that_is_sound_but_not_json_is_damage_by_itself() -> None:
    text = b"{not json}"
    payload = struct.pack("<Q", len(text)) + text + bytes(6)
    seed = layout.seed_of(layout.prefix_of(0, 3))
    record = layout.HEADER.pack(0, 3, crc32(payload, seed)) + payload
    batch = Reader().read(MAGIC + record + note("after"), 0)
    assert [(d.offset, d.length) for d in batch.damage] == [(8, len(record))]
    assert batch.events[0][1]["text"] == "after"


@pytest.mark.parametrize(
    "definition",
    [
        {"schema": 0, "keys": ["a"]},
        {"schema": 70_000, "keys": ["a"]},
        {"schema": 1, "keys": []},
        {"schema": 1, "keys": ["a", "a"]},
        {"schema": 1, "keys": [3]},
        {"schema": 1, "keys": ["k"] * (MAX_KEYS + 1)},
        {"schema": "1", "keys": ["a"]},
        {"keys": "a"},
    ],
)
def test_a_schema_that_cannot_be_is_damage(definition: dict[str, object]) -> None:
    batch = Reader().read(MAGIC + encode_event({"e": "keys", "t": 0.0, **definition}), 0)
    assert [d.message for d in batch.damage] == ["schema that cannot be used"]


def test_a_schema_defined_anew_takes_its_new_keys() -> None:
    keys = [encode_event({"e": "keys", "t": 0.0, "schema": 1, "keys": names}) for names in (["a"], ["b", "c"])]
    data = b"".join([MAGIC, keys[0], encode_row(1, 1, 0.0, [1.0]), keys[1], encode_row(1, 2, 0.0, [2.0, 3.0])])
    batch = Reader().read(data, 0, final=True)
    assert {key: list(points.values) for key, points in batch.series.items()} == {
        "a": [1.0],
        "b": [2.0],
        "c": [3.0],
    }
    assert batch.damage == []


def test_every_float_keeps_its_bits() -> None:
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    data = b"".join([MAGIC, *definitions(), *(encode_row(1, -(2**63), value, [value]) for value in values)])
    points = Reader().read(data, 0).series["loss"]
    assert points.values.tobytes() == struct.pack("<6d", *values) == points.times.tobytes()
    assert set(points.steps) == {-(2**63)}


def test_hostile_text_survives_an_event() -> None:
    params = {
        "s": "\x1b[2J\x00\u202e\ud800",
        "n": 2**200,
        "bytes": b"\xff\xfe".decode(errors="surrogateescape"),
    }
    event = {"e": "params", "t": 1.0, "params": params}
    assert Reader().read(MAGIC + encode_event(event), 0).events == [(8, event)]


def test_an_event_too_large_for_the_format_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode_event({"e": "note", "text": "x" * layout.MAX_EVENT_BYTES})


def test_an_event_longer_than_its_word_count_can_say_is_read() -> None:
    text = "x" * (8 * 65_536 + 5)
    data = MAGIC + note(text) + note("after")
    batch = Reader().read(data, 0)
    assert [event["text"] for _, event in batch.events] == [text, "after"]


@pytest.mark.parametrize("pattern", [[1], [4], [1, 2], [1, 3], [1] * 30 + [3] * 30, [1] * 200 + [2]])
def test_points_keep_the_order_of_the_file_whatever_the_mix_of_schemas(pattern: list[int]) -> None:
    schemas = (pattern * 3_000)[:3_000]
    data = b"".join([MAGIC, *definitions(), *(row(schema, step) for step, schema in enumerate(schemas))])
    batch = Reader().read(data, 0)
    for key, points in batch.series.items():
        holding = [step for step, schema in enumerate(schemas) if key in KEYS[schema]]
        assert list(points.steps) == holding
        columns = [KEYS[schemas[step]].index(key) for step in holding]
        assert list(points.values) == [step + column / 16 for step, column in zip(holding, columns, strict=True)]
        assert list(points.times) == [1e9 + step for step in holding]


def test_offsets_of_events_are_absolute() -> None:
    parts = [MAGIC, note("a"), note("b"), note("c")]
    ends = list(accumulate(map(len, parts)))
    data = b"".join(parts)
    batch = Reader().read(data[ends[1] :], ends[1])
    assert [offset for offset, _ in batch.events] == ends[1:3]
