"""Rollouts under fire: killed at every step, two at once, aborted, taken back while they go on. F-33, F-35, F-41."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from mlconsole.actions.context import Context
from mlconsole.actions.environments import NameParams
from mlconsole.actions.execute import execute
from mlconsole.actions.rollback import ROLLBACK, RollbackParams
from mlconsole.actions.rollout import ABORT, ACCEPT, RESET, ROLLOUT, RolloutParams
from mlconsole.actions.rollouts import carry_on_due, carry_through
from mlconsole.catalog.releases import lift_quarantine
from mlconsole.domain.environments import Standing, standing_of
from mlconsole.domain.rollouts import RolloutPage
from mlconsole.errors import ActionFailed, CheckFailed, MlconsoleError
from mlconsole.plugin_api import TargetOrder
from shopkit import Fuse, FusedTarget, Shop, in_child

IS_FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"
KILLS = 300 if IS_FULL else 24
RACES = 60 if IS_FULL else 6
pytestmark = pytest.mark.timeout(900 if IS_FULL else 120)
BAD = "the bad one"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An environment with a gate that only "bad" fails; "one" is live and good, "two" may be."""
    shop = Shop(tmp_path)
    for name in ("one", "two"):
        shop.release(name)
    shop.release("bad", {"code": BAD})
    gate = f"command:/bin/sh -c '! grep -q \"{BAD}\" {shop.place}/current/code/code.json'"
    shop.environment(gate=(gate,))
    shop.rollout("one")
    return shop


def again(shop: Shop) -> None:
    """Bring the shop back to where it began, some hours later, so that no breaker is open."""
    shop.ahead += timedelta(hours=2)
    ctx = shop.context()
    for each in list(ctx.catalog.releases.quarantines()):
        ctx.write(lambda db, it=each: lift_quarantine(db, it))  # type: ignore[misc]
    ctx.close()
    if shop.settle().pointer.release_id != release_id(shop, "one"):
        shop.rollout("one")


def release_id(shop: Shop, name: str) -> str:
    ctx = shop.context()
    found = ctx.catalog.releases.get(name).id
    ctx.close()
    return found


def live(shop: Shop) -> str:
    return (shop.place / "current" / "code" / "code.json").read_text()


def rolls_out(name: str):  # type: ignore[no-untyped-def]
    return lambda ctx: execute(ctx, ROLLOUT, RolloutParams("prod", name), confirmed=True)


def test_killed_at_every_step_it_goes_on_and_everything_agrees(shop: Shop) -> None:
    told, steps = in_child(shop, rolls_out("bad"))
    assert told.startswith("CheckFailed") and steps > 60
    shop.check()

    for step in range(1, steps + 1, 1 if IS_FULL else 3):
        again(shop)
        end, _ = in_child(shop, rolls_out("bad"), step)
        shop.check()
        assert end == "killed" or step > steps - 10, (step, end)
        assert live(shop) == "one", step


def test_killed_again_and_again_at_random_it_converges(shop: Shop) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)

    def goes_back(ctx: Context) -> None:
        execute(ctx, ROLLBACK, RollbackParams("prod"), confirmed=True)

    kills = 0
    while kills < KILLS:
        shop.ahead += timedelta(hours=2)
        work = dice.choice([rolls_out("two"), rolls_out("one"), rolls_out("bad"), goes_back])
        end, _ = in_child(shop, work, dice.randint(1, 90))
        kills += end == "killed"
        while end == "killed" and dice.random() < 0.5:
            shop.ahead += timedelta(minutes=1)
            end, _ = in_child(shop, carry_on_due, dice.randint(1, 60))
            kills += end == "killed"
        assert not end.startswith("unexpected"), end
        shop.check()
        assert live(shop) in ("one", "two")


def test_of_two_promoters_one_wins_and_the_other_is_told(shop: Shop) -> None:
    for _ in range(RACES):
        again(shop)
        generation = shop.settle().pointer.generation
        reading, writing = os.pipe()
        children = []
        for name in ("two", "one"):
            child = os.fork()
            if child == 0:
                promote(shop, name, generation, writing)
            children.append(child)
        os.close(writing)
        with open(reading) as pipe:
            told = pipe.read().splitlines()
        for child in children:
            os.waitpid(child, 0)

        lost = [line for line in told if line != "done"]
        assert len(told) == 2 and len(lost) == 1, told
        assert "is at generation" in lost[0] or "since" in lost[0] or "quicker" in lost[0], lost
        shop.check()
        assert shop.settle().pointer.generation == generation + 1


