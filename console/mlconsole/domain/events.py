"""Events: what has happened, in the order in which the catalog learned of it. Policies and timelines read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlconsole.records import record


@record
class Event:
    """One thing that has happened. ``subject`` is what it is about; ``at`` when it happened, not when it was noted."""

    number: int
    at: datetime
    kind: str
    subject: str
    data: Mapping[str, Any]


@record
class EventKind:
    """A kind of event: when it is, in words, and the fields that its data has."""

    summary: str
    fields: tuple[str, ...]


_ALERT = ("alert", "source", "severity", "cause", "title", "subject", "who", "why")

KINDS: dict[str, EventKind] = {
    "run.ended": EventKind(
        "a run has ended, however it ended",
        (
            "run",
            "name",
            "experiment",
            "outcome",
            "exit_code",
            "reason",
            "user",
            "host",
            "backend",
            "gpus",
            "duration_s",
            "parent",
            "tag",
        ),
    ),
    "model.registered": EventKind("a model has a new version", ("model", "version", "label", "digest", "run", "owner")),
    "release.created": EventKind(
        "a release was made", ("release", "name", "code", "data", "model", "config", "env", "user")
    ),
    "dataset.added": EventKind(
        "a dataset has a new version", ("dataset", "version", "label", "digest", "path", "files", "rows", "user")
    ),
    "budget.spent": EventKind(
        "a budget has reached 50, 80 or 100 %", ("budget", "percent", "spent_usd", "limit_usd", "scope", "who")
    ),
    "gpu.idle": EventKind(
        "a GPU is held and nothing comes of it",
        (*_ALERT, "gpu", "index", "host", "run", "user", "idle_class", "idle_s", "usd_per_h"),
    ),
    "drift.opened": EventKind(
        "the live data of a monitor has moved",
        (*_ALERT, "monitor", "dataset", "live", "rows", "columns", "worst", "effect"),
    ),
    "monitor.rebaselined": EventKind(
        "a monitor has another baseline", ("monitor", "baseline", "rows", "before", "user", "why", "title")
    ),
    "check.failed": EventKind("a check of data has found something", ("dataset", "path", "failed", "first")),
    "rollout.failed": EventKind(
        "a rollout did not reach its goal",
        ("environment", "release", "generation", "before", "reason", "user", "kind", "rollout", "policy"),
    ),
    "rollout.done": EventKind(
        "an environment serves another release",
        ("environment", "release", "generation", "before", "user", "kind", "rollout", "policy"),
    ),
    "check.passed": EventKind("a check of data that had failed finds nothing any more", ("dataset", "path")),
    "alert.pending": EventKind("something was bad, not often enough yet for an alert", _ALERT),
    "alert.opened": EventKind("an alert fires", _ALERT),
    "alert.acked": EventKind("somebody is at an alert", _ALERT),
    "alert.snoozed": EventKind("somebody put an alert off", _ALERT),
    "alert.resolved": EventKind("what an alert told of is over", _ALERT),
    "alert.ok": EventKind("what was bad once is well again, and never was an alert", _ALERT),
    "alert.insufficient": EventKind("there is too little to judge by", _ALERT),
    "cron": EventKind("a policy's own clock has struck", ("slot", "policy")),
}
"""Every kind of event. Who emits a new one adds its line here."""
