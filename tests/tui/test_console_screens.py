"""A story for each screen and for each way of getting around, on a catalog that stands still."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from consolekit import Stage, opened, settled, stage
from robot import Robot

from mlconsole.actions import named
from mlconsole.actions.context import Context
from mlconsole.actions.keys import KEYED
from mlconsole.actions.launch import launch
from mlconsole.actions.launch_order import LaunchParams
from mlconsole.config import load
from mlconsole.domain.query import parse
from mlconsole.tui import places, session
from mlconsole.tui.console import Console
from mlconsole.tui.picking import picked
from mlconsole.tui.places import Location
from mlconsole.tui.screens.help import NOISE, bound_keys
from mlconsole.tui.widgets.prompt import Prompt


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One catalog for all who only read."""
    return stage(tmp_path_factory.mktemp("fixed") / "lab").home


@pytest.fixture
def reading(fixed: Path) -> Stage:
    return stage(fixed)


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Stage]:
    yield stage(tmp_path / "lab", read_only=False)


async def goes(user: Robot, line: str) -> None:
    await user.presses("colon")
    await user.types(line)
    await user.presses("enter")
    await settled(user)


async def test_overview_shows_trouble_before_what_runs(reading: Stage) -> None:
    async with opened(reading.console(Location("overview"))) as user:
        await user.sees("broken", "✖ failed", "ValueError: loss is nan", "live", "● running", "loss")
        assert user.text.index("broken ") < user.text.index("live     ")
        await user.sees("live  staging", "prod ")
        await user.presses("enter")
        await user.sees("Overview › Run ", "✖ failed", "1 charts")


async def test_back_from_where_a_restored_session_began_leads_home(reading: Stage) -> None:
    async with opened(reading.console(Location("audit"))) as user:
        await user.presses("-")
        await user.sees("40 runs")
        await user.presses("-")
        await user.sees("This is where you began.")


async def test_leaving_while_a_screen_comes_up_is_no_error(reading: Stage) -> None:
    app = reading.console(Location("audit"))
    async with opened(app) as user:
        app.go(Location("runs"))
        app.exit(return_code=0)
        await user.pilot.pause()
    assert app.return_code == 0


async def test_gpus_say_who_holds_them_what_they_cost_and_that_they_are_simulated(reading: Stage) -> None:
    async with opened(reading.console(Location("gpus")), (120, 30)) as user:
        await user.sees(
            "simulated: no live GPU", "wasted $", "$12.29/h", "live", "ZOMBIE", "HELD", "EMPTY", "of no run"
        )
        await user.presses("H")
        await user.sees(" 6        0% Z")
        await user.presses("right", "right", "enter")
        await user.sees("GPUs › GPU 2", "held by", "H100", "simulated: no live GPU")
        for key, words in (("2", "900020"), ("3", "power"), ("4", "memory total"), ("1", "nothing yet")):
            await user.presses(key)
            await user.sees(words)
        await user.presses("u")
        await user.sees("GPU 2 › Run")


async def test_cost_says_that_runs_and_idle_are_the_machine_time_and_whose_price_it_is(reading: Stage) -> None:
    async with opened(reading.console(Location("cost")), (80, 24)) as user:
        await user.sees("burn $98.32/h", " of machine time", "gpu-07 costs $98.32/h, owned: a list")
        await user.sees("wasted $36.87/h")
        line = next(each for each in user.lines if each.startswith("runs $"))
        sums = [word.strip("$").replace(",", "") for word in line.split() if word.startswith("$")][:3]
        runs, idle, whole = (round(float(each) * 1e6) for each in sums)
        assert runs + idle == whole > 0


async def test_a_runs_gpus_stand_beside_its_loss_and_a_gpus_past_says_it_is_simulated(reading: Stage) -> None:
    async with opened(reading.console(Location("run", "live", cursor="gpus")), (120, 40)) as user:
        await user.sees("train/loss", "use (%)  [simulated]", "power (W)", "GPU 0", "GPU 1")
        await goes(user, "gpu 1")
        await user.sees("GPU 1", "use (%)  [simulated]", "the last hour")
        await user.presses("w")
        await user.sees("the last day")


