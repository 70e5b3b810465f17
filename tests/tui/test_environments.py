"""The environments' screens, with keys alone, on a real directory target."""

from __future__ import annotations

from pathlib import Path

import pytest
from consolekit import opened

from hostile import STRINGS
from mlconsole.tui.console import Console
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
        await user.sees("config goes back alone", "code stays")
        await user.types("prod")
        await user.presses("enter")
        await user.sees("#3", "rollback")
    assert config(shop) == '{"threshold": 1}'
    shop.check()


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


async def test_each_section_says_its_own(shop: Shop) -> None:
    async with opened(console(shop, "environment", "prod")) as user:
        await user.sees("1 timeline", "● #1")
        await user.presses("2")
        await user.sees("config.json", "provides threshold=1")
        await user.presses("3")
        await user.sees("✔ pass", "command:/bin/true")
        await user.presses("tab")
        await user.sees("? unproven", "no mlconsole.toml")
        await user.presses("5")
        await user.sees("planned › preflight › prepared", "gates: pass")


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
