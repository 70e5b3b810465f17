from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mlconsole.domain.gpu import DriverState, GpuHealth, GpuReading, XidEvent, known
from mlconsole.telemetry import codec
from mlconsole.telemetry.board import Board

AT = datetime(2026, 3, 1, tzinfo=UTC)


def line(kind: str, **fields: object) -> bytes:
    return json.dumps({"kind": kind, **fields}).encode()


def gpu(index: int, uuid: str, load: float = 50.0, **fields: Any) -> bytes:
    reading = GpuReading("h", index, uuid, "H100", AT, utilization_percent=known(load), **fields)
    return line("gpu", **codec.encode(reading))


def board_of(*uuids: str) -> Board:
    """A board after one turn over these GPUs, at second 100."""
    board = Board("h")
    board.begin()
    turn(board, *(gpu(index, uuid) for index, uuid in enumerate(uuids)), count=len(uuids))
    return board


def turn(board: Board, *lines: bytes, count: int, now_s: float = 100.0) -> None:
    for each in (line("hello", driver="1", count=count), *lines, line("tick", number=1, calls=7)):
        board.take(each, now_s)


def test_a_reading_grows_older_while_nothing_comes() -> None:
    board = board_of("a")

    assert board.snapshot(100.5).gpus[0].age_s == 0.5
    assert board.snapshot(160.0).gpus[0].age_s == 60.0
    assert board.snapshot(160.0).gpus[0].utilization_percent.value == 50.0


def test_it_is_ok_only_once_a_turn_is_complete() -> None:
    board = Board("h")
    board.begin()

    board.take(gpu(0, "a"), 1.0)
    assert (board.snapshot(1.0).state, board.is_complete) == (DriverState.STARTING, False)

    board.take(line("tick", number=1, calls=4), 1.0)
    assert (board.snapshot(1.0).state, board.is_complete, board.snapshot(1.0).calls) == (DriverState.OK, True, 4)


def test_while_the_first_turn_goes_on_it_says_how_far_it_has_come() -> None:
    board = Board("h")
    board.begin()

    board.take(line("hello", driver="580", count=8), 1.0)
    board.take(gpu(0, "a"), 1.0)

    assert board.snapshot(1.0).words == "reading the GPUs for the first time (1 of 8 so far)"


def test_when_indices_move_up_because_a_gpu_is_gone_the_others_keep_their_own_past() -> None:
    board = board_of("a", "b", "c")

    board.begin()
    turn(board, gpu(0, "a", 1.0), gpu(1, "c", 3.0), count=2)

    readings = {each.uuid: each for each in board.snapshot(100.0).gpus}
    assert (readings["a"].health, readings["c"].health) == (GpuHealth.OK, GpuHealth.OK)
    assert readings["c"].utilization_percent.value == 3.0
    assert (readings["b"].health, readings["b"].utilization_percent.value) == (GpuHealth.LOST, 50.0)


def test_a_gpu_whose_uuid_cannot_be_read_keeps_the_one_that_its_index_had() -> None:
    board = board_of("a", "b")

    turn(board, gpu(0, "a"), gpu(1, "", health=GpuHealth.LOST), count=2)

    readings = board.snapshot(100.0).gpus
    assert [(each.uuid, each.health) for each in readings] == [("a", GpuHealth.OK), ("b", GpuHealth.LOST)]


def test_an_index_that_had_two_gpus_one_after_the_other_means_the_later_one() -> None:
    board = board_of("a", "b", "c")
    turn(board, gpu(0, "a"), gpu(1, "c"), count=2, now_s=110.0)

    turn(board, gpu(0, "a"), gpu(1, "", health=GpuHealth.FAILING), count=2, now_s=120.0)

    readings = {each.uuid: each.health for each in board.snapshot(120.0).gpus}
    assert readings == {"a": GpuHealth.OK, "b": GpuHealth.LOST, "c": GpuHealth.FAILING}


def test_a_gpu_that_never_told_its_uuid_is_one_gpu_once_it_does() -> None:
    board = board_of("a", "")

    turn(board, gpu(0, "a"), gpu(1, "b"), count=2)

    assert [each.uuid for each in board.snapshot(100.0).gpus] == ["a", "b"]


def test_a_gpu_that_is_left_alone_keeps_its_last_figures_with_their_age() -> None:
    board = board_of("a")

    turn(board, gpu(0, "", health=GpuHealth.HUNG), count=1, now_s=130.0)

    reading = board.snapshot(130.0).gpus[0]
    assert (reading.health, reading.utilization_percent.value, reading.age_s) == (GpuHealth.HUNG, 50.0, 30.0)


@pytest.mark.parametrize(
    ("lines", "index"),
    [
        ([], None),
        ([line("hello", driver="1", count=2)], 0),
        ([line("hello", driver="1", count=2), gpu(0, "a")], 1),
        ([line("hello", driver="1", count=2), gpu(0, "a"), gpu(1, "b")], None),
    ],
)
def test_the_gpu_after_the_last_one_that_was_read_is_the_one_that_hangs(lines: list[bytes], index: int | None) -> None:
    board = Board("h")
    board.begin()
    for each in lines:
        board.take(each, 0.0)

    assert board.hangs_on() == index


def test_errors_seen_by_one_child_and_the_next_are_joined_without_twins() -> None:
    early, late = XidEvent(AT, 31), XidEvent(AT.replace(hour=5), 79)
    board = board_of("a")

    turn(board, gpu(0, "a", xids=(early,)), count=1)
    board.begin()
    turn(board, gpu(0, "a", xids=(early, late)), count=1)

    assert board.snapshot(0.0).gpus[0].xids == (early, late)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"kind":"gpu"}',
        b'{"no":"kind"}',
        b'{"kind":"tick"}',
        b'{"kind":"state"}',
        b'{"kind":"state","state":"odd","detail":""}',
        b'{"kind":"hello","driver":"","count":"x"}',
        gpu(0, "a")[:-40],
    ],
)
def test_a_line_that_cannot_be_read_is_counted_and_changes_nothing(bad: bytes) -> None:
    board = board_of("a")
    before = board.snapshot(100.0)

    board.take(bad, 100.0)

    assert board.damaged == 1
    assert board.snapshot(100.0) == before


def test_a_line_of_an_unknown_kind_is_from_a_newer_child_and_is_passed_over() -> None:
    board = board_of("a")

    board.take(line("weather", rain=1), 100.0)

    assert board.damaged == 0


def test_nothing_new_keeps_the_number_and_any_news_changes_it() -> None:
    board = board_of("a")
    number = board.snapshot(100.0).number

    assert board.snapshot(200.0).number == number
    board.say(DriverState.OK)
    assert board.snapshot(200.0).number == number
    board.say(DriverState.HUNG, "why")
    assert board.snapshot(200.0).number > number