async def test_a_gpu_that_is_held_for_nothing_is_kept_with_a_reason(writing: Stage) -> None:
    async with opened(writing.console(Location("gpus")), (120, 40)) as user:
        await user.types("G")
        await goes(user, "gpu 4")
        await user.sees("HELD", "ask alan")
        await user.presses("K")
        await user.sees("Leave a GPU alone")
        await user.presses("tab")
        await user.types("until lunch")
        await user.presses("ctrl+s")
        await user.sees("Enter does it")
        await user.presses("enter")
        await user.sees("is kept until")


@pytest.mark.parametrize("section", ["params", "log", "environment", "code", "artifacts", "timeline"])
async def test_every_section_of_a_run_has_something_to_say(reading: Stage, section: str) -> None:
    async with opened(reading.console(Location("run", "broken", cursor=section))) as user:
        await user.sees("Run broken", "✖ failed")
        expected = {
            "params": "grad_norm",
            "log": "o",
            "environment": "3.11.2",
            "code": "4d1e4d1e",
            "artifacts": "No artifacts",
            "timeline": "ValueError: loss is nan",
        }
        await user.sees(expected[section])


async def test_a_run_that_has_ended_without_metrics_says_where_to_look(tmp_path: Path) -> None:
    ctx = Context(load({"MLCONSOLE_HOME": str(tmp_path / "home"), "PATH": os.defpath}))
    launch(ctx, LaunchParams(command=("true",), name="silent"))
    async with opened(Console(ctx, Location("run", "silent"))) as user:
        await user.sees("✔ succeeded", "It logged no metrics. 3 shows what it printed.")


async def test_sections_follow_digits_and_tab(reading: Stage) -> None:
    async with opened(reading.console(Location("run", "broken"))) as user:
        for key, words in (("4", "python"), ("5", "branch"), ("tab", "No artifacts"), ("shift+tab", "branch")):
            await user.presses(key)
            await user.sees(words)


async def test_compare_shows_what_differs_first(reading: Stage) -> None:
    async with opened(reading.console(Location("compare", "broken,live")), (100, 30)) as user:
        await user.sees("Compare 2 runs", "≠ lr", "✖ failed", "● running")
        signs = [line[2] for line in user.lines[5:] if line[2:3] in ("≠", " ") and len(line) > 40]
        assert signs == sorted(signs, reverse=True)
        await user.presses("2")
        await user.sees("broken", "train/loss")


async def test_experiments_lead_to_their_runs(reading: Stage) -> None:
    async with opened(reading.console(Location("experiments"))) as user:
        await user.sees("EXPERIMENT", "vision", "LAST RUN")
        await user.presses("enter")
        await user.sees("Experiments › Runs", "experiment:")


async def test_jobs_show_each_backend_with_its_runs(reading: Stage) -> None:
    async with opened(reading.console(Location("jobs"))) as user:
        await user.sees("local", "answers", "a backend of the tests", "live", "● running")
        await user.presses("j", "enter")
        await user.sees("Jobs › Run")


async def test_jobs_show_the_queue_with_its_reasons_a_sweep_that_unfolds_and_the_machine(tmp_path: Path) -> None:
    ctx = Context(load({"MLCONSOLE_HOME": str(tmp_path / "home"), "MLCONSOLE_CPU_SLOTS": "1", "PATH": os.defpath}))
    launch(ctx, LaunchParams(command=("true", "{lr}"), name="s", grid=("lr=1,2",), cpus=2))
    launch(ctx, LaunchParams(command=("true",), name="kept", hold=True))
    async with opened(Console(ctx, Location("jobs")), (120, 30)) as user:
        await user.sees("+ s", "2 ◌", "1. wants 2 CPU slots; this machine has 1", "kept", "3. held by")
        await user.presses("j", "s")
        await user.sees("then make them end: s", 'take "s [lr=1]"', 'take "s [lr=2]"', "out of the line")
        await user.presses("escape", "u")
        await user.sees("- s", "s [lr=1]", "s [lr=2]", "wants 2 CPU")
        await user.presses("enter")
        await user.sees("Jobs › Runs", "tag.sweep=", "s [lr=1]")
        await goes(user, "sweeps")
        await user.sees("Sweeps", "2 queued", "lr=1,2")