def promote(shop: Shop, name: str, generation: int, writing: int) -> None:
    """Roll out in a child, if the environment is where it was; tells how it ended."""
    told = "?"
    try:
        shop.rollout(name, expect=generation)
        told = "done"
    except MlconsoleError as error:
        told = " ".join(str(error).split())
    finally:
        os.write(writing, f"{told}\n".encode())
        os._exit(0)


def begun(shop: Shop, name: str, **params: object) -> RolloutPage:
    return shop.rollout(name, detach=True, **params)


def acts(shop: Shop, action: object, params: object) -> RolloutPage:
    ctx = shop.context()
    try:
        done = execute(ctx, action, params, confirmed=True)  # type: ignore[arg-type]
    finally:
        ctx.close()
    assert isinstance(done, RolloutPage)
    return done


@pytest.fixture
def slow(tmp_path: Path) -> Shop:
    """An environment that looks at a release for an hour; "one" is live, "two" is being looked at."""
    shop = Shop(tmp_path)
    for name in ("one", "two", "three"):
        shop.release(name)
    shop.environment(bake="1h")
    begun(shop, "one")
    shop.ahead += timedelta(hours=2)
    shop.settle()
    assert begun(shop, "two").rollout.state.value == "verifying"
    return shop


def test_a_rollback_goes_before_what_is_still_looked_at(slow: Shop) -> None:
    ctx = slow.context()
    execute(ctx, ROLLBACK, RollbackParams("prod", detach=True), confirmed=True)
    states = [ctx.catalog.rollouts.get(n).state.value for n in (1, 2, 3)]
    ctx.close()

    assert states == ["done", "superseded", "verifying"]
    slow.ahead += timedelta(hours=2)
    slow.check()
    assert live(slow) == "one"


def test_another_rollout_waits_its_turn(slow: Shop) -> None:
    with pytest.raises(ActionFailed, match="env abort prod"):
        slow.rollout("three")

    assert slow.context().catalog.environments.get("prod").pointer.generation == 2


def test_an_aborted_rollout_that_has_moved_goes_back(slow: Shop) -> None:
    ctx = slow.context()
    ctx.cancelled.set()
    with pytest.raises(MlconsoleError):
        execute(ctx, ABORT, NameParams("prod"), confirmed=True)
    ctx.close()
    slow.ahead += timedelta(hours=2)
    slow.check()

    ctx = slow.context()
    assert [ctx.catalog.rollouts.get(n).state.value for n in (1, 2, 3)] == ["done", "rolled_back", "done"]
    assert ctx.catalog.releases.quarantines() == {}
    assert live(slow) == "one"


