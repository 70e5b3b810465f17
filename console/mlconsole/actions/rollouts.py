"""Carries rollouts on, a step at a time: every state is in the catalog before the next thing is done.

::

    planned -> preflight -> prepared -> committed -> applying -> verifying -> done
       |          |            |            |            |           |
       +----------+------------+ nothing    +------------+-----------+ the pointer has moved: it is rolled forward,
                  v              has moved               v             or another rollout goes back
            compensating -> failed, aborted         rolled_back, superseded

A step does one thing to the outside, which may be done twice, and then moves the state on by compare-and-swap; whoever
finds the rollout later goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from sqlite3 import Connection

from mlconsole.actions.asking import ask
from mlconsole.actions.context import Context
from mlconsole.actions.going_back import Verdict, go_back
from mlconsole.actions.holding import holding
from mlconsole.actions.looking import look
from mlconsole.actions.orders import order_of, state_dir
from mlconsole.actions.preflight import troubles
from mlconsole.catalog.environments import (
    Mover,
    delivered,
    held_back,
    move_pointer,
    note_prepared,
    note_released,
    set_breaker,
)
from mlconsole.catalog.rollouts import enter, tell_done, tell_failed, wait
from mlconsole.domain.environments import Environment, changed_axes
from mlconsole.domain.gates import Answer, GateAnswer, brief, together
from mlconsole.domain.rollouts import Rollout, RolloutKind, RolloutState
from mlconsole.domain.targets import TargetOrder
from mlconsole.errors import BackendUnreachable, Interrupted, MlconsoleError
from mlconsole.plugin_api import Target

MOST_TRIES = 5
SHORTEST_PAUSE_S, FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5, 60.0
HELD_S = 15.0
LONGEST_LOOK_S = 5.0
STEPS_AT_ONCE = 40


class _Lost(Exception):
    """Somebody else has moved the rollout on: the transaction is taken back."""


class Carrier:
    """Carries one rollout on.

    Args:
        ctx: the session.
        rollout: it, as it was just read.
    """

    def __init__(self, ctx: Context, rollout: Rollout) -> None:
        self._ctx = ctx
        self._rollout = rollout
        self._environment = ctx.catalog.environments.numbered(rollout.environment)

    def step(self) -> bool:
        """Do the next thing; False when it has to wait, or is over.

        Raises:
            ActionFailed: a target or the catalog failed in a way that is not part of the protocol.
        """
        rollout = self._rollout
        if rollout.state.is_over:
            return False
        if rollout.intent != "go" and rollout.state is not RolloutState.COMPENSATING:
            return self._undo()
        steps: dict[RolloutState, Callable[[], bool]] = {
            RolloutState.PLANNED: lambda: self._enter(RolloutState.PREFLIGHT),
            RolloutState.PREFLIGHT: self._preflight,
            RolloutState.PREPARED: self._commit,
            RolloutState.COMMITTED: lambda: self._enter(RolloutState.APPLYING),
            RolloutState.APPLYING: self._apply,
            RolloutState.VERIFYING: self._verify,
            RolloutState.COMPENSATING: self._compensate,
        }
        return steps[rollout.state]()

    @property
    def _target(self) -> Target:
        return self._ctx.target(self._environment.target)

    def _order(self) -> TargetOrder:
        release = self._ctx.catalog.releases.by_id(self._rollout.release_id)
        return order_of(self._ctx, self._environment, release, self._rollout.generation)

    def _enter(self, state: RolloutState, words: str = "") -> bool:
        return self._change(lambda db: enter(db, self._rollout, state, self._now, words))

    def _change(self, change: Callable[[Connection], bool]) -> bool:
        """Move on, or find out that somebody else has: either way there is something to look at again."""
        self._ctx.write(change, durable=True)
        return True

    @property
    def _now(self) -> datetime:
        return self._ctx.clock()

    def _undo(self) -> bool:
        if not self._rollout.state.has_moved:
            return self._give_up("it was aborted")
        self._back(Verdict("it was aborted", is_fault=False))
        return True

    def _give_up(self, why: str) -> bool:
        """Go and give back what was prepared: nothing has moved."""
        rollout, now = self._rollout, self._now
        return self._change(lambda db: enter(db, rollout, RolloutState.COMPENSATING, now, why, whatever_intent=True))

    def _preflight(self) -> bool:
        ctx, rollout, environment = self._ctx, self._rollout, self._environment
        if environment.pointer.generation != rollout.before_generation:
            return self._give_up(self._told())
        release = ctx.catalog.releases.by_id(rollout.release_id)
        found = troubles(ctx, environment, release, rollout.kind, rollout.override, is_thorough=True)
        if found:
            return self._give_up("; ".join(found))
        if not self._is_free():
            return False
        ctx.write(lambda db: note_prepared(db, environment.number, rollout.generation, release.id), durable=True)
        try:
            self._target.prepare(self._order())
        except BackendUnreachable as error:
            return self._again(error.message, self._give_up)
        except MlconsoleError as error:
            return self._give_up(error.message)
        return self._enter(RolloutState.PREPARED)

    def _told(self) -> str:
        moved = self._environment.pointer
        return f'another was quicker: "{self._environment.name}" is at generation {moved.generation} by now'

    def _is_free(self) -> bool:
        """Whether no rollout before this one still holds what this one's generation needs."""
        for one in self._ctx.catalog.rollouts.open_of(self._environment.number):
            if one.number < self._rollout.number:
                carry_on(self._ctx, one.number)
                left = self._ctx.catalog.rollouts.get(one.number)
                if not left.state.is_over:
                    self._wait(FIRST_PAUSE_S, f"rollout {one.number} is still {left.state.value}")
                    return False
        return True

    def _commit(self) -> bool:
        """Move the pointer, with history, audit row, outbox and journal, in one transaction."""
        ctx, rollout, now = self._ctx, self._rollout, self._now
        release = ctx.catalog.releases.by_id(rollout.release_id)
        changed = changed_axes(self._environment.release, release)
        rule = ctx.catalog.firings.rule_of(f"rollout:{rollout.number}")
        reason = rollout.override or (f"policy:{rule}" if rule else rollout.kind.value)
        mover = Mover(ctx.settings.user, ctx.settings.host, now, reason)
        passes = rollout.kind is RolloutKind.AUTOMATIC or bool(rollout.override)

        def change(db: Connection) -> str:
            if not passes and (held := held_back(db, rollout.environment, changed, now)):
                return "; ".join(held)
            if not move_pointer(db, rollout, mover):
                return self._told()
            if not enter(db, rollout, RolloutState.COMMITTED, now, f"generation {rollout.generation}"):
                raise _Lost
            return ""

        try:
            why_not = ctx.write(change, durable=True)
        except _Lost:
            return True
        return self._give_up(why_not) if why_not else True

    def _apply(self) -> bool:
        rollout, environment, now = self._rollout, self._environment, self._now
        try:
            self._target.prepare(self._order())
            self._target.activate(self._order())
        except MlconsoleError as error:
            return self._again(error.message, lambda why: self._cannot(f"it cannot be activated: {why}"))
        bake_until = now + timedelta(seconds=environment.bake_s)

        def change(db: Connection) -> bool:
            delivered(db, environment.number, rollout.generation, now)
            return enter(db, rollout, RolloutState.VERIFYING, now, bake_until=bake_until)

        return self._change(change)

    def _verify(self) -> bool:
        ctx, rollout = self._ctx, self._rollout
        environment = self._environment = look(ctx, self._environment)
        seen = environment.observed
        if environment.drift:
            return self._activate_again(environment.drift)
        answers = list(ask(ctx, environment, rollout, str(state_dir(ctx, environment))))
        if seen.unreachable:
            answers.insert(0, GateAnswer("target", Answer.ERROR, seen.unreachable))
        elif seen.healthy is False:
            answers.insert(0, GateAnswer("target", Answer.FAIL, seen.words))
        return self._judge(answers)

    def _activate_again(self, drift: str) -> bool:
        """Something else took its place: put it there again, a few times."""
        try:
            self._target.prepare(self._order())
            self._target.activate(self._order())
        except MlconsoleError as error:
            drift = f"{drift}; {error.message}"
        return self._again(drift, lambda why: self._cannot(f"it does not stay live: {why}"))

    def _judge(self, answers: Sequence[GateAnswer]) -> bool:
        rollout, now = self._rollout, self._now
        verdict = together(answers)
        bake_until = rollout.bake_until or now
        is_taken = bool(rollout.accepted)
        if verdict is Answer.FAIL and not is_taken:
            failed = "; ".join(f"{brief(one.gate)}: {one.words}" for one in answers if one.answer is Answer.FAIL)
            self._note(answers)
            return self._back(Verdict(failed, is_fault=True, is_quarantined=self._is_bad(answers)))
        if now < bake_until and not is_taken:
            left = (bake_until - now).total_seconds()
            pause = min(LONGEST_LOOK_S, max(FIRST_PAUSE_S, self._environment.bake_s / 5), left)
            return self._wait(pause, f"it is looked at for {left:.0f} s more", answers)
        if verdict in (Answer.ERROR, Answer.INCONCLUSIVE) and not is_taken:
            found = "; ".join(f"{brief(one.gate)}: {one.words}" for one in answers if one.answer is verdict)
            name = self._environment.name
            return self._wait(HELD_S, f"{found}. Take it: mlconsole env accept {name}", answers, held=True)
        return self._finish(answers, verdict)

    def _finish(self, answers: Sequence[GateAnswer], verdict: Answer) -> bool:
        ctx, rollout, environment, now = self._ctx, self._rollout, self._environment, self._now
        give_back_others(ctx, environment)
        taken = f", taken by {rollout.accepted}" if rollout.accepted else ""
        words = {Answer.NONE: "no gate was asked"}.get(verdict, f"gates: {verdict.value}") + taken

        def change(db: Connection) -> bool:
            wait(db, rollout, now, words, answers=answers)
            if rollout.kind is not RolloutKind.AUTOMATIC:
                set_breaker(db, environment.number, "")
            if not enter(db, rollout, RolloutState.DONE, now, words):
                return False
            note_evaluations(db, rollout, answers, now)
            tell_done(db, rollout, now)
            return True

        return self._change(change)

    def _note(self, answers: Sequence[GateAnswer]) -> None:
        rollout, now = self._rollout, self._now

        def change(db: Connection) -> None:
            wait(db, rollout, now, rollout.message, answers=answers)
            note_evaluations(db, rollout, answers, now)

        self._ctx.write(change, durable=True)

    def _is_bad(self, answers: Sequence[GateAnswer]) -> bool:
        """Whether what failed is held against the release; one that was good here may be no better than another."""
        failed = {one.gate for one in answers if one.answer is Answer.FAIL}
        relative = {gate.words for gate in self._environment.gates if gate.is_relative}
        was_good = self._rollout.release_id in self._ctx.catalog.rollouts.healthy(self._environment.number)
        return not (was_good and failed <= relative)

    def _cannot(self, why: str) -> bool:
        """A target that cannot make it live: go back, and hold nothing against the release."""
        return self._back(Verdict(why, is_fault=True))

    def _back(self, verdict: Verdict) -> bool:
        held = go_back(self._ctx, self._environment, self._rollout, verdict)
        return self._wait(HELD_S, held, self._rollout.answers, held=True) if held else True

    def _compensate(self) -> bool:
        rollout, environment = self._rollout, self._environment
        mine = (rollout.generation, rollout.release_id)
        if mine in self._ctx.catalog.environments.deployed(environment.number) and not self._is_pointed_to():
            try:
                self._target.release(self._order())
            except MlconsoleError as error:
                return self._again(error.message, None)
        now = self._now
        after = RolloutState.FAILED if rollout.intent == "go" else RolloutState.ABORTED

        def change(db: Connection) -> bool:
            if not self._is_pointed_to():
                note_released(db, environment.number, rollout.generation)
            if not enter(db, rollout, after, now, rollout.message, whatever_intent=True):
                return False
            if after is RolloutState.FAILED:
                tell_failed(db, rollout, rollout.message, now)
            return True

        return self._change(change)

    def _is_pointed_to(self) -> bool:
        """Whether the generation that this one wanted is another's by now."""
        return self._environment.pointer.generation >= self._rollout.generation

    def _again(self, why: str, give_up: Callable[[str], bool] | None) -> bool:
        """Try the same step again after a pause that grows; give up after some tries where that is possible."""
        tries = self._rollout.tries + 1
        if give_up is not None and tries >= MOST_TRIES:
            return give_up(why)
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tries - 1, 10))
        return self._wait(pause, why, self._rollout.answers, tried=True)

    def _wait(
        self, pause_s: float, why: str, answers: Sequence[GateAnswer] = (), *, held: bool = False, tried: bool = False
    ) -> bool:
        until = self._now + timedelta(seconds=pause_s)
        self._ctx.write(lambda db: wait(db, self._rollout, until, why, answers=answers, held=held, tried=tried))
        return False


