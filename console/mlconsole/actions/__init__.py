"""Every verb of the product: the registry that the command line, keys, palette and docs are made from.

A line says where an action is, in this folder or, with its whole name, in the layer above; its module is imported
only when that action is needed, so that a command pays for itself alone.
"""

from __future__ import annotations

import importlib
from typing import Any

from mlconsole.actions.base import Action

ACTIONS: dict[str, str] = {
    "launch": "launch:LAUNCH",
    "teardown": "teardown:TEARDOWN",
    "rollout": "rollout:TOP",
    "rollback": "rollback:ROLLBACK",
    "run list": "run_reads:LIST",
    "run show": "run_reads:SHOW",
    "run logs": "run_logs:LOGS",
    "run stop": "run_stop:STOP",
    "run relaunch": "relaunch:RELAUNCH",
    "run compare": "run_reads:COMPARE",
    "run diff": "run_diff:DIFF",
    "run tag": "run_changes:TAG",
    "run rename": "run_changes:RENAME",
    "run delete": "run_changes:DELETE",
    "run export": "run_export:EXPORT",
    "metric show": "metrics:SHOW",
    "experiment list": "experiments:LIST",
    "run hold": "queue_verbs:HOLD",
    "run release": "queue_verbs:RELEASE",
    "run move": "queue_verbs:MOVE",
    "run requeue": "queue_verbs:REQUEUE",
    "sweep list": "sweeps:LIST",
    "sweep show": "sweeps:SHOW",
    "job list": "queue_reads:LIST",
    "job start": "queue_reads:START",
    "host list": "queue_reads:HOSTS",
    "host drain": "queue_verbs:DRAIN",
    "host resume": "queue_verbs:RESUME",
    "gpu list": "gpu:LIST",
    "gpu history": "gpu:HISTORY",
    "gpu keep": "gpu:KEEP",
    "cost show": "cost:SHOW",
    "cost estimate": "cost:ESTIMATE",
    "budget set": "budget:SET",
    "budget list": "budget:LIST",
    "budget remove": "budget:REMOVE",
    "price list": "price:LIST",
    "price import": "price:IMPORT",
    "dataset add": "dataset:ADD",
    "dataset list": "dataset:LIST",
    "dataset show": "dataset:SHOW",
    "dataset verify": "dataset:VERIFY",
    "dataset diff": "dataset:DIFF",
    "dataset check": "check:CHECK",
    "model register": "model:REGISTER",
    "model alias": "model:ALIAS",
    "model list": "model:LIST",
    "model show": "model:SHOW",
    "model diff": "model:DIFF",
    "model card": "model:CARD",
    "release create": "release:CREATE",
    "release list": "release:LIST",
    "release show": "release:SHOW",
    "release diff": "release:DIFF",
    "release quarantine": "release:QUARANTINE",
    "release lift": "release:LIFT",
    "env create": "environments:CREATE",
    "env set": "environments:SET",
    "env list": "environments:LIST",
    "env show": "environments:SHOW",
    "env history": "environments:HISTORY_",
    "env diff": "environments:DIFF",
    "env rollout": "rollout:ROLLOUT",
    "env abort": "rollout:ABORT",
    "env accept": "rollout:ACCEPT",
    "env repair": "rollout:REPAIR",
    "env reset": "rollout:RESET",
    "env withdraw": "withdrawal:WITHDRAW",
    "env pin": "pins:PIN",
    "env unpin": "pins:UNPIN",
    "env freeze": "pins:FREEZE",
    "env thaw": "pins:THAW",
    "reproduce": "reproduce:REPRODUCE",
    "lineage up": "lineage:UP",
    "lineage down": "lineage:DOWN",
    "lineage path": "lineage:PATH",
    "lineage diff": "lineage:DIFF",
    "lineage export": "lineage_export:EXPORT",
    "lineage page": "lineage_page:PAGE",
    "drift compare": "drift:COMPARE",
    "drift parity": "parity:PARITY",
    "drift performance": "performance:PERFORMANCE",
    "drift tests": "drift:TESTS",
    "monitor add": "monitor:ADD",
    "monitor list": "monitor:LIST",
    "monitor show": "monitor:SHOW",
    "monitor check": "monitor_check:CHECK",
    "monitor replay": "monitor_replay:REPLAY",
    "monitor rebaseline": "baseline:REBASELINE",
    "monitor remove": "monitor:REMOVE",
    "backend list": "backends:LIST",
    "backend check": "backends:CHECK",
    "doctor": "doctor:DOCTOR",
    "backup": "backup:BACKUP",
    "restore": "backup:RESTORE",
    "alert list": "alert:LIST",
    "alert show": "alert:SHOW",
    "alert ack": "alert:ACK",
    "alert snooze": "alert:SNOOZE",
    "policy plan": "mlconsole.policy.policy_verbs:PLAN",
    "policy apply": "mlconsole.policy.policy_verbs:APPLY",
    "policy list": "mlconsole.policy.policy_verbs:LIST",
    "policy show": "mlconsole.policy.policy_verbs:SHOW",
    "policy history": "mlconsole.policy.policy_verbs:HISTORY",
    "policy test": "mlconsole.policy.policy_verbs:TEST",
    "policy accept": "mlconsole.policy.policy_verbs:ACCEPT",
    "policy decline": "mlconsole.policy.policy_verbs:DECLINE",
    "watch": "mlconsole.policy.verbs:WATCH",
    "audit list": "audit:LIST",
    "audit verify": "audit:VERIFY",
    "report": "report:REPORT",
    "report monitor": "monitor_report:REPORT",
    "report cost": "cost_report:REPORT",
    "demo": "demo:DEMO",
    "web": "web:WEB",
}
NOUNS: tuple[str, ...] = tuple(dict.fromkeys(name.partition(" ")[0] for name in ACTIONS))


def named(name: str) -> Action[Any]:
    """The action of that full name.

    Raises:
        KeyError: there is none.
    """
    module, _, attribute = ACTIONS[name].partition(":")
    place = module if module.startswith("mlconsole.") else f"mlconsole.actions.{module}"
    found: Action[Any] = getattr(importlib.import_module(place), attribute)
    return found


def of_noun(noun: str) -> tuple[Action[Any], ...]:
    """The actions whose name begins with the noun; empty for an unknown one."""
    return tuple(named(name) for name in ACTIONS if name.partition(" ")[0] == noun)


def every() -> tuple[Action[Any], ...]:
    """All actions, in the order of :data:`ACTIONS`."""
    return tuple(named(name) for name in ACTIONS)