def test_an_aborted_rollout_that_has_not_moved_leaves_nothing(shop: Shop) -> None:
    _, steps = in_child(shop, rolls_out("two"))
    for step in range(4, steps // 2, 5):
        again(shop)
        generation = shop.settle().pointer.generation
        in_child(shop, rolls_out("two"), step)
        ctx = shop.context()
        open_ones = [one for one in ctx.catalog.rollouts.open() if not one.state.has_moved]
        ctx.close()
        if open_ones:
            assert acts(shop, ABORT, NameParams("prod")).rollout.state.value == "aborted"
            assert shop.settle().pointer.generation == generation and live(shop) == "one"
        shop.check()


def test_what_cannot_be_told_is_held_until_somebody_takes_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release("one")
    shop.environment(gate=("command:/bin/sh -c 'exit 75'", "metric:acc>=1"))

    with pytest.raises(ActionFailed, match="is held"):
        shop.rollout("one")
    ctx = shop.context()
    (held,) = ctx.catalog.rollouts.open()
    assert held.held and {one.answer.value for one in held.answers} == {"inconclusive"}
    assert standing_of(ctx.catalog.environments.get("prod"), held) is Standing.HELD
    ctx.close()

    taken = acts(shop, ACCEPT, NameParams("prod"))
    assert (taken.rollout.state.value, taken.rollout.accepted) == ("done", "ann")
    shop.check()


@pytest.mark.parametrize(
    ("gate", "answer"),
    [("command:/nonexistent/program", "error"), ("command:/bin/sh -c 'kill -9 $$'", "error"),
     ("http:/health", "error"), ("http:http://127.0.0.1:1/", "error"), ("metric:acc>=1", "inconclusive")],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_no_failure(tmp_path: Path, gate: str, answer: str) -> None:
    shop = Shop(tmp_path)
    shop.release("one")
    shop.environment(gate=(gate,))

    with pytest.raises(ActionFailed, match="is held"):
        shop.rollout("one")

    ctx = shop.context()
    assert [one.answer.value for one in ctx.catalog.rollouts.open()[0].answers] == [answer]
    assert ctx.catalog.releases.quarantines() == {}


def test_the_circuit_breaker_opens_when_what_went_back_is_bad_too(shop: Shop) -> None:
    (shop.folder / "all-is-bad").touch()
    ctx = shop.context()
    ctx.close()
    with sqlite3.connect(shop.folder / "home" / "catalog.db") as db:
        db.execute("""UPDATE environment SET gates = '[["command", "/bin/false"]]'""")
    db.close()

    with pytest.raises(ActionFailed, match="what went back by itself is bad too"):
        shop.rollout("two")

    ctx = shop.context()
    environment = ctx.catalog.environments.get("prod")
    assert environment.breaker and environment.pointer.generation == 3
    assert carry_on_due(ctx) in (True, False) and ctx.catalog.environments.get("prod").pointer.generation == 3
    execute(ctx, RESET, NameParams("prod"))
    assert ctx.catalog.environments.get("prod").breaker == ""
    ctx.close()
    acts(shop, ACCEPT, NameParams("prod"))
    shop.check()


def test_too_many_rollbacks_open_the_circuit_breaker(shop: Shop) -> None:
    for number in range(3):
        shop.release(f"bad{number}", {"code": f"{BAD} {number}"})
        with pytest.raises(CheckFailed):
            shop.rollout(f"bad{number}")
    with pytest.raises(ActionFailed, match="3 rollbacks within 1 h"):
        shop.rollout("bad")

    ctx = shop.context()
    assert "3 rollbacks" in ctx.catalog.environments.get("prod").breaker
    ctx.close()
    done = acts(shop, ROLLBACK, RollbackParams("prod"))
    assert done.rollout.state.value == "done" and live(shop) == "one"
    shop.check()


def test_a_first_release_that_fails_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release("one")
    shop.environment(gate=("command:/bin/false",))

    with pytest.raises(CheckFailed, match="nothing to go back to"):
        shop.rollout("one")

    ctx = shop.context()
    assert ctx.catalog.rollouts.get(1).state.value == "failed"
    events = ctx.catalog.events.since(shop.now() - timedelta(hours=1))
    assert [one.kind for one in events] == ["release.created", "rollout.failed"]


class Stuck(FusedTarget):
    """A place that makes no second generation live."""

    def activate(self, order: TargetOrder) -> None:
        if order.generation == 2:
            raise ActionFailed("The disk is full.")
        super().activate(order)


def test_a_place_that_makes_nothing_live_is_no_fault_of_the_release(shop: Shop) -> None:
    ctx = shop.context(target=lambda name: Stuck(name, Fuse(0)))
    execute(ctx, ROLLOUT, RolloutParams("prod", "two", detach=True), confirmed=True)
    while ctx.catalog.rollouts.open():
        shop.ahead += timedelta(minutes=2)
        carry_on_due(ctx)

    states = [(one.kind.value, one.state.value) for one in map(ctx.catalog.rollouts.get, (2, 3))]
    assert states == [("rollout", "rolled_back"), ("automatic", "done")]
    assert ctx.catalog.releases.quarantines() == {}
    ctx.close()
    assert live(shop) == "one"
    shop.check()


def test_two_environments_in_one_place_are_told_and_nobody_waits(shop: Shop) -> None:
    shop.environment("other")
    ctx = shop.context()

    with pytest.raises(ActionFailed, match="other"):
        execute(ctx, ROLLOUT, RolloutParams("other", "two"), confirmed=True)

    assert ctx.catalog.rollouts.open() == []
    ctx.close()
    assert live(shop) == "one"
    shop.check()


class Sticky(FusedTarget):
    """A place that prepares nothing, and gives nothing back."""

    def prepare(self, order: TargetOrder) -> None:
        super().prepare(order)
        raise ActionFailed("The disk is full.")

    def release(self, order: TargetOrder) -> None:
        raise ActionFailed("It would not go.")


def test_nobody_waits_for_what_cannot_be_given_back(shop: Shop) -> None:
    ctx = shop.context(target=lambda name: Sticky(name, Fuse(0)))
    number = ctx.catalog.rollouts.get(1).number + 1
    execute(ctx, ROLLOUT, RolloutParams("prod", "two", detach=True), confirmed=True)
    while ctx.catalog.rollouts.get(number).tries < 5:
        shop.ahead += timedelta(minutes=2)
        carry_on_due(ctx)

    assert carry_through(ctx, number).message == "It would not go."
    ctx.close()
    shop.settle()
    assert live(shop) == "one"


def test_a_place_whose_link_is_a_folder_is_seen_before_anything_moves(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release("one")
    shop.environment()
    (shop.place / "current").mkdir(parents=True)

    with pytest.raises(ActionFailed, match="is not a link"):
        shop.rollout("one")

    ctx = shop.context()
    assert ctx.catalog.environments.get("prod").pointer.generation == 0
    ctx.close()


def test_a_target_that_is_full_of_something_else_moves_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.release("one")
    shop.environment()
    shop.place.write_text("not a folder")

    with pytest.raises(ActionFailed, match="was not rolled out"):
        shop.rollout("one")

    ctx = shop.context()
    assert ctx.catalog.environments.get("prod").pointer.generation == 0
    assert ctx.catalog.environments.deployed(1) == []


def test_what_is_changed_while_it_is_looked_at_is_put_back(slow: Shop) -> None:
    (slow.place / "current").unlink()
    slow.ahead += timedelta(minutes=1)
    ctx = slow.context()
    carry_on_due(ctx)
    slow.ahead += timedelta(hours=2)
    slow.check()

    assert live(slow) == "two"


def test_a_pin_that_comes_after_the_plan_still_holds(slow: Shop, tmp_path: Path) -> None:
    slow.ahead += timedelta(hours=2)
    slow.settle()
    with sqlite3.connect(tmp_path / "home" / "catalog.db") as db:
        db.execute("INSERT INTO pin VALUES (1, 'code', 'bob', 1, 'audit')")
    db.close()

    with pytest.raises(ActionFailed, match="code is pinned by bob"):
        slow.rollout("three")
    slow.check()


@pytest.mark.parametrize(
    "sql",
    ["UPDATE pointer_move SET actor = 'eve'", "DELETE FROM pointer_move", "DELETE FROM release", "DELETE FROM rollout",
     "UPDATE member SET id = 'x'", "UPDATE release SET id = 'x'", "UPDATE rollout_step SET words = ''",
     "UPDATE environment SET generation = 9", "DELETE FROM release_member", "UPDATE audit SET actor = 'eve'"],
)  # fmt: skip
def test_history_cannot_be_rewritten(shop: Shop, sql: str) -> None:
    db = sqlite3.connect(shop.folder / "home" / "catalog.db")

    with pytest.raises(sqlite3.IntegrityError):
        db.execute(sql)
    db.close()


def test_an_audit_row_of_a_move_that_is_edited_is_named(shop: Shop) -> None:
    db = sqlite3.connect(shop.folder / "home" / "catalog.db")
    (seq,) = db.execute("SELECT seq FROM audit WHERE action = 'env move'").fetchone()
    db.execute("DROP TRIGGER audit_keeps_words")
    db.execute("UPDATE audit SET params = replace(params, 'ann', 'eve') WHERE seq = ?", (seq,))
    db.commit()
    db.close()

    assert shop.context().catalog.audit.first_bad() == seq


def test_nobody_runs_the_gates_of_another(slow: Shop) -> None:
    slow.user = "bob"
    slow.ahead += timedelta(hours=2)
    ctx = slow.context()
    carry_on_due(ctx)

    assert ctx.catalog.rollouts.get(2).state.value == "verifying"


def test_bytes_that_leave_after_the_plan_stop_it_before_anything_moves(shop: Shop) -> None:
    shutil.rmtree(shop.folder / "home" / "kept")

    with pytest.raises(ActionFailed, match="are gone"):
        shop.rollout("two")

    assert live(shop) == "one" and shop.settle().pointer.generation == 1
