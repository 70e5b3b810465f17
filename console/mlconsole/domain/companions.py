"""The smallest set of companions that a part needs to go back: an exact search over what was ever released.

Contracts hold between two members each, so that whether two fit is worked out once for every pair and kept as bits: a
partial choice carries the bits of what still fits on every axis that is open. Sets of one axis to change are tried
before sets of two, and so on; within a size, what was good together here before goes first, then what leaves the least
unproven, then what is newest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from mlconsole.domain.contracts import Axis, Verdict, between, check
from mlconsole.domain.releases import Member
from mlconsole.records import record

Indices = tuple[int, ...]


@record
class Found:
    """What was found.

    Attributes:
        members: the whole new set; None where nothing fits.
        companions: the axes that change beside the one that was asked for.
        forced: the contracts that would be broken otherwise, in words.
        was_healthy: whether exactly these were good here before.
        unproven: how many pairs nobody can vouch for.
    """

    members: Mapping[Axis, Member] | None
    companions: tuple[Axis, ...] = ()
    forced: tuple[str, ...] = ()
    was_healthy: bool = False
    unproven: int = 0


class Companions:
    """The search.

    Args:
        present: what is live.
        wanted: the member to go back to.
        choices: for every other axis the candidates, the live one first, then by preference.
        healthy: sets of member digests that were good here, the latest first.
        refused: sets that must not come out.
    """

    def __init__(
        self,
        present: Mapping[Axis, Member],
        wanted: Member,
        choices: Mapping[Axis, Sequence[Member]],
        healthy: Sequence[Collection[str]] = (),
        refused: Collection[frozenset[str]] = (),
    ) -> None:
        self._present = present
        self._wanted = wanted
        self._axes = list(choices)
        self._choices = [list(choices[axis]) for axis in self._axes]
        self._healthy = [frozenset(one) for one in healthy]
        self._refused = set(refused)
        self._first = [
            self._fits_wanted(axis, members) for axis, members in zip(self._axes, self._choices, strict=True)
        ]
        self._doubts = [[self._doubt(wanted, one) for one in members] for members in self._choices]
        self._pairs: dict[tuple[int, int], list[tuple[int, list[int]]]] = {}

    def solve(self) -> Found:
        """The smallest set that fits."""
        for size in range(len(self._axes) + 1):
            best: tuple[tuple[int, int, Indices], Indices] | None = None
            for free in combinations(range(len(self._axes)), size):
                best = self._best(free, best)
            if best is not None:
                return self._found(best[1], was_healthy=best[0][0] == 0, unproven=best[0][1])
        return Found(None, forced=self._forced_alone())

    def _best(
        self, free: Indices, best: tuple[tuple[int, int, Indices], Indices] | None
    ) -> tuple[tuple[int, int, Indices], Indices] | None:
        """The best choice that changes exactly these axes, if it is better than the one there is."""
        allowed = [bits & ~1 if place in free else bits & 1 for place, bits in enumerate(self._first)]
        order = sorted(range(len(self._axes)), key=lambda place: allowed[place].bit_count())
        chosen = [0] * len(self._axes)
        for rank in self._ranked(free):
            if self._known_fits(rank, allowed):
                key = (0, self._doubt_of(rank), rank)
                return min(best, (key, rank)) if best else (key, rank)
        bound = [best]
        self._walk(order, 0, allowed, chosen, self._own_doubt, bound)
        return bound[0]

    def _ranked(self, free: Indices) -> list[Indices]:
        """The choices that were good here before and change exactly these axes, the latest first."""
        out = []
        for digests in self._healthy:
            if self._wanted.digest not in digests or frozenset(digests) in self._refused:
                continue
            found = tuple(
                next((n for n, one in enumerate(members) if one.digest in digests), -1) for members in self._choices
            )
            changed = tuple(place for place, index in enumerate(found) if index)
            if -1 not in found and changed == free:
                out.append(found)
        return out

    def _known_fits(self, indices: Indices, allowed: Sequence[int]) -> bool:
        if not all(bits >> index & 1 for bits, index in zip(allowed, indices, strict=True)):
            return False
        return all(
            self._pair(one, other)[indices[one]][0] >> indices[other] & 1
            for one, other in combinations(range(len(indices)), 2)
        )

    def _doubt_of(self, indices: Indices) -> int:
        between_them = sum(
            self._pair(one, other)[indices[one]][1][indices[other]]
            for one, other in combinations(range(len(indices)), 2)
        )
        return self._own_doubt + between_them + sum(self._doubts[place][n] for place, n in enumerate(indices))

    @property
    def _own_doubt(self) -> int:
        return int(self._wanted.contract.requires is None)

    def _walk(
        self,
        order: Sequence[int],
        depth: int,
        allowed: Sequence[int],
        chosen: list[int],
        doubt: int,
        bound: list[tuple[tuple[int, int, Indices], Indices] | None],
    ) -> None:
        best = bound[0]
        if best is not None and (1, doubt) > best[0][:2]:
            return
        if depth == len(order):
            indices = tuple(chosen)
            key = (1, doubt, indices)
            if (best is None or key < best[0]) and not self._is_refused(indices):
                bound[0] = (key, indices)
            return
        place = order[depth]
        bits = allowed[place]
        while bits:
            index = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            narrowed, more = list(allowed), doubt + self._doubts[place][index]
            for other in order[depth + 1 :]:
                narrowed[other] &= self._pair(place, other)[index][0]
                if not narrowed[other]:
                    break
            else:
                for before in order[:depth]:
                    more += self._pair(place, before)[index][1][chosen[before]]
                chosen[place] = index
                self._walk(order, depth + 1, narrowed, chosen, more, bound)

    def _is_refused(self, indices: Indices) -> bool:
        if not self._refused:
            return False
        digests = {members[index].digest for members, index in zip(self._choices, indices, strict=True)}
        return frozenset({*digests, self._wanted.digest}) in self._refused

    def _pair(self, one: int, other: int) -> list[tuple[int, list[int]]]:
        """For every member of an axis: which of another's fit, as bits, and with which of them it is unproven."""
        found = self._pairs.get((one, other))
        if found is None:
            found = self._pairs[one, other] = [
                self._row(self._axes[one], member, self._axes[other], self._choices[other])
                for member in self._choices[one]
            ]
        return found

    def _row(self, axis: Axis, member: Member, other: Axis, members: Sequence[Member]) -> tuple[int, list[int]]:
        bits, doubts = 0, []
        for index, each in enumerate(members):
            verdict = between(axis, member.contract, other, each.contract)
            bits |= (verdict is not Verdict.BROKEN) << index
            doubts.append(int(verdict is Verdict.UNPROVEN))
        return bits, doubts

    def _fits_wanted(self, axis: Axis, members: Sequence[Member]) -> int:
        """Which members fit the wanted one, and need nothing of an axis that the set does not have."""
        there = {*self._axes, self._wanted.axis}
        bits, _ = self._row(self._wanted.axis, self._wanted, axis, members)
        for index, one in enumerate(members):
            if any(need.axis not in there for need in one.contract.requires or ()):
                bits &= ~(1 << index)
        return 0 if any(need.axis not in there for need in self._wanted.contract.requires or ()) else bits

    def _doubt(self, wanted: Member, member: Member) -> int:
        verdict = between(wanted.axis, wanted.contract, member.axis, member.contract)
        return int(verdict is Verdict.UNPROVEN) + int(member.contract.requires is None)

    def _found(self, indices: Indices, *, was_healthy: bool, unproven: int) -> Found:
        members = {axis: self._choices[place][indices[place]] for place, axis in enumerate(self._axes)}
        members[self._wanted.axis] = self._wanted
        changed = tuple(axis for place, axis in enumerate(self._axes) if indices[place])
        forced = tuple(dict.fromkeys(words for axis in changed for words in self._broken_with_live(members, axis)))
        return Found(members, changed, forced or (self._forced_alone() if changed else ()), was_healthy, unproven)

    def _broken_with_live(self, members: Mapping[Axis, Member], axis: Axis) -> list[str]:
        """The contracts that would be broken if one companion stayed as it is live."""
        return self._broken({**members, axis: self._present[axis]})

    def _forced_alone(self) -> tuple[str, ...]:
        """The contracts that the wanted member breaks with what is live."""
        return tuple(self._broken({**self._present, self._wanted.axis: self._wanted}))

    def _broken(self, members: Mapping[Axis, Member]) -> list[str]:
        checks = check({axis: member.contract for axis, member in members.items()})
        return [one.words for one in checks if one.verdict is Verdict.BROKEN]
