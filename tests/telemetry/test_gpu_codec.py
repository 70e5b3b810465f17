from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlconsole.domain.gpu import (
    FIGURES,
    GpuHealth,
    GpuProcess,
    GpuReading,
    MigInstance,
    ProcessKind,
    Source,
    Value,
    XidEvent,
    known,
    missing,
)
from mlconsole.telemetry import codec

TEXT = st.text(max_size=8)
NUMBERS = st.integers(0, 2**53).map(float) | st.integers(0, 10**6).map(lambda n: n / 1000)
TIMES = st.integers(0, 4 * 10**12).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))


def values(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Value[Any]]:
    ages = st.integers(0, 10**6).map(lambda ms: ms / 1000)
    return st.builds(known, of, ages) | TEXT.filter(bool).map(missing)


PROCESSES = st.builds(
    GpuProcess,
    st.integers(1, 2**31),
    values(NUMBERS),
    values(NUMBERS),
    st.sampled_from(ProcessKind),
    st.booleans(),
    st.none() | st.integers(0, 2**60),
    TEXT,
    TEXT,
    TEXT,
    TEXT,
)
SLICES = st.builds(MigInstance, st.integers(0, 7), TEXT, TEXT, values(NUMBERS), values(NUMBERS))
READINGS = st.builds(
    GpuReading,
    TEXT,
    st.integers(0, 15),
    TEXT,
    TEXT,
    TIMES,
    st.sampled_from(Source),
    st.sampled_from(GpuHealth),
    throttle=values(st.lists(TEXT, max_size=3).map(tuple)),
    processes=values(st.lists(PROCESSES, max_size=3).map(tuple)),
    mig=values(st.lists(SLICES, max_size=2).map(tuple)),
    xids=st.lists(st.builds(XidEvent, TIMES, st.integers(1, 200)), max_size=3).map(tuple),
    **dict.fromkeys(FIGURES, values(NUMBERS)),
)


@given(READINGS)
@settings(max_examples=50, deadline=None, print_blob=True)
def test_a_reading_survives_being_written_and_read(reading: GpuReading) -> None:
    assert codec.decode(json.loads(json.dumps(codec.encode(reading)))) == reading


@pytest.mark.parametrize("key", ["host", "index", "uuid", "at", "figures", "processes", "xids", "health"])
def test_a_reading_without_what_every_one_has_is_refused(key: str) -> None:
    data = codec.encode(GpuReading("h", 0, "u", "n", datetime.now(UTC)))
    del data[key]

    with pytest.raises(ValueError, match="not a reading"):
        codec.decode(data)


@pytest.mark.parametrize("change", [{"health": "splendid"}, {"at": 1e300}, {"xids": [[1]]}, {"figures": []}])
def test_a_reading_with_nonsense_in_it_is_refused(change: dict[str, Any]) -> None:
    data = codec.encode(GpuReading("h", 0, "u", "n", datetime.now(UTC)))

    with pytest.raises(ValueError):
        codec.decode({**data, **change})


def test_a_figure_that_an_older_recording_does_not_have_is_missing() -> None:
    data = codec.encode(GpuReading("h", 0, "u", "n", datetime.now(UTC)))
    del data["figures"]["energy_j"]

    assert codec.decode(data).energy_j == Value()