async def test_audit_says_who_did_what_and_what_came_of_it(reading: Stage) -> None:
    async with opened(reading.console(Location("audit")), (120, 30)) as user:
        await user.sees("run tag", "ada@gpu-07", "done", "failed: it had ended")


async def test_help_lists_every_action_with_the_reason_where_it_is_off(reading: Stage) -> None:
    async with opened(reading.console(Location("audit")), (160, 160)) as user:
        await user.presses("question_mark")
        await user.sees("Actions", "off: this console is read-only", "off: it needs a run under the cursor")
        for keyed in KEYED:
            await user.sees(named(keyed.name).summary)
        await user.sees_no("Focus Next", "Copy selected text")
        await user.presses("escape")
        await user.sees("Audit")


@pytest.mark.parametrize("place", [place.name for place in places.PLACES])
async def test_no_key_of_a_screen_is_without_words(reading: Stage, place: str) -> None:
    target = {"run": "broken", "compare": "broken,live"}.get(place, "")
    async with opened(reading.console(Location(place, target))) as user:
        screen = user.app.screen
        listed = {key for keys, _ in bound_keys(screen) for key in keys.split()}
        assert listed >= {":", "-", "?", "q"}
        for bindings in (screen._bindings, screen.focused._bindings if screen.focused else screen._bindings):
            for several in bindings.key_to_bindings.values():
                assert all(binding.description for binding in several)


REFINES = {"escape", "tab", "shift+tab"}
"""Keys that the thing with the focus uses first, and hands on when it has no use for them; and those of typing."""


async def has_no_conflict(user: Robot) -> None:
    """No key means one thing to what has the focus and another to the screen, the app or an action."""
    app, screen = user.app, user.app.screen
    acts = {action.key: action.name for action in app.actions_for(screen.offers)}
    for widget in screen.focus_chain:
        own = set(widget._bindings.key_to_bindings)
        theirs = {
            key: each[0].action
            for bindings in (screen._bindings, app._bindings)
            for key, each in bindings.key_to_bindings.items()
            if each[0].description and (each[0].action, each[0].description) not in NOISE
        }
        shadowed = own & (set(theirs) | set(acts)) - REFINES
        # Enter on a row opens it, which is what the action of that key does.
        shadowed -= {key for key in shadowed if acts.get(key) == "run show"}
        assert not shadowed, f"{type(widget).__name__} shadows {shadowed} on {screen.location.place}"
    keys = [key for several, _ in bound_keys(screen) for key in several.split()]
    assert len(keys) == len(set(keys)), f"bound twice: {sorted(key for key in keys if keys.count(key) > 1)}"


async def test_no_key_means_two_things_wherever_the_focus_is(reading: Stage) -> None:
    async with opened(reading.console(Location("runs"))) as user:
        for place in places.PLACES:
            target = {"run": "broken", "compare": "broken,live"}.get(place.name, "")
            user.app.go(Location(place.name, target))
            await settled(user)
            sections = getattr(sys.modules[type(user.app.screen).__module__], "SECTIONS", ("",))
            for section in sections:
                if section:
                    user.app.screen.action_section(section)
                    await settled(user)
                await has_no_conflict(user)


async def test_the_footer_names_keys_that_do_what_it_says(writing: Stage) -> None:
    async with opened(writing.console(Location("run", "live", cursor="log")), (160, 30)) as user:
        acts = {action.key: action.word for action in user.app.actions_for(user.app.screen.offers)}
        own = user.app.screen.focused._bindings.key_to_bindings
        for key, word in list(user.app.screen.keys()):
            assert key not in own or acts.get(key) != word
        await user.sees("s stop", "r relaunch", "t tag")


async def test_the_footer_of_a_read_only_console_names_nothing_that_changes_anything(reading: Stage) -> None:
    async with opened(reading.console(), (160, 30)) as user:
        await user.sees("space mark", "L logs")
        await user.sees_no("l launch", "s stop", "r relaunch", "t tag")


