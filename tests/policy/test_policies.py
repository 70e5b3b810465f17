"""What policies do, what they hold back and why, and that each trigger counts once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalogkit import MadeRun, put_runs
from fakes.counting import CountingBackend, Killed
from mlconsole.actions.sync import observe_live
from mlconsole.catalog.firings import Doing, holder_text, move
from mlconsole.catalog.policies import disarm
from mlconsole.domain.policies import FiringState
from mlconsole.domain.runs import Outcome
from mlconsole.errors import LeaseLost
from mlconsole.policy.carrying_out import carry_out
from mlconsole.policy.evaluation import evaluate
from mlconsole.policy.trial import would_have_fired
from policykit import Desk

TAG = """
[policy.tag]
when = "dataset.added"
if = "dataset:{which}"
do = "run tag"
with = {{ run = "aaaa", tags = ["{{label}}"] }}
allow = true
in_flight = 10
{more}
"""
LAUNCH = """
[policy.retrain]
when = "dataset.added"
do = "launch"
with = { command = ["true"], cwd = "/", experiment = "retrain" }
allow = true
"""


def tagging(desk: Desk, more: str = "", which: str = "d") -> None:
    put_runs(desk.catalog, [MadeRun("aaaa")])
    desk.arm(TAG.format(which=which, more=more))


def whys(desk: Desk) -> list[str]:
    return [firing.why for firing in reversed(desk.catalog.firings.of_policy("tag", 10_000))]


def test_an_event_that_fits_is_acted_on_once_with_its_fields_filled_in(desk: Desk) -> None:
    tagging(desk)
    desk.add_dataset("other")
    desk.add_dataset("d", 7)
    leader = desk.claim()
    for _ in range(3):
        desk.work(leader)

    assert desk.states() == ["done"]
    assert dict(desk.catalog.runs.get("aaaa").tags) == {"d@7": ""}
    row = desk.catalog.audit.newest(1)[0]
    assert (row.actor, row.action, row.result) == ("policy:tag", "run tag", "done")


def test_what_happened_before_it_was_armed_does_not_concern_it(desk: Desk) -> None:
    desk.add_dataset("d")
    tagging(desk)
    desk.work(desk.claim())

    assert desk.states() == []


def test_a_policy_that_may_only_propose_waits_for_a_person(desk: Desk) -> None:
    put_runs(desk.catalog, [MadeRun("aaaa")])
    (policy,) = desk.arm(TAG.format(which="d", more="").replace("allow = true", ""))
    desk.add_dataset("d")
    leader = desk.claim()
    desk.work(leader)
    assert desk.states() == ["proposed"] and dict(desk.catalog.runs.get("aaaa").tags) == {}

    (firing,) = desk.catalog.firings.in_state(FiringState.PROPOSED)
    done = carry_out(desk.ctx, firing, policy, desk.process(), None, "ann")

    assert done.state is FiringState.DONE and done.who == "ann"
    assert dict(desk.catalog.runs.get("aaaa").tags) == {"d@1": ""}
    again = carry_out(desk.ctx, firing, policy, desk.process(), None, "ann")
    assert again.tries == 1


def test_a_proposal_that_nobody_answers_expires(desk: Desk) -> None:
    put_runs(desk.catalog, [MadeRun("aaaa")])
    desk.arm(TAG.format(which="d", more='expires = "2h"').replace("allow = true", ""))
    desk.add_dataset("d")
    leader = desk.claim()
    desk.work(leader)
    desk.clock.passes(hours=3)
    desk.work(leader)

    assert desk.states() == ["expired"]


def test_the_cool_down_and_the_daily_limit_hold_and_say_so(desk: Desk) -> None:
    tagging(desk, 'cooldown = "1h"\nper_day = 3')
    leader = desk.claim()
    for number in range(1000):
        desk.add_dataset("d", number)
        desk.clock.passes(seconds=60)
        desk.work(leader)
        if desk.states().count("done") == 3 and number > 250:
            break

    states = desk.states()
    assert states.count("done") == 3 and states.count("held") == len(states) - 3
    assert any("cool-down: it fired 0:01:00 ago, 1:00:00 must pass" in why for why in whys(desk))
    assert "limit: it has fired 3 times in 24 hours, 3 are allowed" in whys(desk)


@pytest.mark.parametrize("hours", [-1, 24, -25])
def test_setting_the_clock_neither_shortens_nor_lengthens_the_cool_down(desk: Desk, hours: int) -> None:
    tagging(desk, 'cooldown = "1h"')
    leader = desk.claim()
    desk.add_dataset("d", 1)
    desk.work(leader)
    desk.clock.is_set(hours=hours)
    desk.clock.passes(minutes=30)
    desk.add_dataset("d", 2)
    desk.work(leader)
    desk.clock.passes(minutes=31)
    desk.add_dataset("d", 3)
    desk.work(leader)

    assert desk.states() == ["done", "held", "done"]


def test_only_so_many_are_in_flight_their_runs_included(desk: Desk) -> None:
    desk.backend = backend = CountingBackend()
    desk.arm(LAUNCH)
    leader = desk.claim()
    for number in range(2):
        desk.add_dataset("d", number)
        desk.work(leader)
    assert desk.states() == ["done", "held"]
    assert desk.catalog.firings.of_policy("retrain")[0].why == "in flight: 1 of it under way, 1 may be"

    backend.ended = dict.fromkeys(backend.jobs, Outcome.SUCCEEDED)
    observe_live(desk.ctx)
    desk.add_dataset("d", 3)
    desk.work(leader)
    assert desk.states()[-1] == "done" and len(backend.jobs) == 2


def test_a_budget_of_its_own_needs_a_known_cost_and_is_kept(desk: Desk) -> None:
    desk.backend = CountingBackend()
    desk.arm(LAUNCH + "budget_usd = 1\n")
    desk.add_dataset("d")
    desk.work(desk.claim())

    (firing,) = desk.catalog.firings.of_policy("retrain")
    assert firing.state is FiringState.HELD and firing.why.startswith("budget: what it would cost is not known")


def test_it_is_never_its_own_effect(desk: Desk) -> None:
    desk.backend = backend = CountingBackend()
    desk.arm(
        """
