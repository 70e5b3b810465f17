"""Results as JSON documents: the shapes that scripts rely on.

A list is ``{"kind": ..., "items": [...]}``, one thing is ``{"kind": ..., ...}``. NaN and the infinities are
the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``. Foreign text is kept as it was, escaped to ASCII.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from importlib import import_module
from typing import Any

from mlconsole.domain.audit import AuditRow
from mlconsole.domain.compare import Comparison
from mlconsole.domain.experiments import Experiment
from mlconsole.domain.findings import Finding
from mlconsole.domain.histories import MetricHistory
from mlconsole.domain.jobs import BackendStatus
from mlconsole.domain.plans import Plan
from mlconsole.domain.results import Done, Listing
from mlconsole.domain.run_details import Artifact, RunDetails, StateChange
from mlconsole.domain.runs import MetricSummary, Run
from mlconsole.domain.times import iso
from mlconsole.errors import MlconsoleError, QueryError
from mlconsole.records import fields, is_record

Document = dict[str, Any]
KINDS = ("money", "gpu", "dataset", "model", "lineage", "watch", "drift", "release", "reproduce", "queue")
ELSEWHERE = tuple(f"mlconsole.render.{noun}" for noun in KINDS)
"""Where the documents of everything else are, loaded one after the other until one knows the thing: 1 to 2 ms each."""


def dumps(document: object, *, indent: int | None = 2) -> str:
    """The document as JSON text, ASCII only."""
    return json.dumps(plain(document), indent=indent, allow_nan=False)


def plain(value: object) -> Any:
    """The value made of what JSON knows; non-finite numbers become their names."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if is_record(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return str(value)


def document(result: object, now: datetime) -> Document:
    """The JSON document of an action's result.

    Raises:
        TypeError: no front end knows this kind of result.
    """
    if isinstance(result, Listing):
        doc: Document = {"kind": result.kind, "items": [item(thing, now) for thing in result.items]}
        return doc | ({"more": True} if result.more else {})
    if isinstance(result, list):
        return {"kind": "run", "items": [item(thing, now) for thing in result]}
    if isinstance(result, Done):
        return {"kind": result.kind, "message": result.message, **plain(result.fields)}
    if isinstance(result, Plan):
        return plan_document(result)
    if isinstance(result, Comparison):
        return comparison_document(result, now)
    if isinstance(result, Run):
        return {"kind": "run", **run_document(result, now)}
    if isinstance(result, RunDetails):
        return {"kind": "run", **details_document(result, now)}
    if isinstance(result, MetricHistory):
        return metric_document(result)
    for module in ELSEWHERE:
        found: Document | None = import_module(f"{module}_documents").document(result)
        if found is not None:
            return found
    raise TypeError(f"no document for {type(result).__name__}")


def item(thing: object, now: datetime) -> Document:
    """One element of a list."""
    if isinstance(thing, Run):
        return run_document(thing, now)
    if isinstance(thing, Experiment):
        return {**_plain_fields(thing), "last_run_at": iso(thing.last_run_at)}
    if isinstance(thing, (AuditRow, BackendStatus, Finding)):
        return _plain_fields(thing)
    if isinstance(thing, Mapping):
        return {str(k): plain(v) for k, v in thing.items()}
    for module in ELSEWHERE:
        found: Document | None = import_module(f"{module}_documents").item(thing)
        if found is not None:
            return found
    return _plain_fields(thing)


def _plain_fields(thing: object) -> Document:
    document = plain(thing)
    assert isinstance(document, dict)
    return document


def run_document(run: Run, now: datetime) -> Document:
    """A run, with the field names that scripts rely on."""
    return {
        "id": run.id,
        "name": run.name,
        "experiment": run.experiment,
        "state": run.state.value,
        "outcome": run.outcome.value if run.outcome else None,
        "exit_code": run.exit_code,
        "reason": run.reason,
        "error": run.error,
        "reach": run.reach.value,
        "reach_since": iso(run.reach_since),
        "cleanup": run.cleanup,
        "backend": run.backend,
        "host": run.host,
        "user": run.user,
        "command": list(run.command),
        "cwd": run.cwd,
        "parent_id": run.parent_id,
        "params": plain(run.params),
        "metrics": {key: metric_summary(summary) for key, summary in run.metrics.items()},
        "tags": dict(run.tags),
        "created_at": iso(run.created_at),
        "started_at": iso(run.started_at),
        "ended_at": iso(run.ended_at),
        "duration_s": run.duration_s(now),
        "gpus": run.gpus,
        "gpu_hours": run.gpu_s / 3600,
        "cost_usd": None if run.cost_microusd is None else run.cost_microusd / 1_000_000,
        "dataset_ids": list(run.dataset_ids),
        "commit": run.commit,
    }


def metric_summary(summary: MetricSummary) -> Document:
    """``{"last", "min", "max", "step", "count"}``."""
    return _plain_fields(summary)


def details_document(details: RunDetails, now: datetime) -> Document:
    """A run with what its page shows."""
    return {
        **run_document(details.run, now),
        "traceback": details.traceback,
        "environment": plain(details.environment),
        "code": plain(details.code),
        "artifacts": [_artifact(artifact) for artifact in details.artifacts],
        "timeline": [_change(change) for change in details.timeline],
        "damage": list(details.damage),
        "teardown": [_plain_fields(command) for command in details.teardown],
    }


def _artifact(artifact: Artifact) -> Document:
    return _plain_fields(artifact)


def _change(change: StateChange) -> Document:
    return _plain_fields(change)


def metric_document(history: MetricHistory) -> Document:
    """``{"kind": "metric", "run", "key", "steps", "times", "values"}``."""
    values = list(history.values)
    return {
        "kind": "metric",
        "run": history.run_id,
        "key": history.key,
        "steps": list(history.steps),
        "times": list(history.times),
        "values": values if math.isfinite(sum(values)) else plain(values),
    }


def plan_document(plan: Plan) -> Document:
    """``{"kind": "plan", "action", "effect", "steps", "cost_usd", "irreversible", "command"}``."""
    return {
        "kind": "plan",
        "action": plan.action,
        "effect": plan.effect.value,
        "steps": [{"text": step.text, "touches": step.touches, "warns": step.warns} for step in plan.steps],
        "cost_usd": None if plan.cost_microusd is None else plan.cost_microusd / 1_000_000,
        "irreversible": list(plan.irreversible),
        "command": plan.command,
    }


def comparison_document(comparison: Comparison, now: datetime) -> Document:
    """Runs, the params that differ, and every row."""
    return {
        "kind": "comparison",
        "runs": [run_document(run, now) for run in comparison.runs],
        "differing": list(comparison.differing),
        "rows": [_plain_fields(row) for row in comparison.rows],
    }


def error_document(error: MlconsoleError) -> Document:
    """``{"error": {"code", "message", "hint"}}``; a filter's error also says where its token stands."""
    body: Document = {
        "code": error.slug,
        "exit_code": error.exit_code,
        "message": error.message,
        "hint": error.hint,
    }
    if isinstance(error, QueryError) and error.text:
        body |= {"text": error.text, "start": error.start, "end": error.end}
    return {"error": body}