@pytest.mark.parametrize("place", ["overview", "runs"])
async def test_the_footer_of_runs_follows_the_cursor_and_the_marks(writing: Stage, place: str) -> None:
    async with opened(writing.console(Location(place, line="sort:name")), (100, 30)) as user:
        await user.sees("▌ broken", "r relaunch", "l launch")
        await user.sees_no("s stop", "c compare")
        assert user.text.count("/ filter") == 1
        await user.presses("space")
        await user.sees("1 marked", "c compare", "s stop")
        await user.presses("U", "/")
        await user.types("name:live" if place == "overview" else "live")
        await user.presses("enter")
        await user.sees("▌ live", "s stop", "l launch")
        await user.sees_no("c compare")


async def test_a_run_alone_is_compared_with_what_is_marked_or_told_how(writing: Stage) -> None:
    async with opened(writing.console(Location("runs", line="sort:name"))) as user:
        await user.presses("c")
        await user.sees("one run alone. Mark others with space")
        await user.presses("space", "c")
        await user.sees("Compare 2 runs", "broken")
        user.app.go(Location("run", "live"))
        await user.sees("Run live")
        await user.presses("c")
        await user.sees("Compare 2 runs", "broken", "live")


async def test_the_palette_finds_actions_and_places_and_says_why_one_is_off(reading: Stage) -> None:
    async with opened(reading.console(), (100, 30)) as user:
        await user.presses("ctrl+p")
        await user.sees("▌ run list", "run show")
        await user.types("launch")
        await user.sees("this console is read-only")
        await user.presses(*["backspace"] * len("launch"))
        await user.types("audit")
        await user.sees_no("run show")
        await user.sees("who changed what")
        await user.presses("down", "up", "enter")
        await user.sees("Audit")


