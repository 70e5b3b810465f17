"""Contracts between the parts of a release, and the smallest set that one part needs to go back."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlconsole.content.identity import named, release_id
from mlconsole.domain.companions import Companions
from mlconsole.domain.contracts import Axis, Contract, Requirement, Verdict, check, parse_requirement, worst
from mlconsole.domain.releases import Member
from mlconsole.domain.versions import satisfies

AXES = tuple(Axis)


@pytest.mark.parametrize(
    ("value", "constraint", "holds"),
    [
        ("2.13.0", ">=2.1,<3", True),
        ("2.13.0+cpu", "==2.13", True),
        ("2.13.0", "==2.*", True),
        ("3.0", "==2.*", False),
        ("2.0rc1", ">=2.0", False),
        ("2.0.dev3", "<2.0a1", True),
        ("1.10", ">1.9", True),
        ("1.4.7", "~=1.4", True),
        ("1.4.7", "~=1.4.8", False),
        ("2.0", "~=1.4", False),
        ("1!1.0", ">2", True),
        ("abc", "==abc", True),
        ("abc", "!=abd", True),
        ("abc", ">=1", False),
        ("1.0", "", True),
        ("1.0", "nonsense", False),
    ],
)
def test_a_version_keeps_its_constraint_or_not(value: str, constraint: str, holds: bool) -> None:
    assert satisfies(value, constraint) is holds


@pytest.mark.parametrize("text", ["", "env", "env:", "gpu:torch", "env:torch>>2", "env:torch=2"])
def test_what_is_no_requirement_is_none(text: str) -> None:
    assert parse_requirement(text) is None


def test_a_missing_key_is_broken_where_all_is_known_and_unproven_elsewhere() -> None:
    needs = Contract(requires=(Requirement(Axis.CONFIG, "threshold"),))

    def stands(config: Contract) -> Verdict:
        return worst(check({Axis.CODE: needs, Axis.CONFIG: config}))

    assert stands(Contract({"threshold": "1"}, ())) is Verdict.PROVEN
    assert stands(Contract({}, (), is_closed=True)) is Verdict.BROKEN
    assert stands(Contract({}, ())) is Verdict.UNPROVEN
    assert worst(check({Axis.CODE: needs})) is Verdict.BROKEN
    assert worst(check({Axis.CODE: Contract()})) is Verdict.UNPROVEN


def member(axis: Axis, number: int, contract: Contract) -> Member:
    return named(Member(axis, f"{axis}-{number}", "", f"{axis} {number}", contract))


@st.composite
def worlds(draw: st.DrawFn) -> dict[Axis, list[Member]]:
    """Some members for each axis, with small random contracts between them."""
    out: dict[Axis, list[Member]] = {}
    for axis in AXES:
        found = []
        for number in range(draw(st.integers(1, 4))):
            provides = {"a": str(draw(st.integers(0, 2)))} if draw(st.booleans()) else {}
            others = [one for one in AXES if one is not axis]
            texts = st.sampled_from(["==0", "==1", ">=1", "<2", ""])
            need = st.builds(Requirement, st.sampled_from(others), st.just("a"), texts)
            requires = draw(st.none() | st.lists(need, max_size=2).map(tuple))
            found.append(member(axis, number, Contract(provides, requires, draw(st.booleans()))))
        out[axis] = found
    return out


def is_valid(members: Mapping[Axis, Member]) -> bool:
    return worst(check({axis: one.contract for axis, one in members.items()})) is not Verdict.BROKEN


@settings(max_examples=100, deadline=None)
@given(worlds(), st.sampled_from(AXES), st.data())
def test_the_companions_are_valid_and_there_are_no_fewer(
    world: dict[Axis, list[Member]], axis: Axis, data: st.DataObject
) -> None:
    present = {one: members[0] for one, members in world.items()}
    wanted = data.draw(st.sampled_from(world[axis]))
    others = [one for one in AXES if one is not axis]
    sizes = {}
    for choice in product(*(range(len(world[one])) for one in others)):
        whole = {one: world[one][n] for one, n in zip(others, choice, strict=True)} | {axis: wanted}
        if is_valid(whole):
            sizes[choice] = sum(n > 0 for n in choice)
    healthy = data.draw(st.lists(st.sampled_from(sorted(sizes)), max_size=2)) if sizes else []
    sets = [
        [world[one][n].digest for one, n in zip(others, choice, strict=True)] + [wanted.digest] for choice in healthy
    ]

    found = Companions(present, wanted, {one: world[one] for one in others}, sets).solve()

    if not sizes:
        assert found.members is None and found.forced
        return
    assert found.members is not None and is_valid(found.members)
    assert len(found.companions) == min(sizes.values())
    assert found.members[axis] == wanted
    for one in set(others) - set(found.companions):
        assert found.members[one].digest == present[one].digest
    best = [choice for choice in healthy if sizes[choice] == min(sizes.values())]
    assert found.was_healthy == bool(best)
    assert bool(found.companions) <= bool(found.forced)


def test_a_refused_set_does_not_come_out() -> None:
    present = {axis: member(axis, 0, Contract({}, ())) for axis in AXES}
    needs = Contract({}, (Requirement(Axis.MODEL, "a", "==1"),))
    models = [member(Axis.MODEL, n, Contract({"a": str(int(n > 0))}, (), is_closed=True)) for n in range(3)]
    present[Axis.MODEL] = models[0]
    wanted = member(Axis.DATA, 1, needs)
    choices = {axis: [present[axis]] for axis in (Axis.CODE, Axis.CONFIG, Axis.ENV)} | {Axis.MODEL: models}
    first = Companions(present, wanted, choices).solve()
    assert first.members is not None
    refused = {frozenset(one.digest for one in first.members.values())}

    second = Companions(present, wanted, choices, refused=refused).solve()

    assert first.companions == second.companions == (Axis.MODEL,)
    assert second.members is not None and first.members[Axis.MODEL] != second.members[Axis.MODEL]


@given(worlds())
@settings(max_examples=50, deadline=None)
def test_a_release_is_called_by_its_members_in_any_order(world: dict[Axis, list[Member]]) -> None:
    members = {axis: found[0] for axis, found in world.items()}
    backwards = dict(reversed(members.items()))

    assert release_id(members) == release_id(backwards)
    assert len({one.digest for found in world.values() for one in found}) == sum(map(len, world.values()))
