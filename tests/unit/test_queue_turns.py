"""Whose turn it is: priority, fair share, order; large runs keep their place; whoever waits has a reason in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlconsole.domain.queue import Room, Waiting, in_order, next_turn, slots_of

PLENTY = Room(None, 8, None, 8)


def one(number: int, **fields: object) -> Waiting:
    given = {"user": "ann", "priority": 0, "place": float(number), "cpus": 1, "gpus": 0, **fields}
    return Waiting(number, f"run{number}", f"name{number}", **given)  # type: ignore[arg-type]


def started(waiting: list[Waiting], room: Room = PLENTY, **used: float) -> int | None:
    turn = next_turn(waiting, room, used, "ann")
    return turn.starts.number if turn.starts else None


def test_among_equals_who_came_first_goes_first() -> None:
    assert started([one(2), one(1), one(3)]) == 1


def test_a_higher_priority_goes_first() -> None:
    assert started([one(1), one(2, priority=1)]) == 2


def test_who_has_used_less_goes_first_among_equals() -> None:
    line = in_order([one(1), one(2, user="bob")], {"ann": 10.0, "bob": 1.0})
    assert [each.number for each in line] == [2, 1]


def test_a_small_run_does_not_pass_a_large_one_that_waits_for_the_same_thing() -> None:
    room = Room(None, 1, None, 4)
    assert started([one(1, gpus=4), one(2, gpus=1)], room) is None


def test_a_run_that_wants_something_else_passes() -> None:
    room = Room(None, 1, None, 4)
    assert started([one(1, gpus=4), one(2)], room) == 2


def test_a_held_or_blocked_run_keeps_nothing_for_itself() -> None:
    room = Room(1, 0, 1, 0)
    assert started([one(1, held_by="ann"), one(2, blocked="comes after x"), one(3)], room) == 3


def test_a_run_that_wants_more_than_the_whole_machine_holds_nobody_up() -> None:
    waiting = [one(1, cpus=9), one(2, gpus=9, cpus=2), one(3, cpus=2)]
    turn = next_turn(waiting, Room(2, 1, 2, 1), {}, "ann", with_reasons=True)
    assert turn.starts == waiting[2]
    assert turn.reasons == {1: "wants 9 CPU slots; this machine has 2", 2: "wants 9 GPUs; this machine has 1"}


def test_a_run_of_another_user_is_not_started_by_this_process_and_holds_nobody_up() -> None:
    waiting = [one(1, user="bob"), one(2)]
    turn = next_turn(waiting, PLENTY, {}, "ann", with_reasons=True)
    assert turn.starts == waiting[1]
    assert "a process of bob must start it" in turn.reasons[1]


def test_nothing_starts_on_a_drained_machine() -> None:
    turn = next_turn([one(1)], PLENTY._replace(drained="this machine is drained: disk"), {}, "ann", with_reasons=True)
    assert (turn.starts, turn.reasons) == (None, {1: "this machine is drained: disk"})


def test_every_run_that_waits_has_its_reason() -> None:
    room = Room(0, 1, 2, 2, "GPU 1 is held by process 7")
    waiting = [one(1, gpus=2, cpus=0), one(2, gpus=1, cpus=0), one(3), one(4, gpus=3), one(5, cpus=9, priority=-1)]
    reasons = next_turn(waiting, room, {}, "ann", with_reasons=True).reasons
    assert reasons == {
        1: "waits for 2 GPUs, 1 of 2 free: GPU 1 is held by process 7",
        2: 'waits for 1 GPU, 0 of 2 free, behind "name1"',
        3: 'waits for 1 CPU slot, 0 of 2 free, behind "name1"',
        4: "wants 3 GPUs; this machine has 2",
        5: "wants 9 CPU slots; this machine has 2",
    }


def test_the_slots_of_a_run() -> None:
    assert [slots_of(None, 0), slots_of(None, 2), slots_of(4, 2), slots_of(0, 0)] == [1, 0, 4, 0]


RUNS = st.lists(
    st.builds(
        lambda user, priority, cpus, gpus, held: (user, priority, cpus, gpus, held),
        st.sampled_from(["ann", "bob"]), st.integers(-1, 1), st.integers(0, 3), st.integers(0, 3), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip


@given(RUNS, st.integers(0, 4), st.integers(0, 4))
def test_no_more_is_started_than_there_is_room_for_and_nobody_is_left_without_a_reason(
    rows: list[tuple[str, int, int, int, bool]], cpus: int, gpus: int
) -> None:
    waiting = [
        one(number, user=user, priority=priority, cpus=c, gpus=g, held_by="x" if held else "")
        for number, (user, priority, c, g, held) in enumerate(rows)
    ]
    turn = next_turn(waiting, Room(cpus, gpus, cpus, gpus), {}, "ann", with_reasons=True)
    if turn.starts is not None:
        assert turn.starts.cpus <= cpus and turn.starts.gpus <= gpus
        assert turn.starts.user == "ann" and not turn.starts.held_by
    assert {each.number for each in waiting} == {*turn.reasons, *([turn.starts.number] if turn.starts else [])}
