"""The environments' screens, with keys alone, on a real directory target."""

from __future__ import annotations

from pathlib import Path

import pytest
from consolekit import opened
from robot import Robot

from hostile import STRINGS
from mlconsole.actions.environments import SET, SetParams
from mlconsole.actions.execute import execute
from mlconsole.domain.environments import Standing
from mlconsole.errors import ActionFailed
from mlconsole.render.release_tables import MARKS
from mlconsole.tui.console import Console
from mlconsole.tui.environment_pages import TOKENS
from mlconsole.tui.places import Location
from shopkit import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two releases that differ in code and configuration, the first of them live in prod."""
    shop = Shop(tmp_path)
    shop.release("one", {"code": "1", "config": '{"threshold": 1}'})
    shop.release("two", {"code": "2", "config": '{"threshold": 2}'})
    shop.environment(gate=("command:/bin/true",))
    shop.rollout("one")
    return shop


def console(shop: Shop, place: str = "environments", target: str = "") -> Console:
    return Console(shop.context(), Location(place, target))


async def does(user: Robot, name: str) -> None:
    """Choose an action in the palette."""
    await user.presses("ctrl+p")
    await user.types(name)
    await user.sees(name)
    await user.presses("enter")


def config(shop: Shop) -> str:
    return (shop.place / "current" / "config" / "config.json").read_text()


async def test_a_release_is_rolled_out_and_one_part_of_it_taken_back(shop: Shop) -> None:
    async with opened(console(shop), (120, 40)) as user:
        await user.sees("prod", "● live", "one")
        await user.presses("p")
        await user.sees("release *")
        await user.types("two")
        await user.presses("ctrl+s")
        await user.sees("from one to two", "code changes", "Type prod to go on")
        await user.types("prod")
        await user.presses("enter")
        await user.sees("generation 2")
        await user.presses("enter")
        await user.sees("#2", "#1", "good", "live")

        await user.presses("b", "tab")
        await user.types("config")
        await user.presses("ctrl+s")
        await user.sees("config goes back alone", "stays: code")
        await user.types("prod")
        await user.presses("enter")
        await user.sees("#3", "rollback")
    assert config(shop) == '{"threshold": 1}'
    shop.check()


@pytest.mark.parametrize("place", [("environments", ""), ("environment", "prod")])
async def test_what_was_planned_is_not_done_to_what_others_moved_meanwhile(shop: Shop, place: tuple[str, str]) -> None:
    shop.rollout("two")
    async with opened(console(shop, *place), (120, 40)) as user:
        await user.sees("prod", "two")
        await user.presses("b", "ctrl+s")
        await user.sees("from two to one", "--expect=2")
        shop.rollout("one")
        await user.types("prod")
        await user.presses("enter")
        await user.sees("at generation 3, not at 2; nothing was changed")
    assert config(shop) == '{"threshold": 1}'


async def test_nothing_moves_before_the_name_is_typed(shop: Shop) -> None:
    async with opened(console(shop, "environment", "prod"), (120, 40)) as user:
        await user.sees("#1")
        await user.presses("M")
        await user.sees("Type prod to go on")
        await user.types("no")
        await user.presses("enter")
        await user.sees('That is not "prod"')
        await user.presses("escape")
        await user.sees("Nothing was changed")
    assert shop.settle().pointer.generation == 1


async def test_a_plan_that_is_longer_than_the_screen_is_read_to_its_end_before_the_word_is_typed(shop: Shop) -> None:
    shop.rollout("two")
    async with opened(console(shop, "environment", "prod"), (80, 24)) as user:
        for _ in range(2):
            await user.presses("b", "tab")
            await user.types("config")
            await user.presses("ctrl+s")
            await user.sees("1. config goes back alone", "Type prod to go on")
            await user.sees_no("cannot be undone")
            await user.presses("pagedown")
            await user.sees("cannot be undone", "rollback prod --axis=config")
            await user.presses("escape")
            await user.sees("Nothing was changed")
    assert shop.settle().pointer.generation == 2


async def test_each_section_says_its_own(shop: Shop) -> None:
    async with opened(console(shop, "environment", "prod")) as user:
        await user.sees("1 timeline", "● #1")
        await user.presses("2")
        await user.sees("config.json", "provides threshold=1")
        await user.presses("3")
        await user.sees("✔ pass", "command:true")
        await user.presses("tab")
        await user.sees("? unproven", "no mlconsole.toml")
        await user.presses("5")
        await user.sees("planned › preflight › prepared", "gates: pass")


async def test_pins_stand_in_the_way_and_are_said(shop: Shop) -> None:
    async with opened(console(shop, "environment", "prod"), (120, 40)) as user:
        await does(user, "env pin")
        await user.types("config")
        await user.presses("ctrl+s")
        await user.sees("let no rollout change config config.json")
        await user.presses("enter")
        await user.sees("pinned", "config is pinned by ann")
        await user.presses("p")
        await user.types("two")
        await user.presses("ctrl+s")
        await user.sees("stands against it: config is pinned by ann", "Type prod to go on")
        await user.types("prod")
        await user.presses("enter")
        await user.sees("was not rolled out", "config is pinned")
        await does(user, "env unpin")
        await user.types("config")
        await user.presses("ctrl+s")
        await user.sees("let rollouts change config")
        await user.presses("enter")
        await user.sees("may change again")
        await user.sees_no("config is pinned by ann")
    assert shop.settle().pointer.generation == 1


async def test_what_is_withdrawn_is_shown_as_that_and_comes_back_with_the_next_rollout(shop: Shop) -> None:
    async with opened(console(shop, "environment", "prod"), (120, 40)) as user:
        await does(user, "env withdraw")
        await user.sees("take down what is live", "Type prod to go on")
        await user.types("prod")
        await user.presses("enter")
        await user.sees("■ withdrawn", "by ann at")
        assert not (shop.place / "current").exists()
        await user.presses("p")
        await user.types("two")
        await user.presses("ctrl+s")
        await user.sees("Type prod to go on")
        await user.types("prod")
        await user.presses("enter")
        await user.sees("● live", "#2")
    shop.check()


async def test_a_rollout_that_waits_for_a_person_is_taken_or_undone_with_a_key(shop: Shop) -> None:
    ctx = shop.context()
    execute(ctx, SET, SetParams("prod", gate=("command:/bin/sh -c '[ $MLCONSOLE_GENERATION != 2 ] || exit 75'",)))
    ctx.close()
    with pytest.raises(ActionFailed):
        shop.rollout("two")
    async with opened(console(shop, "environment", "prod"), (120, 40)) as user:
        await user.sees("held", "waits for", "it ended with 75. Take it", "#2")
        await user.presses("3")
        await user.sees("? inconclusive")
        await user.presses("u")
        await user.sees("go back to what was good before")
        await user.presses("enter")
        await user.sees("● live", "generation 3")
    assert config(shop) == '{"threshold": 1}'


def test_every_way_to_stand_has_its_mark_and_colour() -> None:
    assert set(TOKENS) == set(MARKS) == set(Standing)


async def test_a_drift_is_seen_and_says_its_repair(shop: Shop) -> None:
    (shop.place / "current").unlink()
    (shop.place / "current").symlink_to("/tmp")
    shop.settle()
    async with opened(console(shop, "environment", "prod"), (200, 30)) as user:
        await user.sees("▲ drifted", "leads to none of ours", "mlconsole env repair prod --yes")


async def test_an_empty_catalog_says_what_would_be_here(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release("one")
    async with opened(console(shop)) as user:
        await user.sees("No environments yet", "mlconsole env create")


async def test_without_an_environment_under_the_cursor_the_reason_is_said(shop: Shop) -> None:
    async with opened(console(shop, "runs")) as user:
        await user.presses("ctrl+p")
        await user.types("env rollout")
        await user.sees("it needs an env")


async def test_hostile_words_are_shown_as_words(shop: Shop) -> None:
    hostile = " ".join(text for text in STRINGS.values() if len(text) < 60 and "\0" not in text)[:300]
    shop.release("three")
    shop.rollout("three", override=hostile)
    for place, target in (("environments", ""), ("environment", "prod")):
        async with opened(console(shop, place, target), (160, 40)) as user:
            await user.sees("three")
            assert "\x1b" not in user.text
