"""What every installed target promises: whole swaps, idempotent verbs, a fence, and an end after any crash."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlconsole import targets
from mlconsole.plugin_api import ActionFailed, Target, TargetObservation, TargetOrder, UsageError, Withdraws
from targetkit import SERVED, killed_at, member_of

FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"


class Place:
    """One target, one environment, and releases to put there."""

    def __init__(self, name: str, target: Target, folder: Path) -> None:
        self.name, self.target, self.folder = name, target, folder
        self.state = folder / "state"
        self.state.mkdir()
        self.settings = settings_of(name, folder)
        self.orders: list[TargetOrder] = []

    def order(self, generation: int, release: str = "", text: str = "") -> TargetOrder:
        """An order for a release of its own, whose model says ``text``."""
        release = release or f"release-{generation}"
        source = self.folder / "source" / release
        model = member_of("model", source / "model", {"weights.bin": (text or release).encode(), "deep/er.txt": b"x"})
        code = member_of("code", source / "code", SERVED)
        data = replace(model, kind="data", files={})
        members = {"model": model, "code": code, "data": data}
        order = TargetOrder("prod", release, generation, members, self.settings, self.state)
        self.orders.append(order)
        return order

    def see(self) -> TargetObservation:
        return self.target.observe("prod", self.settings, self.state)

    def live(self) -> tuple[str | None, int | None]:
        seen = self.see()
        return seen.release_id, seen.generation

    def roll_out(self, order: TargetOrder) -> None:
        self.target.prepare(order)
        self.target.activate(order)


def settings_of(name: str, folder: Path) -> dict[str, str]:
    return {"path": str(folder / "served")} if name == "directory" else {}


@pytest.fixture(params=targets.names())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    found = Place(request.param, targets.one(request.param), tmp_path)
    yield found
    if isinstance(found.target, Withdraws):
        found.target.withdraw("prod", found.settings, found.state)
        assert found.live() == (None, None)


def test_nothing_is_live_before_the_first_rollout(place: Place) -> None:
    assert place.live() == (None, None)


def test_preparing_changes_nothing_that_is_live(place: Place) -> None:
    place.roll_out(place.order(1))
    place.target.prepare(place.order(2))
    assert place.live() == ("release-1", 1)


def test_what_is_activated_is_live_and_healthy(place: Place) -> None:
    place.roll_out(place.order(1))
    place.roll_out(place.order(2))
    assert place.live() == ("release-2", 2)
    assert place.see().healthy is True
    assert place.see().endpoint


def test_every_verb_may_be_asked_again(place: Place) -> None:
    first, second = place.order(1), place.order(2)
    place.roll_out(first)
    for order in (second, second):
        place.target.prepare(order)
    for order in (second, second):
        place.target.activate(order)
    place.target.prepare(second)
    for order in (first, first):
        place.target.release(order)
    assert place.live() == ("release-2", 2)


def test_an_older_generation_is_refused_and_what_is_live_stays(place: Place) -> None:
    first, second = place.order(1), place.order(2)
    place.target.prepare(first)
    place.roll_out(second)
    with pytest.raises(ActionFailed, match="too late"):
        place.target.activate(first)
    assert place.live() == ("release-2", 2)


def test_one_generation_is_one_release(place: Place) -> None:
    place.roll_out(place.order(1))
    with pytest.raises(ActionFailed):
        place.roll_out(place.order(1, "another"))
    assert place.live() == ("release-1", 1)


def test_an_earlier_release_may_come_back_as_a_later_generation(place: Place) -> None:
    place.roll_out(place.order(1, "good"))
    place.roll_out(place.order(2, "bad"))
    place.roll_out(place.order(3, "good"))
    assert place.live() == ("good", 3)


def test_what_was_not_prepared_is_not_activated(place: Place) -> None:
    place.roll_out(place.order(1))
    with pytest.raises(ActionFailed, match="not prepared"):
        place.target.activate(place.order(2))
    assert place.live() == ("release-1", 1)


def test_changed_bytes_are_refused_before_anything_moves(place: Place) -> None:
    order = place.order(1)
    (order.members["model"].path / "weights.bin").write_bytes(b"something else")
    with pytest.raises(ActionFailed, match=r"weights\.bin"):
        place.target.prepare(order)
    assert place.live() == (None, None)


def test_what_is_live_is_not_given_back(place: Place) -> None:
    order = place.order(1)
    place.roll_out(order)
    with pytest.raises(ActionFailed, match="live"):
        place.target.release(order)
    assert place.live() == ("release-1", 1)


def test_giving_back_what_was_never_there_is_no_error(place: Place) -> None:
    place.target.release(place.order(7))
    assert place.live() == (None, None)


@pytest.mark.parametrize("path", ["../escape", "/etc/escape", "a/../../escape", "", "a//b", "nul\0"])
def test_a_path_that_leads_out_is_refused(place: Place, path: str) -> None:
    order = place.order(1)
    model = order.members["model"]
    bad = replace(model, files={path: model.files["weights.bin"]})
    with pytest.raises(ActionFailed):
        place.target.prepare(replace(order, members={"model": bad}))
    assert not list(place.folder.rglob("escape"))


@pytest.mark.parametrize("name", ["..", "a/b", "", "/etc", ".hidden"])
def test_a_member_name_that_is_no_name_is_refused(place: Place, name: str) -> None:
    order = place.order(1)
    with pytest.raises(ActionFailed):
        place.target.prepare(replace(order, members={name: order.members["model"]}))


def test_links_in_a_member_are_not_followed(place: Place) -> None:
    order = place.order(1)
    secret = place.folder / "secret"
    secret.write_bytes((order.members["model"].path / "weights.bin").read_bytes())
    (order.members["model"].path / "weights.bin").unlink()
    (order.members["model"].path / "weights.bin").symlink_to(secret)
    with pytest.raises(ActionFailed):
        place.target.prepare(order)


@pytest.mark.parametrize("settings", [{}, {"path": "relative"}, {"path": ""}])
def test_missing_settings_are_named(place: Place, settings: dict[str, str]) -> None:
    if place.name != "directory":
        pytest.skip("needs no path")
    with pytest.raises(UsageError, match="path"):
        place.target.prepare(replace(place.order(1), settings=settings))


@pytest.mark.parametrize("verb", ["prepare", "activate", "release"])
def test_a_process_killed_at_any_step_of_a_verb_leaves_the_old_or_the_new_and_the_verb_ends_it(
    place: Place, verb: str
) -> None:
    seed = int(os.environ.get("MLCONSOLE_SEED", random.randrange(1 << 30)))
    print("seed", seed)
    chosen = random.Random(seed)
    old = place.order(1)
    place.roll_out(old)
    generation, step, was_killed = 2, 1, True
    while was_killed:
        live = place.live()
        order = place.order(generation)
        if verb != "prepare":
            place.target.prepare(order)
        was_killed = killed_at(step, place.name, verb, order)
        new = (order.release_id, generation)
        assert place.live() in ((live, new) if verb == "activate" else (live,)), f"after step {step} of {verb}"
        getattr(place.target, verb)(order)
        place.target.prepare(order)
        assert place.live() == (new if verb == "activate" else live)
        if verb == "prepare":
            place.target.release(order)
        step += 1 if FULL else chosen.randrange(1, 9)
        generation += 1
    assert step > 2
