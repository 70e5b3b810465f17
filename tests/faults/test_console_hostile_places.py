"""Text from strangers where models are watched and released: alerts, policies, monitors, environments; and in forms."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tui"))

from consolekit import Stage, opened, settled, stage
from hostilekit import poison_gpus, poison_places
from morningkit import morning
from robot import Robot

from hostile import MANY_NEWLINES, STRINGS, raw_controls
from mlconsole.tui.acting import WHERE
from mlconsole.tui.places import Location

STORED = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in STRINGS.items()}
ALL_AT_ONCE = " ".join(text for name, text in STORED.items() if name != "long")
TEXTS = [ALL_AT_ONCE, MANY_NEWLINES, *STORED.values()]
CLICK, WIDE, TALL, SMALL = "[@click=app.quit]x[/]", (200, 70), (100, 60), (80, 24)
LISTS = (
    "alerts",
    "policies",
    "monitors",
    "models",
    "environments",
    "sweeps",
    "lineage",
    "cost",
    "overview",
    "jobs",
    "gpus",
)
VERBATIM = ("alerts", "policies", "monitors", "models", "environments", "gpus")
"""Lists in whose first columns each text stands whole, the markup among them."""
PAGES = {"policy": 1, "monitor": 1, "environment": 5, "model": 3, "lineage": 1}
"""Pages by the name of a thing, and how many sections they have."""
NOT_FOUND = re.compile("No (alert|policy|monitor|environment|model|version|run|thing|node)")
KEYS = {"alerts": "AZ", "environments": "pbuM", "models": "a", "policies": "d", "monitors": "P"}


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A catalog with every hostile text in every place; nothing changes it."""
    made = morning(tmp_path_factory.mktemp("hostile") / "lab")
    poison_places(made.home, TEXTS)
    poison_gpus(made.home, [ALL_AT_ONCE, STORED["bell action"], STORED["title by OSC"]])
    return made


async def looks(user: Robot) -> None:
    """Nothing on the screen could steer a terminal, and the console is still there."""
    await settled(user, times=1)
    assert not any(raw_controls(line, allowed="") for line in user.lines), user.text
    assert user.app.is_running


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
async def test_lists_show_hostile_texts_in_escapes_and_markup_as_it_is(poisoned: Stage, size: tuple[int, int]) -> None:
    async with opened(poisoned.console(), size) as user:
        for name in LISTS:
            user.app.go(Location(name))
            await looks(user)
            if size is WIDE and name in VERBATIM:
                assert ("app.bell" if name == "gpus" else CLICK) in user.text, f"{name}\n{user.text}"
            # Under the list stands in full what the row under the cursor has no room for.
            for _ in range(3):
                await user.presses("j")
                await looks(user)


async def test_pages_show_hostile_texts_in_escapes_in_every_section(poisoned: Stage) -> None:
    async with opened(poisoned.console(), TALL) as user:
        for number, text in enumerate(TEXTS[:2]):
            visits = [(Location("alert", f"hostile{number}"), 3), (Location("gpu", "0"), 4)]
            for place, sections in PAGES.items():
                target = {"model": f"{text}@1", "lineage": text}.get(place, text)
                visits.append((Location(place, target), sections))
            for location, sections in visits:
                user.app.go(location)
                await looks(user)
                assert not NOT_FOUND.search(user.text), user.text
                for _ in range(1, sections):
                    await user.presses("tab")
                    await looks(user)


async def test_dialogs_forms_with_what_was_typed_last_and_bookmarks_show_hostile_texts_in_escapes(
    poisoned: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # A key writes a page to where the console was opened.
    app = stage(poisoned.home, poisoned.backend, read_only=False).console()
    async with opened(app, TALL) as user:
        app.session.bookmarks = dict.fromkeys(STORED.values(), STORED["clear screen"])
        for action in app.actions_for(frozenset(WHERE)):
            app.session.values[action.name] = {"why": ALL_AT_ONCE, "release": ALL_AT_ONCE, "alias": ALL_AT_ONCE}
        for place, keys in KEYS.items():
            for key in keys:
                app.go(Location(place, line=f'"{STORED["closing markup"]}"' if place != "policies" else ""))
                await looks(user)
                await user.presses(key)
                await looks(user)
                await user.presses("escape")
        for text in (ALL_AT_ONCE, STORED["long"]):
            await user.presses("ctrl+p")
            app.screen.query_one("Input").value = text
            await looks(user)
            await user.presses("escape", "question_mark", "G")
            await looks(user)
            await user.presses("escape", "slash")
            app.screen.query_one("#prompt")._set(text)
            await looks(user)
            await user.presses("escape")