def note_evaluations(db: Connection, rollout: Rollout, answers: Sequence[GateAnswer], now: datetime) -> None:
    """Write the gates' answers into the lineage, below the release they are about."""
    from mlconsole.catalog.lineage import put_edge, put_node
    from mlconsole.domain.lineage import NodeKind
    from mlconsole.domain.times import to_us

    for one in answers:
        key = f"evaluation:{rollout.name}:{rollout.generation}:{one.gate}:{one.answer.value}"
        node = put_node(db, NodeKind.EVALUATION, key, f"{brief(one.gate)}: {one.answer.value}", to_us(now))
        put_edge(db, node, f"release:{rollout.release_id}", "evaluated")


def give_back_others(ctx: Context, environment: Environment) -> list[str]:
    """Have a target give back every generation but the one of the pointer; returns what would not go."""
    left = []
    for generation, release_id in ctx.catalog.environments.deployed(environment.number):
        if generation >= environment.pointer.generation:
            continue
        release = ctx.catalog.releases.by_id(release_id)
        try:
            ctx.target(environment.target).release(order_of(ctx, environment, release, generation))
        except MlconsoleError as error:
            left.append(f"generation {generation}: {error.message}")
            continue
        ctx.write(lambda db, it=generation: note_released(db, environment.number, it), durable=True)  # type: ignore[misc]
    return left


