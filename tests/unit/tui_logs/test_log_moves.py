from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logkit import Desk, append, lines

from mlconsole.tui.logs.frame import Row

LINE = st.sampled_from([b"a\n", b"bb\n", b"\n", b"a b\r\n", b"x\ra\n", b"c" * 40 + b"\n", b"a", b"\x1b[31mb\x1b[0m\n"])
MOVE = st.one_of(
    st.tuples(st.just("grow"), st.lists(LINE, max_size=12).map(b"".join)),
    st.tuples(st.just("cut"), st.integers(0, 30)),
    st.tuples(st.just("scroll"), st.integers(-9, 9).filter(bool)),
    st.tuples(st.just("turn"), st.sampled_from([1.0, -1.0, 0.5, -0.5])),
    st.tuples(st.just("resize"), st.integers(1, 7)),
    st.tuples(st.sampled_from(["search", "filter"]), st.sampled_from(["", "a", "b", "!a", "zz"])),
    st.tuples(st.just("hit"), st.sampled_from([1, -1])),
    st.tuples(st.just("wrap"), st.booleans()),
    st.tuples(st.sampled_from(["top", "end", "stop", "first_error"]), st.none()),
)


def carry_out(desk: Desk, path: Path, move: str, argument: object) -> None:
    if move == "grow":
        assert isinstance(argument, bytes)
        append(path, argument)
        desk.look()
    elif move == "cut":
        assert isinstance(argument, int)
        os.truncate(path, min(argument, path.stat().st_size))
        desk.look()
    elif move == "resize":
        desk.do("resize", 20, argument)
    else:
        desk.do(move, *([] if argument is None else [argument]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MOVE, min_size=1, max_size=25))
def test_whatever_is_done_the_rows_are_those_of_the_file_in_order(
    tmp_path: Path, moves: list[tuple[str, object]]
) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    append(path, b"a\nb\nb a\n" * 4)
    desk = Desk(path, rows=4, columns=20, block=16)
    height = 4
    for move, argument in moves:
        carry_out(desk, path, move, argument)
        height = argument if move == "resize" and isinstance(argument, int) else height
        data, frame = path.read_bytes(), desk.frame
        assert len(frame.rows) <= height
        assert frame.lines == len(lines(data))
        assert places(frame.rows) == sorted(set(places(frame.rows)))
        assert frame.filtered is not None or all(follows(above, below) for above, below in pairwise(frame.rows))
        for row in frame.rows:
            start = row.shown.line.start
            assert start == 0 or data[start - 1 : start] == b"\n"
            assert row.number in (None, data[:start].count(b"\n") + 1)
        if frame.is_following and frame.rows and frame.filtered is None:
            assert frame.rows[-1].shown.line.end == len(data)
        if frame.filtered is None and not frame.is_wrapped:
            assert len(frame.rows) == min(height, len(lines(data)))


def follows(above: Row, below: Row) -> bool:
    """Whether nothing stands between two rows."""
    if above.shown is below.shown:
        return below.start == above.stop
    return below.shown.line.start == above.shown.line.end and below.start == 0 and above.stop == len(above.shown.text)


def places(rows: tuple[Row, ...]) -> list[tuple[int, int]]:
    return [(row.shown.line.start, row.start) for row in rows]
