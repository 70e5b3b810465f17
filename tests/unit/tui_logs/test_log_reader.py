from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from logkit import append

from mlconsole.tui.logs.frame import Frame
from mlconsole.tui.logs.pager import Pager
from mlconsole.tui.logs.reader import LOOK_S, QUIET_LOOK_S, Reader, Watch

DEADLINE_S = 10.0


class Clock:
    """Seconds that pass when they are told to, and so much whenever they are asked for."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = 1000.0
        self._tick = tick

    def __call__(self) -> float:
        self.now += self._tick
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(path: Path, clock: Clock) -> Iterator[Watch]:
    pager = Pager(path, clock)
    pager.resize(80, 5)
    yield Watch(pager, clock)
    pager.close()


def settled(watch: Watch, clock: Clock) -> list[Frame]:
    """The frames until there is nothing left to do."""
    frames = []
    while True:
        frame = watch.turn([], True)
        frames += [frame] if frame is not None else []
        if watch.rest_s(True) != 0.0:
            return frames
        clock.now += 0.001


def test_nothing_is_shown_when_nothing_changes(path: Path, watch: Watch, clock: Clock) -> None:
    append(path, b"one\n")
    assert settled(watch, clock)
    shown = []
    for _ in range(100):
        clock.now += LOOK_S
        shown += settled(watch, clock)
    assert shown == []


def test_a_growing_log_is_shown_ten_times_a_second_at_most(path: Path, watch: Watch, clock: Clock) -> None:
    append(path, b"one\n")
    settled(watch, clock)
    end, shown = clock.now + 2.0, 0
    while clock.now < end:
        append(path, b"more\n")
        shown += len(settled(watch, clock))
        clock.now += 0.01
    assert 15 <= shown <= 21


def test_a_search_that_takes_long_is_shown_now_and_then(path: Path) -> None:
    append(path, b"line\n" * 4000)
    clock = Clock(tick=0.001)
    pager = Pager(path, clock, block=16)
    watch = Watch(pager, clock)
    settled(watch, clock)
    assert watch.turn([lambda pager: pager.search("nowhere")], True) is None
    start = clock.now
    shown = [frame.progress for frame in settled(watch, clock)]
    pager.close()
    assert all(what == "searching" for what, _ in filter(None, shown[:-1]))
    assert shown[-1] is None
    assert 2 <= len(shown) <= (clock.now - start) / 0.2 + 2


def test_a_quiet_log_is_looked_at_less_often(path: Path, watch: Watch, clock: Clock) -> None:
    append(path, b"one\n")
    settled(watch, clock)
    assert watch.rest_s(True) == pytest.approx(LOOK_S, abs=0.02)
    clock.now += 60
    settled(watch, clock)
    assert watch.rest_s(True) == pytest.approx(QUIET_LOOK_S, abs=0.02)


def test_a_log_that_is_not_watched_is_left_alone(path: Path, watch: Watch, clock: Clock) -> None:
    append(path, b"one\n")
    settled(watch, clock)
    append(path, b"two\n")
    clock.now += 60
    assert watch.turn([], False) is None
    assert watch.rest_s(False) is None


def test_what_cannot_be_read_is_told_and_tried_again(path: Path, watch: Watch, clock: Clock) -> None:
    path.mkdir()
    frames = settled(watch, clock)
    assert "not a regular file" in frames[-1].error
    path.rmdir()
    append(path, b"one\n")
    clock.now += 2
    assert settled(watch, clock)[-1].error == ""


def test_a_command_that_fails_is_told_and_the_next_one_is_carried_out(path: Path, watch: Watch, clock: Clock) -> None:
    append(path, b"one\n")
    settled(watch, clock)

    def fail(pager: Pager) -> None:
        raise OSError(5, "Input/output error")

    frame = watch.turn([fail], True)
    assert frame is not None
    assert "Input/output error" in frame.error
    frame = watch.turn([Pager.top], True)
    assert frame is not None
    assert frame.rows[0].shown.text == "one"


def eventually(claim: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.002)


def last_line(reader: Reader) -> str:
    frame = reader.take()
    return frame.rows[-1].shown.text if frame is not None and frame.rows else ""


def test_a_reader_shows_what_comes_without_being_asked(path: Path) -> None:
    told: list[Reader] = []
    reader = Reader(path, told.append)
    reader.do(lambda pager: pager.resize(80, 5))
    try:
        for text in (b"one", b"two", b"three"):
            append(path, text + b"\n")
            eventually(lambda text=text: last_line(reader) == text.decode())
    finally:
        reader.stop()
    assert set(told) == {reader}


def test_lines_are_wrapped_anew_when_their_numbers_need_more_room(path: Path, watch: Watch, clock: Clock) -> None:
    append(path, (b"x" * 200 + b"\n") * 12_000)
    watch.turn([lambda pager: pager.wrap(True)], True)
    last = settled(watch, clock)[-1]
    assert last.lines == 12_000
    assert {row.stop - row.start for row in last.rows} == {80 - last.gutter, 200 - 2 * (80 - last.gutter)}


def test_a_reader_tells_once_until_its_frame_is_taken(path: Path) -> None:
    append(path, b"line\n" * 20)
    told: list[Reader] = []
    reader = Reader(path, told.append)
    reader.do(lambda pager: pager.resize(80, 5))
    try:
        eventually(lambda: told)
        for size in (6, 7, 8, 8):
            done = threading.Event()
            reader.do(lambda pager, size=size: pager.resize(80, size))
            reader.do(lambda pager, done=done: done.set())
            assert done.wait(DEADLINE_S)
        assert len(told) == 1
    finally:
        reader.stop()


def test_a_disk_that_hangs_holds_up_nobody(path: Path) -> None:
    hang, begun = threading.Event(), threading.Event()
    reader = Reader(path, lambda reader: None)

    def read_for_ever(pager: Pager) -> None:
        begun.set()
        hang.wait(DEADLINE_S)

    reader.do(read_for_ever)
    assert begun.wait(DEADLINE_S)
    start = time.perf_counter()
    reader.do(Pager.top)
    reader.take()
    reader.watch(False)
    reader.stop()
    assert time.perf_counter() - start < 0.1
    hang.set()


def test_a_stopped_reader_ends_its_thread(path: Path) -> None:
    before = set(threading.enumerate())
    reader = Reader(path, lambda reader: None)
    reader.do(Pager.top)
    (thread,) = set(threading.enumerate()) - before
    reader.stop()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
