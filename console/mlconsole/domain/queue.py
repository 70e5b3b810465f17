"""The local queue: whose turn it is, and why the others wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Waiting(NamedTuple):
    """A run that waits for its turn.

    Attributes:
        number: the catalog's number of its run.
        run_id: the run's id.
        name: its name.
        user: whose it is; only their processes can start it.
        priority: higher goes first.
        place: among equals, lower goes first.
        cpus: the CPU slots that it takes.
        gpus: the GPUs that it takes.
        held_by: who holds it back, empty when nobody does.
        blocked: why it may not start yet whatever is free: a run that it comes after, a pause before a retry.
    """

    number: int
    run_id: str
    name: str
    user: str
    priority: int
    place: float
    cpus: int
    gpus: int
    held_by: str = ""
    blocked: str = ""


class Room(NamedTuple):
    """What is free on the machine for runs of the queue.

    Attributes:
        cpus: free CPU slots; None: not limited.
        gpus: free GPUs.
        cpu_slots: CPU slots in all; None: not limited.
        gpu_count: GPUs in all.
        gpus_why: who has the GPUs that are not free, in words.
        drained: why nothing is started at all, empty when it is.
    """

    cpus: int | None
    gpus: int
    cpu_slots: int | None = None
    gpu_count: int = 0
    gpus_why: str = ""
    drained: str = ""


class Turn(NamedTuple):
    """What was decided: the run to start next, and in words why each of the others waits, in the order of turns."""

    starts: Waiting | None
    reasons: Mapping[int, str]


def in_order(waiting: Iterable[Waiting], used: Mapping[str, float]) -> list[Waiting]:
    """The runs in the order of their turns: priority, then who has used least, then place."""
    return sorted(waiting, key=lambda one: (-one.priority, used.get(one.user, 0.0), one.place, one.number))


def next_turn(
    waiting: Iterable[Waiting], room: Room, used: Mapping[str, float], user: str, *, with_reasons: bool = False
) -> Turn:
    """Decide who starts next.

    A run that must wait for slots keeps those that are free for itself, so that smaller ones do not pass a large one
    for ever. One that wants more than the whole machine keeps nothing, or nothing behind it would ever start; nor does
    a run of another user, which this process cannot start.

    Args:
        waiting: all that wait.
        room: what is free.
        used: what each user has used of the machine, in any unit; fewer goes first among equals.
        user: whose runs this process can start.
        with_reasons: go on after the first that can start, and say of all others why they wait.
    """
    reasons: dict[int, str] = {}
    starts: Waiting | None = None
    cpus, gpus, ahead = room.cpus, room.gpus, ""
    for one in in_order(waiting, used):
        why = _held(one) or room.drained
        if not why and not _has_room(one, cpus, gpus):
            why = _lack(one, room, cpus, gpus, ahead)
            if one.user == user and not _too_large(one, room):
                cpus, gpus = _less(one, cpus, gpus)
                ahead = ahead or one.name
        elif not why and one.user != user:
            why = f"its turn has come: a process of {one.user} must start it, such as mlconsole job start"
        elif not why and starts is None:
            starts = one
            cpus, gpus = _less(one, cpus, gpus)
            if not with_reasons:
                break
        elif not why:
            why = "its turn has come"
            cpus, gpus = _less(one, cpus, gpus)
        if why:
            reasons[one.number] = why
    return Turn(starts, reasons)


def _held(one: Waiting) -> str:
    return f"held by {one.held_by}" if one.held_by else one.blocked


def _has_room(one: Waiting, cpus: int | None, gpus: int) -> bool:
    return one.gpus <= gpus and (cpus is None or one.cpus <= cpus)


def _less(one: Waiting, cpus: int | None, gpus: int) -> tuple[int | None, int]:
    return None if cpus is None else max(0, cpus - one.cpus), max(0, gpus - one.gpus)


def _too_large(one: Waiting, room: Room) -> str:
    if one.gpus > room.gpu_count:
        return f"wants {_count(one.gpus, 'GPU')}; this machine has {room.gpu_count}"
    if room.cpu_slots is not None and one.cpus > room.cpu_slots:
        return f"wants {_count(one.cpus, 'CPU slot')}; this machine has {room.cpu_slots}"
    return ""


def _lack(one: Waiting, room: Room, cpus: int | None, gpus: int, ahead: str) -> str:
    if never := _too_large(one, room):
        return never
    behind = f', behind "{ahead}"' if ahead else ""
    if one.gpus > gpus:
        why = f": {room.gpus_why}" if room.gpus_why and one.gpus > room.gpus else ""
        return f"waits for {_count(one.gpus, 'GPU')}, {gpus} of {room.gpu_count} free{behind}{why}"
    return f"waits for {_count(one.cpus, 'CPU slot')}, {cpus} of {room.cpu_slots} free{behind}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def slots_of(cpus: int | None, gpus: int) -> int:
    """The CPU slots that a run takes: those it asks for; one if it asks for nothing; none if it asks for GPUs alone."""
    if cpus is not None:
        return cpus
    return 0 if gpus else 1
