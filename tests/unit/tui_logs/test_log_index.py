from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logkit import append, counted, finished, lines

from mlconsole.tui.logs.file import LogFile
from mlconsole.tui.logs.index import LineIndex
from mlconsole.tui.logs.lines import KEPT_BYTES, AllLines, Line, raw

BLOCK = 8
PIECES = st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"\xff", b"\n")), max_size=8)
ANY_FILE = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def fresh(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    path.touch()
    return path


@ANY_FILE
@given(PIECES)
def test_counting_while_it_grows_equals_counting_at_once(tmp_path: Path, pieces: list[bytes]) -> None:
    path = fresh(tmp_path)
    file = LogFile(path)
    index = LineIndex(file, BLOCK)
    for piece in pieces:
        append(path, piece)
        file.look()
        while index.step():
            pass
    data = b"".join(pieces)
    assert index.newlines == data.count(b"\n")
    assert index.lines == len(lines(data))
    assert [index.number_at(at) for at in range(len(data))] == [data[:at].count(b"\n") for at in range(len(data))]


@ANY_FILE
@given(st.binary(max_size=90).map(lambda data: data.replace(b"\xff", b"\n")), st.booleans(), st.integers(0, 40))
def test_a_line_starts_and_ends_where_its_newlines_stand(
    tmp_path: Path, data: bytes, is_counted: bool, empty: int
) -> None:
    data = data[:30] + b"x" * empty + data[30:]
    path = fresh(tmp_path)
    path.write_bytes(data)
    file, index = counted(path, BLOCK)
    if not is_counted:
        index = LineIndex(file, BLOCK)
    for at in range(len(data)):
        end = data.find(b"\n", at)
        assert index.start_of(at) == data.rfind(b"\n", 0, at) + 1
        assert index.end_of(at) == (len(data) if end < 0 else end + 1)


def test_lines_beyond_what_is_counted_have_no_number_yet(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\nb\n" * 10)
    file = LogFile(path)
    file.look()
    index = LineIndex(file, BLOCK)
    index.step()
    assert index.number_at(BLOCK) == 4
    assert index.number_at(BLOCK + 2) is None
    assert index.lines is None


@ANY_FILE
@given(st.binary(max_size=120).map(lambda data: data.replace(b"\xff", b"\n")), st.integers(1, 5))
def test_reading_down_and_reading_up_give_every_line_once(tmp_path: Path, data: bytes, count: int) -> None:
    path = fresh(tmp_path)
    path.write_bytes(data)
    file, index = counted(path, BLOCK)
    every = AllLines(file, index)
    down: list[Line] = []
    while found := finished(every.after(down[-1].end if down else 0, count)):
        assert len(found) <= count
        down += found
    up: list[Line] = []
    while found := finished(every.before(up[0].start if up else len(data), count)):
        assert len(found) <= count
        up = found + up
    assert down == up
    assert [raw(file, line).removesuffix(b"\n") for line in down] == lines(data)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (b"x" * 1_000_000, b"x" * KEPT_BYTES),
        (b"0%\r" * 3_000_000 + b"100%\n", (b"0%\r" * 3_000_000 + b"100%\n")[-KEPT_BYTES:]),
    ],
    ids=["a long line by its start", "a progress bar by its end"],
)
def test_of_a_huge_line_a_bounded_part_is_read(tmp_path: Path, data: bytes, kept: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)
    file, _ = counted(path, 1 << 18)
    assert raw(file, Line(0, len(data))) == kept


def test_counting_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open(path, "wb") as file:
        file.truncate(1 << 28)
    tracemalloc.start()
    try:
        _, index = counted(path, 1 << 18)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.is_done
    assert peak < 1_000_000