[policy.again]
when = "run.ended"
do = "launch"
with = { command = ["true"], cwd = "/" }
allow = true
in_flight = 100
max_depth = 3
"""
    )
    leader = desk.claim()
    put_runs(desk.catalog, [MadeRun("aaaa")])
    desk.catalog.write(lambda db: db.execute("UPDATE run SET state = 'running', outcome = NULL, token = 'aaaa.1', "
                                             "backend = 'local', handle = '{}' WHERE id = 'aaaa'"))  # fmt: skip
    backend.jobs["aaaa.1"] = 1
    for _ in range(8):
        backend.ended = dict.fromkeys(backend.jobs, Outcome.SUCCEEDED)
        observe_live(desk.ctx)
        desk.work(leader)

    assert desk.states() == ["done", "done", "done", "held"]
    assert desk.catalog.firings.of_policy("again")[0].why == "loop: it is its own effect: again > again > again > again"


def test_what_waits_for_the_night_is_done_at_night(desk: Desk) -> None:
    tagging(desk, 'window = "22:00-06:00"\ntimezone = "Europe/Berlin"')
    desk.add_dataset("d")
    leader = desk.claim()
    desk.work(leader)
    assert desk.states() == ["waiting"] and "22:00-06:00 (Europe/Berlin)" in whys(desk)[0]

    desk.clock.passes(hours=7, minutes=59)  # 21:59 in Berlin
    desk.work(leader)
    assert desk.states() == ["waiting"]
    desk.clock.passes(minutes=1)
    desk.work(leader)
    assert desk.states() == ["done"]


def test_what_waits_for_a_price_waits_while_none_is_known(desk: Desk) -> None:
    tagging(desk, "below_usd_per_h = 20")
    desk.add_dataset("d")
    leader = desk.claim()
    desk.work(leader)
    desk.work(leader)

    assert desk.states() == ["waiting"] and "not known" in whys(desk)[0]


def test_a_policy_that_is_taken_away_takes_its_proposals_along(desk: Desk) -> None:
    put_runs(desk.catalog, [MadeRun("aaaa")])
    desk.arm(TAG.format(which="d", more="").replace("allow = true", ""))
    desk.add_dataset("d")
    desk.work(desk.claim())
    desk.catalog.write(lambda db: disarm(db, "tag", desk.clock.now))

    assert desk.states() == ["expired"] and desk.catalog.policies.armed() == []


def test_what_fails_is_said_and_does_not_hold_up_the_rest(desk: Desk) -> None:
    put_runs(desk.catalog, [MadeRun("aaaa")])
    desk.arm(
        TAG.format(which="d", more="") + TAG.format(which="d", more="").replace("tag]", "bad]").replace("aaaa", "no")
    )
    desk.add_dataset("d")
    desk.work(desk.claim())

    found = {firing.policy: firing for firing in desk.catalog.firings.since(desk.clock.now)}
    assert found["tag"].state is FiringState.DONE
    assert found["bad"].state is FiringState.FAILED and 'No run "no"' in found["bad"].why


@pytest.mark.parametrize("dies", ["before", "after", "observe"])
def test_a_watcher_killed_at_any_step_of_a_launch_leaves_exactly_one_job(desk: Desk, dies: str) -> None:
    desk.backend = backend = CountingBackend()
    desk.arm(LAUNCH)
    desk.add_dataset("d")
    first = desk.claim(desk.dead_process())
    backend.dies = dies
    with pytest.raises(Killed):
        desk.work(first)

    second = desk.claim()
    for _ in range(4):
        desk.work(second)
        desk.clock.passes(seconds=61)
        observe_live(desk.ctx)

    assert sum(backend.jobs.values()) == 1
    assert desk.states() == ["done"]


def test_a_watcher_killed_before_the_first_change_is_followed_by_one_that_does_it(desk: Desk) -> None:
    desk.backend = backend = CountingBackend()
    (policy,) = desk.arm(LAUNCH)
    desk.add_dataset("d")
    first = desk.claim(desk.dead_process())
    assert first.keep() and first.fence is not None
    evaluate(desk.ctx, first.fence, desk.clock.boot)
    (firing,) = desk.catalog.firings.in_state(FiringState.DUE)
    doing = Doing(firing, holder_text(first.me, "x"), first.fence)
    assert desk.catalog.write(lambda db: doing.claim(db, desk.clock.now, None, "", ""))

    second = desk.claim()
    desk.work(second)

    assert desk.states() == ["done"] and sum(backend.jobs.values()) == 1
    assert policy.name == "retrain"


def test_one_that_was_stopped_past_its_lease_comes_too_late(desk: Desk) -> None:
    desk.backend = backend = CountingBackend()
    (policy,) = desk.arm(LAUNCH)
    desk.add_dataset("d")
    stopped = desk.claim()
    assert stopped.keep() and stopped.fence is not None
    evaluate(desk.ctx, stopped.fence, desk.clock.boot)
    (firing,) = desk.catalog.firings.in_state(FiringState.DUE)
    desk.clock.passes(minutes=1)
    desk.work(desk.claim())
    with pytest.raises(LeaseLost):
        carry_out(desk.ctx, firing, policy, stopped.me, stopped.fence)
    assert sum(backend.jobs.values()) == 1 and desk.states() == ["done"]


def test_one_that_was_stopped_past_its_lease_ends_what_it_had_begun_and_nobody_repeats_it(desk: Desk) -> None:
    desk.backend = backend = CountingBackend()
    desk.arm(LAUNCH)
    desk.add_dataset("d")
    stopped = desk.claim()
    assert stopped.keep() and stopped.fence is not None
    evaluate(desk.ctx, stopped.fence, desk.clock.boot)
    (firing,) = desk.catalog.firings.in_state(FiringState.DUE)
    doing = Doing(firing, holder_text(stopped.me, "x"), stopped.fence)
    desk.catalog.write(lambda db: doing.claim(db, desk.clock.now, None, "", ""))
    desk.catalog.write(doing.wrap(lambda db: None))
    desk.clock.passes(minutes=1)
    desk.work(desk.claim())
    assert desk.states() == ["started"]

    desk.catalog.write(doing.wrap(lambda db: None))
    assert desk.catalog.write(lambda db: doing.end(db, FiringState.DONE, "", desk.clock.now))

    assert desk.states() == ["done"] and not backend.jobs


def test_a_run_that_a_person_has_cancelled_is_not_launched_again(desk: Desk) -> None:
    desk.backend = backend = CountingBackend()
    desk.arm(LAUNCH)
    desk.add_dataset("d")
    first = desk.claim(desk.dead_process())
    backend.dies = "after"
    with pytest.raises(Killed):
        desk.work(first)
    backend.ended = dict.fromkeys(backend.jobs, Outcome.CANCELLED)
    observe_live(desk.ctx)
    second = desk.claim()
    for _ in range(3):
        desk.work(second)
        desk.clock.passes(hours=1)

    assert sum(backend.jobs.values()) == 1 and desk.states() == ["done"]


def test_the_past_is_tried_without_anything_being_done(desk: Desk) -> None:
    put_runs(desk.catalog, [MadeRun("aaaa")])
    for number in range(5):
        desk.add_dataset("d", number)
        desk.clock.passes(minutes=40)
    policies = desk.arm(TAG.format(which="d", more='cooldown = "1h"'))
    nightly = desk.arm('[policy.n]\ncron = "30 * * * *"\ndo = "budget remove"\nwith = { name = "b" }\nallow = true')

    found = would_have_fired(desk.ctx, policies, desk.clock.now - timedelta(days=1))
    assert [firing.state.value for firing in found] == ["due", "held", "due", "held", "due"]
    struck = would_have_fired(desk.ctx, nightly, desk.clock.now - timedelta(hours=6))
    assert len(struck) == 6
    assert desk.states() == []


def test_a_person_can_say_no(desk: Desk) -> None:
    put_runs(desk.catalog, [MadeRun("aaaa")])
    desk.arm(TAG.format(which="d", more="").replace("allow = true", ""))
    desk.add_dataset("d")
    desk.work(desk.claim())
    (firing,) = desk.catalog.firings.in_state(FiringState.PROPOSED)
    desk.catalog.write(lambda db: move(db, firing, FiringState.DECLINED, "ann said no", desk.clock.now, "ann"))

    assert desk.states() == ["declined"]
    assert not desk.catalog.write(lambda db: move(db, firing, FiringState.DUE, "", desk.clock.now))