async def test_read_only_is_visible_and_every_change_says_why_it_is_off(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        await user.sees("READ-ONLY")
        for key in ("l", "s", "r", "t", "m", "D"):
            await user.presses(key)
            await user.sees("is off: this console is read-only")
            await user.presses("j")
            await user.sees_no("is off")


async def test_a_tag_a_name_and_a_deletion_are_planned_and_carried_out(writing: Stage) -> None:
    async with opened(writing.console(Location("runs", line="name:broken"))) as user:
        await user.presses("t")
        await user.types("keep")
        await user.presses("ctrl+s")
        await user.sees('add the tag "keep"', "mlconsole run tag")
        await user.presses("escape")
        await user.sees("Nothing was changed")
        await user.presses("t")
        await user.sees("keep")
        await user.presses("ctrl+s", "enter")
        await user.sees("run tag: ")
        await user.presses("m")
        await user.types("mended")
        await user.presses("ctrl+s")
        await user.sees("Enter does it")
        await user.presses("enter")
        await user.sees("run rename: ")
        await goes(user, "runs tag:keep")
        await user.sees("mended", "1 run")
        await user.presses("D")
        await user.sees("Enter does it", "cannot be undone")
        await user.presses("enter")
        await user.sees("run delete: ", "No runs here")


async def test_an_action_says_how_long_it_has_waited_and_that_it_is_for_the_catalog(writing: Stage) -> None:
    held = sqlite3.connect(writing.home / "catalog.db", isolation_level=None)
    try:
        async with opened(writing.console(Location("runs", line="broken"))) as user:
            await user.presses("t")
            await user.types("late")
            await user.presses("ctrl+s")
            await user.sees("Enter does it")
            held.execute("BEGIN IMMEDIATE")
            await user.presses("enter")
            await user.sees("run tag: waiting", "s for the catalog", "run tag ...")
            held.execute("ROLLBACK")
            await user.sees_no("for the catalog", "run tag ...")
            await user.sees("run tag: ", "broken", "○ no watcher")
    finally:
        held.close()


async def test_a_plan_says_that_there_is_more_of_it_only_where_there_is(writing: Stage) -> None:
    async with opened(writing.console(Location("runs", line="name:live"))) as user:
        await user.presses("s")
        await user.sees("Enter does it")
        await user.sees_no("PgDn")
        await user.resizes(80, 10)
        await user.sees("PgDn more")


async def test_deleting_many_wants_a_word(writing: Stage) -> None:
    async with opened(writing.console(Location("runs", line="outcome:succeeded"))) as user:
        await user.presses(*["space"] * 6, "D")
        await user.sees("Type ", "to go on")
        await user.presses("enter")
        await user.sees("That is not")
        word = user.line_with("Type ").split("Type ")[1].split(" to go on")[0]
        await user.types(word)
        await user.presses("enter")
        await user.sees("run delete: ")


async def test_a_form_names_what_must_be_given_and_fits_a_small_terminal(writing: Stage) -> None:
    async with opened(writing.console(), (80, 24)) as user:
        await user.presses("l")
        await user.sees("command *", "mlconsole launch", "Enter next", "Esc cancel")
        assert user.text.index("command *") < user.text.index("experiment")
        await user.presses("ctrl+s")
        await user.sees("command must be given")
        await user.types("echo 'unclosed")
        await user.presses("ctrl+s")
        await user.sees("a quote is not closed")


async def test_a_form_remembers_what_was_typed_last(writing: Stage) -> None:
    async with opened(writing.console()) as user:
        await user.presses("l")
        await user.types("echo hello")
        await user.presses("ctrl+s")
        await user.sees("Enter does it", "echo hello")
        await user.presses("escape")
        await user.sees("Nothing was changed")
        await user.presses("l")
        await user.sees("echo hello")


async def test_what_the_filter_shows_is_exported(reading: Stage, tmp_path: Path) -> None:
    async with opened(reading.console(Location("runs", line="state:running"))) as user:
        await user.presses("x")
        await user.sees("output *", "--where state:running")
        for field in user.app.screen.query("Input"):
            if field.value.endswith(".json"):
                field.value = str(tmp_path / "out.json")
        await user.presses("ctrl+s")
        await user.sees("run export: written to")
    assert len(json.loads((tmp_path / "out.json").read_text())["items"]) == 5


async def test_a_line_goes_anywhere_and_errors_stand_at_their_token(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        await goes(user, "runs state:failed sort:lr cols:lr,optimizer")
        await user.sees("LR" if "LR" in user.text else "lr", "optimizer", "✖ failed")
        await user.sees_no("● running  ")
        await user.presses("colon")
        await user.types("runs state:failed and )")
        await user.presses("enter")
        await user.sees(":runs state:failed and )")
        prompt = user.app.screen.query_one(Prompt)
        assert prompt._pointing.span == (22, 23)
        await user.presses("escape")
        await goes(user, "nowhere-at-all")
        await user.sees("0 runs")


async def test_a_typed_place_shows_its_command(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        await user.presses("colon")
        await user.types("runs state:failed")
        await user.sees("as a command: mlconsole run list --where state:failed")


async def test_tab_completes_places_fields_and_metrics(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        prompt = user.app.screen.query_one(Prompt)
        await user.presses("colon")
        await user.waits(lambda: user.app.metric_names, "the names of metrics")
        for typed, completed in (
            ("aud", "audit "),
            ("runs sort:-gr", "runs sort:-grad_norm "),
            ("runs cols:lr,opt", "runs cols:lr,optimizer "),
            ("runs val/l", "runs val/loss "),
            ("runs state:f", "runs state:failed "),
            ("theme con", "theme contrast "),
        ):
            prompt._set(typed)
            await user.presses("tab")
            await user.waits(
                lambda completed=completed: prompt.value == completed, f"{completed!r}, not {prompt.value!r}"
            )
        prompt._set("runs val/")
        await user.presses("tab")
        await user.sees("val/loss val/acc")


async def test_typed_lines_come_back_each_to_its_own_prompt(writing: Stage) -> None:
    async with opened(writing.console()) as user:
        await goes(user, "audit")
        await goes(user, "runs")
        await user.presses("slash")
        await user.types("state:failed")
        await user.presses("enter")
        prompt = user.app.screen.query_one(Prompt)
        await user.presses("colon", "up", "up")
        assert prompt.value == "audit"
        await user.presses("escape", "slash", "up")
        assert prompt.value == "state:failed"
    async with opened(writing.console()) as user:
        await user.presses("colon", "up")
        assert user.app.screen.query_one(Prompt).value == "runs"


async def test_the_session_is_restored(writing: Stage) -> None:
    async with opened(writing.console()) as user:
        await goes(user, "runs state:failed sort:lr")
        await user.presses("space", "j")
        await goes(user, "save worst")
        await goes(user, "theme light")
        await goes(user, "cols lr,val/loss")
        await user.sees("1 marked")
        standing = user.app.screen.cursor_name()
    async with opened(writing.console()) as user:
        await user.sees("state:failed sort:lr", "1 marked", "val/loss")
        assert user.app.screen.cursor_name() == standing
        assert user.app.look.palette == "light"
        await goes(user, "audit")
        await goes(user, "worst")
        await user.sees("Runs", "state:failed sort:lr")
        await goes(user, "forget worst")
        await user.presses("colon")
        await user.types("save runs")
        await user.presses("enter")
        await user.sees('"runs" is taken')


@pytest.mark.parametrize("place", ["runs", "audit"])
async def test_help_is_a_word_behind_the_colon_and_no_filter(reading: Stage, place: str) -> None:
    async with opened(reading.console(Location(place))) as user:
        await goes(user, "help")
        await user.sees("Help  (Esc closes)", "Keys here")
        await user.presses("escape")
        await user.sees_no("Keys here", "fits the filter")


@pytest.mark.parametrize("place", ["overview", "runs"])
async def test_going_back_leads_to_the_row_that_was_left(reading: Stage, place: str) -> None:
    async with opened(reading.console(Location(place))) as user:
        await user.sees("▌")
        await user.presses("j", "j", "j")
        standing = user.app.screen.cursor_name()
        await user.presses("enter")
        await user.sees("Run ")
        await user.presses("minus")
        await user.waits(lambda: getattr(user.app.screen, "cursor_name", str)() == standing, "the same row")
        await user.presses("minus")
        await user.sees("This is where you began" if place == places.HOME else "Runs")


async def test_a_click_on_a_title_sorts_and_another_turns_it_round(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        x = user.lines[2].index("NAME") + 1
        await user.clicks(x, 2)
        await user.sees("sort:name", "NAME▴")
        await user.clicks(x, 2)
        await user.sees("sort:-name", "NAME▾")


async def test_marks_survive_a_filter_and_are_counted(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        await user.presses("space", "space")
        await user.sees("2 marked")
        await goes(user, "runs state:failed")
        await user.sees("2 marked")
        await user.presses("U")
        await user.sees_no("marked")


async def test_copying_says_how_much(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        await user.presses("y")
        await user.sees("Copied the id: 12 characters")
        await user.presses("Y")
        await user.sees("Copied 1 row:")
        await user.presses("K")
        await user.sees("Copied the command: 18 characters")


async def test_a_jump_label_goes_to_its_row(reading: Stage) -> None:
    async with opened(reading.console()) as user:
        await user.presses("f")
        await user.sees("d ")
        await user.presses("d")
        await user.waits(lambda: user.lines[5].startswith("▌"), "the cursor on the third row")


async def test_a_misspelt_metric_is_named(reading: Stage) -> None:
    async with opened(reading.console(), (120, 30)) as user:
        await goes(user, "runs vall/loss<1")
        await user.sees("Did you mean val/loss")


@pytest.mark.parametrize("place", [place.name for place in places.PLACES if place.lists == "row"])
async def test_every_list_is_sorted_by_any_column_and_keeps_the_columns_that_were_chosen(
    reading: Stage, tmp_path: Path, place: str
) -> None:
    app = reading.console(Location(place))
    columns = places.load(places.find(place)).columns
    last = columns[-1]
    async with opened(app, (200, 40)) as user:
        rows = app.screen.read()
        for column in columns:
            up, down = (picked(rows, parse(f"sort:{sign}{column.key}"), columns) for sign in ("", "-"))
            assert len(up) == len(down) == len(rows), f"{place} does not sort by {column.key}"
        await goes(user, f"{place} sort:-{last.key}")
        assert app.screen.query_line.sort
        await goes(user, f"cols {last.key}")
        shown = [placed.column.key for placed in app.screen.table._lines.layout.placed]
        assert shown == [column.key for column in columns if column.priority == 0] + [last.key]
        session.save(tmp_path / "s.json", app.session)
        assert session.load(tmp_path / "s.json").columns[place] == [last.key]
        await goes(user, f"{place} sort:nonsense")
        await user.sees('No column "nonsense"')


async def test_what_a_narrow_list_has_no_room_for_stands_in_its_foot(reading: Stage) -> None:
    async with opened(reading.console(Location("audit", line="action:stop"))) as user:
        await user.sees("result failed: it had ended", "phase end")
        await user.resizes(200, 40)
        await user.sees_no("phase end")
        await user.resizes(80, 24)
        await user.sees("phase end")


async def test_a_line_that_is_not_whole_yet_is_helped_and_not_blamed(reading: Stage) -> None:
    async with opened(reading.console(Location("runs")), (120, 30)) as user:
        await user.presses("o")
        await user.sees("sort: - from high to low, id name")
        await user.sees_no("The filter ends")
        await user.presses("escape", "colon")
        await user.sees("overview runs experiments gpus cost models lineage")
        await user.types("po")
        await user.sees("policies policy")
        await user.types("licies")
        await user.sees("mlconsole policy history")


async def test_a_filter_that_was_meant_as_a_state_says_how_and_a_sorted_metric_stands_once(reading: Stage) -> None:
    async with opened(reading.console(Location("runs")), (120, 30)) as user:
        await user.presses("slash")
        await user.sees("part of a name; state:failed")
        await user.types("failed")
        await user.sees('No run has "failed" in its name', "state:failed")
        await user.presses("escape")
        await goes(user, "runs sort:-val/loss")
        await user.sees("val/loss▾")
        assert user.text.count("val/loss") == 2, user.text


@pytest.mark.parametrize("place", ["run", "model", "compare", "environment", "lineage", "monitor", "alert", "policy"])
async def test_what_is_not_there_is_said_in_its_place_until_it_is(reading: Stage, place: str) -> None:
    async with opened(reading.console(Location(place, "nonsense"))) as user:
        await user.presses("tab")
        await user.sees_no("Reading")
        await user.waits(
            lambda: any("nonsense" in line and ("No " in line or "Nothing" in line) for line in user.lines[2:-2])
        )


async def test_the_audit_leads_to_its_run_and_one_that_has_ended_is_not_to_be_stopped(writing: Stage) -> None:
    async with opened(writing.console(Location("audit", line="launch")), (120, 30)) as user:
        await user.presses("enter")
        await user.sees("Run live", "s stop")
        user.app.go(Location("run", "broken", cursor="log"))
        await user.sees("Run broken", "/ e search, errors")
        await user.sees_no("s stop")


async def test_charts_that_have_no_room_are_counted_and_a_section_says_its_keys(reading: Stage) -> None:
    async with opened(reading.console(Location("run", "live"))) as user:
        await user.sees("j k chart 1 of ")
        await user.presses("j")
        await user.sees("j k chart 2 of ")
        user.app.go(Location("compare", "broken,live", cursor="scatter"))
        await user.sees("p param", "m metric")


async def test_a_list_is_filtered_as_it_is_typed_and_escape_brings_it_back(reading: Stage) -> None:
    async with opened(reading.console(Location("audit")), (120, 30)) as user:
        await user.presses("/")
        await user.types("failed")
        await user.sees_no("run tag")
        await user.sees("run stop", "failed: it had ended")
        await user.presses("escape")
        await user.sees("run tag")
        await user.presses("o")
        await user.types("seq")
        await user.presses("enter")
        await user.sees("sort:seq")
        assert user.text.index("launch") < user.text.index("run tag")


async def test_a_screen_that_is_left_is_told_things_without_harm(reading: Stage) -> None:
    async with opened(reading.console(Location("jobs"))) as user:
        left = user.app.screen
        user.app.go(Location("audit"))
        await user.sees("Audit")
        await left.remove_children()
        left.say("too late")
        left.show_status()
        left.show_title()
        await user.sees_no("too late")