def carry_on(ctx: Context, number: int) -> Rollout:
    """Carry a rollout on as far as it goes now, unless another process is at it; returns how far it is."""
    with holding(ctx, number) as is_mine:
        if is_mine:
            for _ in range(STEPS_AT_ONCE):
                if not Carrier(ctx, ctx.catalog.rollouts.get(number)).step():
                    break
    return ctx.catalog.rollouts.get(number)


def carry_on_due(ctx: Context) -> bool:
    """Carry on what is due on this host and was asked for by this user, look at every environment that was not
    looked at for a while, and say loudly what is held, failed or drifted; True when something was done.

    This is what every look, the open console and a watcher call; nothing happens where nothing is due.
    """
    settings, catalog = ctx.settings, ctx.catalog
    due = catalog.rollouts.due(settings.host, settings.user, ctx.clock())
    for rollout in due:
        try:
            left = carry_on(ctx, rollout.number)
        except MlconsoleError as error:
            ctx.say(f"{rollout.words} It could not be carried on: {error}")
            continue
        if not left.state.is_over and left.message:  # Without one it goes on in another process, or thread.
            ctx.say(left.words)
    looked = catalog.environments.due(settings.host, ctx.clock())
    for environment in looked:
        seen = look(ctx, environment)
        if not catalog.rollouts.open_of(environment.number):
            if seen.drift:
                ctx.say(f'"{seen.name}" has drifted: {seen.drift}. Mend it: mlconsole env repair {seen.name}')
            give_back_others(ctx, seen)
    return bool(due or looked)


def carry_through(ctx: Context, number: int) -> Rollout:
    """Carry a rollout on until it is over or waits for a person, then the one that undoes it; returns the last.

    Raises:
        Interrupted: the person would not wait.
    """
    while True:
        rollout = carry_on(ctx, number)
        child = ctx.catalog.rollouts.child(number) if rollout.state is RolloutState.ROLLED_BACK else None
        if child is not None:
            number = child.number
        elif rollout.held or rollout.state.is_over or _is_stuck(rollout):
            return rollout
        elif ctx.cancelled.wait(max(SHORTEST_PAUSE_S, ctx.catalog.rollouts.pause_s(number, ctx.clock()))):
            raise Interrupted(f"Left while {rollout.state.value}.", "Any later command carries it on.")


def _is_stuck(rollout: Rollout) -> bool:
    """Whether what was prepared cannot be given back: later commands try again, and nobody waits for it."""
    return rollout.state is RolloutState.COMPENSATING and rollout.tries >= MOST_TRIES
