"""From a live deployment back to its data, and from data to what it led to, with keys alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from consolekit import NOW, opened, settled, stage
from robot import Robot

from hostile import STRINGS, raw_controls
from mlconsole.catalog import Catalog
from mlconsole.catalog.lineage import put_edge, put_node
from mlconsole.domain.lineage import NodeKind
from mlconsole.domain.times import to_us
from mlconsole.tui.places import Location


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("lineage") / "lab"
    stage(found)
    yield found


async def unfolds(user: Robot, text: str) -> None:
    """Go down to the line with this text and unfold it."""
    await user.presses("g")
    for _ in range(60):
        if any(line.startswith("▌") and text in line for line in user.lines):
            break
        await user.presses("j")
    await user.presses("enter")
    await settled(user)


async def test_from_what_is_live_back_to_the_data_it_learned_from(home: Path) -> None:
    async with opened(stage(home).console(Location("lineage", "shop")), (100, 30)) as user:
        await user.sees("◆", "shop #1", "spring")
        await user.sees_no("digits@2")
        await unfolds(user, "spring")
        await user.sees("digits@2")
        await unfolds(user, "digits@2")
        await unfolds(user, " live ")
        await user.sees("commit c0dec0dec0de", "Python 3.11.7", "used")
        # Fold it again.
        await unfolds(user, " live ")
        await user.sees_no("commit c0dec0dec0de")


async def test_a_hub_is_folded_with_its_count_and_shows_more_on_a_key(home: Path) -> None:
    async with opened(stage(home).console(Location("lineage", "c0dec0de")), (100, 60)) as user:
        await user.sees("20 more made from it", "↑0 ↓32")
        await unfolds(user, "20 more")
        await user.sees_no("more made from it")
        await user.sees("other-00", "other-29")


async def test_the_view_turns_to_one_way_and_begins_elsewhere(home: Path) -> None:
    async with opened(stage(home).console(Location("lineage", "digits@2")), (100, 30)) as user:
        await user.sees("spring", "live")
        await user.presses("w")
        await user.sees_no("spring")
        await user.presses("j", "h")
        await user.sees("Lineage live")
        await user.presses("minus")
        await user.sees("Lineage digits@2")


async def test_a_line_is_found_by_a_word_and_opens_its_own_page(home: Path) -> None:
    async with opened(stage(home).console(Location("lineage")), (100, 60)) as user:
        await user.sees("shop #1", "other-29")
        await user.presses("slash")
        await user.types("kind:model digits")
        await user.presses("enter")
        await user.sees_no("other-29")
        await user.sees("digits@1", "digits@2")
        await user.presses("p")
        await user.sees("Model digits@", "weights.safetensors")


async def test_models_are_compared_looked_at_and_traced(home: Path) -> None:
    async with opened(stage(home).console(Location("models")), (100, 30)) as user:
        await user.sees("digits@2", "champion", "val/acc 0.92")
        await user.presses("d")
        await user.sees("model diff", "metric val/acc")
        await user.presses("escape", "enter")
        await user.sees("1 -> 2", "F32[10, 64]")
        await user.presses("2")
        await user.sees("# digits\\@2".replace("\\@", "@"), "Made from")
        await user.presses("3")
        await user.sees("◆", "spring")
        await user.presses("p")
        await user.sees("Lineage digits@2")


async def test_an_alias_is_moved_from_the_screen_with_its_plan(tmp_path: Path) -> None:
    stage(tmp_path / "lab")
    async with opened(stage(tmp_path / "lab", read_only=False).console(Location("models")), (100, 30)) as user:
        await user.sees("digits@1")
        await user.presses("j", "a")
        await user.sees("Point an alias", "digits")
        await user.types("champion")
        await user.presses("ctrl+s")
        await user.sees('point "champion" of "digits" to version 1')
        await user.presses("enter")
        await user.waits(lambda: "champion" in user.line_with("digits@1"), "the alias on version 1")


async def test_the_run_s_own_page_shows_what_it_was_made_from(home: Path) -> None:
    async with opened(stage(home).console(Location("run", "live", cursor="lineage")), (80, 24)) as user:
        await user.sees("8 lineage", "◆", "digits@2", "commit c0dec0dec0de", "spring")


async def test_hostile_names_are_shown_as_text_and_do_nothing(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    stage(home)
    catalog = Catalog(home)

    def put(db: object) -> None:
        for number, text in enumerate(STRINGS):
            key = put_node(db, NodeKind.ARTIFACT, f"artifact:{number}:{text}", text, to_us(NOW))  # type: ignore[arg-type]
            put_edge(db, key, "version:digits@2", text[:50])  # type: ignore[arg-type]

    catalog.write(put)
    catalog.close()
    async with opened(stage(home).console(Location("lineage", "digits@2")), (120, 50)) as user:
        await unfolds(user, "more made")
        await user.presses("G", "g", *["j"] * len(STRINGS))
        await settled(user)
        assert not raw_controls(user.text)
        for place in (Location("lineage"), Location("model", "digits@2", cursor="lineage")):
            user.app.go(place)  # type: ignore[attr-defined]
            await settled(user)
            assert not raw_controls(user.text)
