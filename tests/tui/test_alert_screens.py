"""The screens of alerts, of one incident and of policies: what the night brought, why, and what was held back."""

from __future__ import annotations

from pathlib import Path

import pytest
from consolekit import Stage, opened, settled, stage
from watchkit import a_night

from mlconsole.catalog import Catalog
from mlconsole.domain.policies import FiringState
from mlconsole.tui.places import Location

HOSTILE = "[/]\x1b[2J[@click=app.quit]monitor churn moved"


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A catalog after a night, which nothing changes."""
    made = stage(tmp_path_factory.mktemp("night") / "home")
    a_night(made.home)
    return made


async def test_what_fires_stands_on_top_and_opens_with_everything_that_came_of_it(morning: Stage) -> None:
    async with opened(morning.console(Location("alerts")), (140, 30)) as user:
        await user.sees(
            "Alerts", "WHAT", "▲ firing", "critical", "△ acked", "✔ resolved", "▲ 2 firing", "? 1 to decide"
        )
        rows = user.lines[3:7]
        assert "812 ms" in rows[0] and "fares" in rows[1] and "churn" in rows[2] and "✔ resolved" in rows[3]
        await user.types("/churn")
        await user.sees_no("fares")
        await user.presses("enter", "enter")
        await user.sees("Alerts › Incident", "7 of 40 columns moved", "ada", "looking at the upstream export")
        await user.sees(
            "drift.opened", "policy fired", "retrain", "run.ended", "succeeded", "policy proposed", "deploy"
        )
        await user.presses("2")
        await user.sees("tenure", "0.31", "total_charges")
        await user.presses("3")
        await user.sees("monitor:churn", "worst")


async def test_one_screen_says_what_was_done_in_the_night_why_and_what_was_held_back(morning: Stage) -> None:
    async with opened(morning.console(Location("policies")), (200, 30)) as user:
        await user.sees("POLICY / FIRING", "retrain", "acts", "1 fired, 1 held back", "✔ done", "■ held")
        await user.sees("cool-down: it fired 0:26:00 ago", "drift.opened monitor:fares", "calm", "never")
        await user.sees("deploy", "1 to decide", "? proposed", "a person decides")
        await user.sees_no("d accept", "n decline")
        await user.types("/held")
        await user.presses("enter")
        await user.sees("cool-down")
        await user.presses("escape", "g")
        await settled(user)
        await user.presses("enter")
        await user.sees(
            "Policy deploy", "run.ended if experiment:retrain", "proposes: a person says yes", "1 in flight"
        )


async def test_the_overview_begins_with_the_worst_that_fires_and_what_waits_for_a_person(morning: Stage) -> None:
    async with opened(morning.console(Location("overview")), (140, 30)) as user:
        await user.sees('▲ endpoint "api": it took 812 ms', ", 1 of 2", ":alerts", "? 1 to decide", ":policies")


async def test_a_firing_leads_to_its_run_and_one_held_back_to_its_alert(morning: Stage) -> None:
    async with opened(morning.console(Location("policies", line="done")), (120, 30)) as user:
        await user.presses("G", "enter")
        await user.sees("Run churn-again")
    async with opened(morning.console(Location("policies", line="state:held")), (120, 30)) as user:
        await user.presses("G", "enter")
        await user.sees("Incident", "fares")


async def test_what_is_not_there_is_said(morning: Stage, tmp_path: Path) -> None:
    for place, words in (("alert", 'No alert "none"'), ("policy", 'No policy "none"')):
        async with opened(morning.console(Location(place, "none"))) as user:
            await user.sees(words)
    async with opened(stage(tmp_path / "home").console(Location("alerts"))) as user:
        await user.sees("Nothing fires")
        user.app.go(Location("policies"))
        await user.sees("No policies yet", "mlconsole policy")


async def test_a_key_says_yes_to_a_proposal_and_another_that_somebody_is_at_an_alert(tmp_path: Path) -> None:
    writing = stage(tmp_path / "home", read_only=False)
    a_night(writing.home, title=HOSTILE)
    async with opened(writing.console(Location("policies")), (120, 40)) as user:
        await user.sees("d accept", "n decline")
        await user.presses("g", "j", "d")
        await user.sees('the policy "deploy" proposes: run tag', "Enter does it")
        await user.presses("enter")
        await user.sees("✔ done")
        user.app.go(Location("alerts", line="fares"))
        await settled(user)
        await user.presses("A")
        await user.presses("ctrl+s")
        await user.sees("say that you are at it", "Enter does it")
        await user.presses("enter")
        await user.sees("△ acked", "ada")
        user.app.go(Location("alerts", line="churn"))
        await user.sees("[/]")
        await user.presses("enter")
        await user.sees("Incident", "[@click=app.quit]monitor churn moved")
    catalog = Catalog(writing.home)
    try:
        assert [each.state for each in catalog.firings.of_policy("deploy")] == [FiringState.DONE]
    finally:
        catalog.close()
