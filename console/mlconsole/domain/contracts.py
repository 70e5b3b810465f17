"""Contracts: what the members of a release give each other and need of each other, and whether that fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from mlconsole.domain.versions import clauses, satisfies
from mlconsole.records import field, record


class Axis(StrEnum):
    """The parts of a release; each can be taken back alone."""

    CODE = "code"
    DATA = "data"
    MODEL = "model"
    CONFIG = "config"
    ENV = "env"


class Verdict(StrEnum):
    """How a requirement stands; unproven is what nobody knows enough of to say."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    BROKEN = "broken"


class Requirement(NamedTuple):
    """Something that a member needs of another: ``env:torch>=2,<3``, ``data:schema==1f2e``, ``config:threshold``."""

    axis: Axis
    key: str
    constraint: str = ""

    @property
    def words(self) -> str:
        """As it is written."""
        return f"{self.axis.value}:{self.key}{self.constraint}"


@record
class Contract:
    """What a member provides and requires.

    Attributes:
        provides: values by key.
        requires: what it needs of others; None: nobody knows.
        is_closed: ``provides`` is all there is, so that what is not in it is missing.
        note: why something is not known.
    """

    provides: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[Requirement, ...] | None = None
    is_closed: bool = False
    note: str = ""


@record
class Check:
    """One requirement held against what is there.

    ``axis`` is who requires; ``requirement`` is None where it is not known what that is; ``found`` is the value there
    is, empty for none.
    """

    verdict: Verdict
    axis: Axis
    requirement: Requirement | None
    found: str = ""
    note: str = ""

    @property
    def words(self) -> str:
        """The check in a line: ``code requires env:torch>=2: there is 1.13``."""
        if self.requirement is None:
            return f"{self.axis.value}: {self.note or 'nobody knows what it requires'}"
        there = f"there is {self.found}" if self.found else (self.note or "there is none")
        return f"{self.axis.value} requires {self.requirement.words}: {there}"


def parse_requirement(text: str) -> Requirement | None:
    """The requirement of ``env:torch>=2``; None where it is none."""
    head, colon, rest = text.strip().partition(":")
    if not colon or head not in list(Axis):
        return None
    cut = next((i for i, char in enumerate(rest) if char in "=<>!~"), len(rest))
    key, constraint = rest[:cut].strip(), rest[cut:].strip()
    if not key or clauses(constraint) is None:
        return None
    return Requirement(Axis(head), key, constraint)


def check(contracts: Mapping[Axis, Contract]) -> tuple[Check, ...]:
    """Every requirement of every member held against the member it is about, the worst first."""
    found = [one for axis in contracts for one in _of(axis, contracts)]
    return tuple(sorted(found, key=lambda one: WORST.index(one.verdict)))


WORST = (Verdict.BROKEN, Verdict.UNPROVEN, Verdict.PROVEN)


def _of(axis: Axis, contracts: Mapping[Axis, Contract]) -> Iterator[Check]:
    mine = contracts[axis]
    if mine.requires is None:
        yield Check(Verdict.UNPROVEN, axis, None, note=mine.note)
        return
    for requirement in mine.requires:
        yield hold(axis, requirement, contracts.get(requirement.axis))


def hold(axis: Axis, requirement: Requirement, there: Contract | None) -> Check:
    """A requirement of ``axis`` held against the contract of the member that it is about; None: there is no member."""
    if there is None:
        return Check(Verdict.BROKEN, axis, requirement, note=f"the release has no {requirement.axis.value}")
    value = there.provides.get(requirement.key)
    if value is None:
        verdict = Verdict.BROKEN if there.is_closed else Verdict.UNPROVEN
        note = "there is none" if there.is_closed else there.note or f"the {requirement.axis.value} does not say"
        return Check(verdict, axis, requirement, note=note)
    fits = satisfies(value, requirement.constraint)
    return Check(Verdict.PROVEN if fits else Verdict.BROKEN, axis, requirement, value)


def worst(checks: Sequence[Check]) -> Verdict:
    """The worst verdict; proven where nothing is required."""
    return min((one.verdict for one in checks), key=WORST.index, default=Verdict.PROVEN)


def between(one: Axis, one_contract: Contract, other: Axis, other_contract: Contract) -> Verdict:
    """How two members fit, by what each requires of the other."""
    found = [
        *(hold(one, need, other_contract) for need in one_contract.requires or () if need.axis is other),
        *(hold(other, need, one_contract) for need in other_contract.requires or () if need.axis is one),
    ]
    return worst(found)
