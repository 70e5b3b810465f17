"""Policies that would set each other off for ever, found before any of them fires.

Who can be the cause of which event is known of every action; two policies whose conditions ask for different values
of what the action says itself (the experiment, the name of a launched run) do not set each other off, nor does one that
asks for alerts of what the action has no part in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlconsole.domain.event_filter import condition, required
from mlconsole.domain.policies import Policy

RUN_ENDS = ("run.ended", "alert.opened", "alert.resolved")
ROLLS = ("rollout.done", "rollout.failed", "alert.opened", "alert.resolved")
EMITS: dict[str, tuple[str, ...]] = {
    "launch": RUN_ENDS,
    "run relaunch": RUN_ENDS,
    "run stop": RUN_ENDS,
    "teardown": RUN_ENDS,
    "reproduce": RUN_ENDS,
    "model register": ("model.registered",),
    "release create": ("release.created",),
    "dataset add": ("dataset.added",),
    "dataset check": ("check.failed", "check.passed", "alert.opened", "alert.resolved"),
    "monitor check": ("drift.opened", "alert.opened", "alert.resolved"),
    "monitor rebaseline": ("monitor.rebaselined",),
    "env rollout": ROLLS,
    "rollout": ROLLS,
    "rollback": ("release.created", *ROLLS),
    "alert ack": ("alert.acked",),
    "alert snooze": ("alert.snoozed", "alert.opened"),
}
"""The events that an action may be the cause of."""
OF_RUNS = frozenset({"run", "gpu", "budget", "environment"})
TELLS: dict[str, frozenset[str]] = {
    **{action: OF_RUNS for action, events in EMITS.items() if events is RUN_ENDS},
    "dataset check": frozenset({"check"}),
    "monitor check": frozenset({"monitor"}),
}
"""What says the alerts that an action may be the cause of, where that is not any."""
SAID_BY_LAUNCH = {"experiment": "default", "name": None}


def without(policies: Sequence[Policy]) -> tuple[list[Policy], list[tuple[str, str]]]:
    """The policies that stand in no cycle, and (name, words) of those that do.

    A cycle is accepted where one of its policies says how often it may be its own effect: ``max_depth`` above 1.
    """
    bad: dict[str, str] = {}
    for path in _cycles(policies):
        if all(policy.max_depth == 1 for policy in path):
            words = " > ".join([*(policy.name for policy in path), path[0].name])
            for policy in path:
                bad.setdefault(
                    policy.name,
                    f'policy "{policy.name}": a cycle, it would set itself off: {words}; '
                    "narrow an if, or accept it to a depth with max_depth = 2 or more",
                )
    return [policy for policy in policies if policy.name not in bad], list(bad.items())


def _cycles(policies: Sequence[Policy]) -> Iterator[list[Policy]]:
    """One cycle through each policy that has any: the shortest."""
    follows = {a.name: [b for b in policies if sets_off(a, b)] for a in policies}
    for start in policies:
        paths, seen = [[start]], {start.name}
        while paths:
            path = paths.pop(0)
            following = follows[path[-1].name]
            if any(policy.name == start.name for policy in following):
                yield path
                break
            paths += [[*path, policy] for policy in following if policy.name not in seen]
            seen.update(policy.name for policy in following)


def sets_off(first: Policy, second: Policy) -> bool:
    """True when what the first one does may be what the second one waits for."""
    if second.when not in EMITS.get(first.do, ()):
        return False
    if second.when.startswith("alert.") and first.do in TELLS:
        return required(condition(second.condition)).get("source", "") in {"", *TELLS[first.do]}
    if first.do != "launch" or second.when != "run.ended":
        return True
    wanted = required(condition(second.condition))
    for name, default in SAID_BY_LAUNCH.items():
        said = first.given.get(name, default)
        if name in wanted and isinstance(said, str) and "{" not in said and said != wanted[name]:
            return False
    return True
