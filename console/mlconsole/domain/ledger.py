"""The ledger's arithmetic: every micro-dollar of a machine's time goes to a run or to IDLE, and none is lost.

A machine with GPUs is shared by leased GPU time; what no run has leased is IDLE. A machine without GPUs is shared
evenly by the runs that are alive at each moment. A run without a GPU on a machine with GPUs has no share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from mlconsole.domain.prices import HOUR_US
from mlconsole.domain.uptime import IDLE, NO_GPU, Uptime
from mlconsole.records import record

DAY_US = 24 * HOUR_US
#: Two clocks of one machine may differ by this much before one of them has jumped.
JUMP_US = 60_000_000


@record
class Hold:
    """A run's hold on a GPU, or on a machine without one (``gpu`` is :data:`NO_GPU`); ``to_us`` None: it goes on."""

    account: int
    gpu: int
    from_us: int
    to_us: int | None = None

    def within(self, from_us: int, to_us: int) -> Hold:
        """The part of it between two moments."""
        end = to_us if self.to_us is None else min(self.to_us, to_us)
        return Hold(self.account, self.gpu, max(self.from_us, from_us), end)

    @property
    def length_us(self) -> int:
        """How long it lasts, never negative; 0 for one that goes on."""
        return max(0, (self.to_us if self.to_us is not None else self.from_us) - self.from_us)


@record
class Share:
    """One account's part of an interval: leased time on one GPU, and its cost. Account :data:`IDLE` is nobody."""

    account: int
    gpu: int
    gpu_us: int
    microusd: int


@record
class Interval:
    """A stretch of a machine's time within one day, its cost, and whose it was; the shares add up to the cost."""

    from_us: int
    to_us: int
    microusd: int
    shares: tuple[Share, ...]


def cost_us(microusd_per_h: int, since_us: int, from_us: int, to_us: int) -> int:
    """What the time between two moments costs when the rate began at ``since_us``.

    A difference of running totals: intervals that follow each other add up exactly, however they are cut.
    """
    return microusd_per_h * (to_us - since_us) // HOUR_US - microusd_per_h * (from_us - since_us) // HOUR_US


def apportion(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """``total`` in whole units by weight, by the largest remainder (Hamilton's method); the parts add up to it."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    quotas = [Fraction(total) * weight / whole for weight in weights]
    parts = [int(quota) for quota in quotas]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - quotas[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def split(
    microusd: int, from_us: int, to_us: int, gpus: Sequence[int], count: int, holds: Sequence[Hold]
) -> list[Share]:
    """Whose an interval of a machine's time was.

    Args:
        microusd: what the interval costs.
        from_us: its begin.
        to_us: its end.
        gpus: the machine's GPUs that are known by name.
        count: how many it has.
        holds: who held what; what lies outside the interval does not count.
    """
    inside = [hold for each in holds if (hold := each.within(from_us, to_us)).length_us > 0]
    known = sorted({*gpus, *(hold.gpu for hold in inside)} - {NO_GPU})
    if not known and not count:
        return _by_the_living(microusd, from_us, to_us, inside)
    rows = [row for gpu in known for row in _on_gpu(gpu, from_us, to_us, inside)]
    if count > len(known):
        rows.append((IDLE, NO_GPU, (count - len(known)) * (to_us - from_us)))
    parts = apportion(microusd, [time for _, _, time in rows])
    return [Share(account, gpu, time, part) for (account, gpu, time), part in zip(rows, parts, strict=True)]


def _on_gpu(gpu: int, from_us: int, to_us: int, holds: Sequence[Hold]) -> list[tuple[int, int, int]]:
    """(account, gpu, time) of one GPU; where two holds overlap the earlier one has it."""
    times: dict[int, int] = {}
    taken = from_us
    for hold in sorted((hold for hold in holds if hold.gpu == gpu), key=lambda hold: (hold.from_us, hold.account)):
        mine = hold.within(taken, to_us)
        if mine.length_us:
            times[hold.account] = times.get(hold.account, 0) + mine.length_us
            taken = mine.from_us + mine.length_us
    idle = to_us - from_us - sum(times.values())
    return [(account, gpu, time) for account, time in {**times, IDLE: idle}.items() if time]


def _by_the_living(microusd: int, from_us: int, to_us: int, holds: Sequence[Hold]) -> list[Share]:
    weights: dict[int, Fraction] = {}
    moments = sorted({from_us, to_us, *(hold.from_us for hold in holds), *(hold.to_us or to_us for hold in holds)})
    for start, end in pairwise(moments):
        alive = {hold.account for hold in holds if hold.from_us <= start and end <= (hold.to_us or to_us)} or {IDLE}
        for account in alive:
            weights[account] = weights.get(account, Fraction(0)) + Fraction(end - start, len(alive))
    parts = apportion(microusd, list(weights.values()))
    return [Share(account, NO_GPU, 0, part) for account, part in zip(weights, parts, strict=True)]


def days(from_us: int, to_us: int) -> Iterator[tuple[int, int]]:
    """The stretch cut at midnight UTC; nothing when it is empty or runs backwards."""
    while from_us < to_us:
        end = min(to_us, (from_us // DAY_US + 1) * DAY_US)
        yield from_us, end
        from_us = end


def billed(
    settled_us: int, now_us: int, before: Uptime, now: Uptime, last_up_us: int, *, stops_when_off: bool
) -> list[tuple[int, int]]:
    """The stretches of a machine's time since the last settling that are paid for.

    Within one boot, time that the wall clock has but the machine did not live through (a clock set forward) is left
    out. After a restart a rented machine was off from when it was last known to be up until it started again.
    """
    if now_us <= settled_us:
        return []
    if before.boot_id == now.boot_id:
        lived = now.awake_us - before.awake_us
        return [(settled_us, min(now_us, settled_us + lived) if now_us - settled_us > lived + JUMP_US else now_us)]
    boot_us = now_us - now.awake_us
    if not before.boot_id or not stops_when_off or boot_us <= settled_us:
        return [(settled_us, now_us)]
    return [(settled_us, min(max(settled_us, last_up_us), boot_us)), (boot_us, now_us)]


def nothing_survives_a_restart(holds: Sequence[Hold], boot_us: int) -> list[Hold]:
    """The holds, those from before the machine's start cut there."""
    return [
        Hold(hold.account, hold.gpu, hold.from_us, boot_us)
        if hold.from_us < boot_us and (hold.to_us is None or hold.to_us > boot_us)
        else hold
        for hold in holds
    ]


def intervals(
    stretches: Sequence[tuple[int, int]],
    rates: Sequence[tuple[int, int]],
    gpus: Sequence[int],
    count: int,
    holds: Sequence[Hold],
) -> list[Interval]:
    """The ledger's new intervals.

    Args:
        stretches: the machine's time that is paid for.
        rates: (since when, micro-dollars an hour), the earliest first; the first one also holds before it.
        gpus: the machine's GPUs that are known by name.
        count: how many it has.
        holds: who held what.
    """
    found = []
    for start, end in stretches:
        for from_us, to_us, since_us, rate in _priced(start, end, rates):
            for a, b in days(from_us, to_us):
                cost = cost_us(rate, since_us, a, b)
                found.append(Interval(a, b, cost, tuple(split(cost, a, b, gpus, count, holds))))
    return found


def _priced(start: int, end: int, rates: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    for i, (since, rate) in enumerate(rates):
        a = start if i == 0 else max(start, since)
        b = min(end, rates[i + 1][0]) if i + 1 < len(rates) else end
        if a < b:
            yield a, b, since, rate
