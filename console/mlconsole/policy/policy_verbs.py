"""``policy``: plan and apply files of rules, look at them, try them on the past, say yes or no to what they propose."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Sequence
from datetime import timedelta

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.execute import plan as plan_action
from mlconsole.catalog.firings import move
from mlconsole.catalog.policies import disarm, put_policy
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.policies import Firing, FiringState, Policy, PolicyChange, PolicyPage, PolicyRow
from mlconsole.domain.results import Listing
from mlconsole.domain.times import parse_when
from mlconsole.errors import ActionFailed, FileMistakes, NotFound, UsageError
from mlconsole.policy.carrying_out import carry_out
from mlconsole.policy.leadership import this_process
from mlconsole.policy.rules import Problem, read
from mlconsole.records import record

FILE = "policies.toml"


@record
class FileParams:
    """Which file."""

    file: str = param(FILE, help="a file of policies; policies.toml when left out", positional=True, metavar="FILE")


def changes_of(ctx: Context, path: str) -> tuple[list[PolicyChange], list[Policy], list[Problem]]:
    """What applying a file would change; the sound policies; what is wrong with the others."""
    sound, problems = read(path)
    file = sound[0].file if sound else (problems[0].file if problems else "")
    armed = {each.name: each for each in ctx.catalog.policies.armed()} if ctx.has_catalog else {}
    found = [_change(policy, armed.get(policy.name)) for policy in sound]
    kept = {policy.name for policy in sound}
    refused = {problem.words.partition('"')[2].partition('"')[0] for problem in problems}
    found += [
        PolicyChange("remove", each.name, each.trigger, each.line)
        for each in armed.values()
        if each.file == file and each.name not in kept | refused
    ]
    found += [PolicyChange("refuse", "", str(problem), problem.line) for problem in problems]
    return found, sound, problems


def _change(policy: Policy, armed: Policy | None) -> PolicyChange:
    how = "by itself" if policy.allow else "proposes"
    words = f"{policy.trigger}: {policy.do} ({how})"
    what = "add" if armed is None else "keep" if armed == policy else "change"
    return PolicyChange(what, policy.name, words, policy.line)


def _refusal(problems: Sequence[Problem], applied: str) -> FileMistakes:
    return FileMistakes([str(problem) for problem in problems], applied)


def plan_file(ctx: Context, params: FileParams) -> Listing[PolicyChange]:
    """What applying a file would change.

    Raises:
        FileMistakes: something in it is wrong; each mistake is a line with file and line.
    """
    changes, sound, problems = changes_of(ctx, params.file)
    if problems:
        raise _refusal(
            problems, f"{len(sound)} of its policies are sound: {', '.join(p.name for p in sound) or 'none'}."
        )
    return Listing("policy_change", changes)


def plan_apply(ctx: Context, params: FileParams) -> Plan:
    """What would be armed, changed and taken away."""
    changes, _, _ = changes_of(ctx, params.file)
    steps = tuple(Step(f"{each.what} {each.name or each.words}".rstrip(), each.words) for each in changes)
    return Plan("policy apply", Effect.WRITE, steps, command=shlex.join(["mlconsole", "policy", "apply", params.file]))


def apply(ctx: Context, params: FileParams) -> Listing[PolicyChange]:
    """Arm the sound policies of a file, and take those away that it does not hold any more.

    Raises:
        FileMistakes: something in it is wrong; the rest was applied.
    """
    changes, sound, problems = changes_of(ctx, params.file)
    removed = [each.name for each in changes if each.what == "remove"]
    now = ctx.clock()

    def change(db: sqlite3.Connection) -> None:
        for policy in sound:
            put_policy(db, policy, ctx.settings.user, now)
        for name in removed:
            disarm(db, name, now)

    ctx.write(change, durable=True)
    if problems:
        raise _refusal(problems, f"The others were applied: {', '.join(p.name for p in sound) or 'none'}.")
    return Listing("policy_change", changes)


@record
class NoneParams:
    """All of them."""


def list_policies(ctx: Context, params: NoneParams) -> Listing[PolicyRow]:
    """Every policy, and what it did in the last day."""
    return Listing("policy", ctx.catalog.policies.rows(ctx.clock()))


@record
class ShowParams:
    """Which one."""

    policy: str = param(help="its name", positional=True, metavar="POLICY", cursor="policy")
    limit: int = param(50, help="the most firings to show", metavar="N")


def show(ctx: Context, params: ShowParams) -> PolicyPage:
    """A policy with what it did, and what it held back and why."""
    row = ctx.catalog.policies.row(params.policy, ctx.clock())
    return PolicyPage(row, tuple(ctx.catalog.firings.of_policy(params.policy, max(1, params.limit))))


@record
class HistoryParams:
    """Since when."""

    since: str = param("24h", help="from when on, as in 12h, 7d or 2026-05-04", metavar="WHEN")
    limit: int = param(500, help="the most to show", metavar="N")


def history(ctx: Context, params: HistoryParams) -> Listing[Firing]:
    """What the policies did, why, and what they held back; the newest first."""
    since = parse_when(params.since, ctx.clock())
    if since is None:
        raise UsageError(f'"{params.since}" is no moment.', "Write 12h, 7d or 2026-05-04.")
    return Listing("firing", ctx.catalog.firings.since(since, max(1, params.limit)))


@record
class TestParams:
    """What to try, and on which past."""

    __test__ = False
    file: str = param(
        FILE, help="a file, or the name of a policy that is armed", positional=True, metavar="FILE|POLICY"
    )
    since: str = param("7d", help="over the events from when on", metavar="WHEN")


def test(ctx: Context, params: TestParams) -> Listing[Firing]:
    """What policies would have done over past events.

    Raises:
        FileMistakes: something in the file is wrong.
    """
    from mlconsole.policy.trial import would_have_fired

    since = parse_when(params.since, ctx.clock())
    if since is None or ctx.clock() - since > timedelta(days=3660):
        raise UsageError(f'"{params.since}" is no moment.', "Write 12h, 7d or 2026-05-04.")
    named = [policy for policy in ctx.catalog.policies.armed() if policy.name == params.file]
    policies, problems = (named, []) if named else read(params.file)
    found = would_have_fired(ctx, policies, since)
    if problems:
        raise _refusal(problems, f"The others would have fired {sum(f.state.counts for f in found)} times.")
    return Listing("firing", found)


@record
class FiringParams:
    """Which proposal."""

    firing: str = param(
        help="its number, as policy history shows it", positional=True, metavar="NUMBER", cursor="firing"
    )


def _proposed(ctx: Context, word: str) -> tuple[Firing, Policy]:
    if not (word.isascii() and word.isdecimal() and len(word) < 18):
        raise UsageError(f'"{word}" is no number of a firing.', "See: mlconsole policy history")
    firing = ctx.catalog.firings.get(int(word))
    if firing.state not in (FiringState.PROPOSED, FiringState.WAITING):
        raise ActionFailed(
            f"Firing {word} is {firing.state}, no proposal: {firing.why}.", "See: mlconsole policy history"
        )
    policy = next((each for each in ctx.catalog.policies.armed() if each.name == firing.policy), None)
    if policy is None:
        raise NotFound(f'The policy "{firing.policy}" was taken away.')
    return firing, policy


def plan_accept(ctx: Context, params: FiringParams) -> Plan:
    """The plan of what is proposed."""
    from mlconsole import actions
    from mlconsole.policy.params import params_of

    firing, policy = _proposed(ctx, params.firing)
    action = actions.named(firing.do)
    found = plan_action(ctx, action, params_of(action, firing.given))
    command = f"mlconsole policy accept {params.firing}"
    first = Step(f'the policy "{policy.name}" proposes: {firing.do}', firing.because)
    return Plan(
        "policy accept", Effect.WRITE, (first, *found.steps), found.cost_microusd, found.irreversible, command=command
    )


def accept(ctx: Context, params: FiringParams) -> Firing:
    """Do what a policy proposes.

    Raises:
        ActionFailed: it is no proposal any more, or it failed.
    """
    firing, policy = _proposed(ctx, params.firing)
    done = carry_out(ctx, firing, policy, this_process(ctx, "person"), None, ctx.settings.user)
    if done.state is not FiringState.DONE:
        raise ActionFailed(f"Firing {done.number} is {done.state}: {done.why}.", "See: mlconsole policy history")
    return done


def plan_decline(ctx: Context, params: FiringParams) -> Plan:
    """What would be left undone."""
    firing, _ = _proposed(ctx, params.firing)
    step = Step(f'do not {firing.do}, as the policy "{firing.policy}" proposes', firing.because)
    return Plan("policy decline", Effect.WRITE, (step,), command=f"mlconsole policy decline {params.firing}")


def decline(ctx: Context, params: FiringParams) -> Firing:
    """Say no to what a policy proposes."""
    firing, _ = _proposed(ctx, params.firing)
    user = ctx.settings.user
    ctx.write(lambda db: move(db, firing, FiringState.DECLINED, f"{user} said no", ctx.clock(), user), durable=True)
    return ctx.catalog.firings.get(firing.number)


PLAN = Action("policy plan", "Show what applying a file of policies would change", FileParams, Effect.READ, plan_file)
APPLY = Action(
    "policy apply",
    "Arm the policies of a file",
    FileParams,
    Effect.WRITE,
    apply,
    plan_apply,
    target=lambda p: p.file,
    examples=("mlconsole policy apply policies.toml --dry-run",),
)
LIST = Action("policy list", "List policies and what they did in the last day", NoneParams, Effect.READ, list_policies)
SHOW = Action("policy show", "Show a policy with its firings", ShowParams, Effect.READ, show)
HISTORY = Action(
    "policy history", "Show what policies did, why, and what they held back", HistoryParams, Effect.READ, history
)
TEST = Action(
    "policy test",
    "Show what policies would have done over past events",
    TestParams,
    Effect.READ,
    test,
    examples=("mlconsole policy test policies.toml --since 7d",),
)
ACCEPT = Action(
    "policy accept",
    "Do what a policy proposes",
    FiringParams,
    Effect.WRITE,
    accept,
    plan_accept,
    target=lambda p: p.firing,
    key="d",
)
DECLINE = Action(
    "policy decline",
    "Say no to what a policy proposes",
    FiringParams,
    Effect.WRITE,
    decline,
    plan_decline,
    target=lambda p: p.firing,
    key="n",
)
