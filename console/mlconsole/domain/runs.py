"""Runs: their states, outcomes, summaries and names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from mlconsole.records import field, record

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 12

Scalar = str | int | float | bool | None
ParamValue = Scalar | list["ParamValue"] | dict[str, "ParamValue"]


class State(StrEnum):
    """Where a run is in its life. Only evidence moves a run to ``ENDED``."""

    DRAFT = "draft"
    SUBMITTING = "submitting"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"

    @property
    def is_live(self) -> bool:
        """True while the run may still change by itself."""
        return self not in (State.DRAFT, State.ENDED)


class Outcome(StrEnum):
    """How a run ended; None until it has."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    TIMED_OUT = "timed_out"
    OOM = "oom"
    NODE_LOST = "node_lost"
    NEVER_STARTED = "never_started"
    UNKNOWN = "unknown"


class Reach(StrEnum):
    """Whether the last look at the run's backend was answered. Never a statement about the run itself."""

    OK = "ok"
    UNREACHABLE = "unreachable"


@record
class MetricSummary:
    """One metric of one run in five numbers.

    ``last`` is the value logged last and may be NaN or infinite. ``min`` and ``max`` are over the finite values,
    None if there are none. ``step`` is the step of ``last``; ``count`` counts every point.
    """

    last: float
    min: float | None
    max: float | None
    step: int
    count: int


@record
class Run:
    """One execution of a program that the catalog knows.

    Times are aware UTC. ``number`` is the catalog's own ordering key (creation order), not shown to people.
    ``reason`` is what was seen of its end; ``error`` the exception that ended it, in one line.
    """

    number: int
    id: str
    name: str
    experiment: str
    state: State
    outcome: Outcome | None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seen_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    error: str = ""
    reach: Reach = Reach.OK
    reach_since: datetime | None = None
    cleanup: str = ""
    backend: str | None = None
    host: str = ""
    user: str = ""
    command: tuple[str, ...] = ()
    cwd: str = ""
    parent_id: str | None = None
    commit: str | None = None
    gpus: int = 0
    gpu_s: float = 0.0
    cost_microusd: int | None = None
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset_ids: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """Why it is as it is: the reason, and the exception behind it."""
        return ": ".join(part for part in (self.reason, self.error) if part)

    def duration_s(self, now: datetime) -> float | None:
        """Seconds from start to end, or to ``now`` while it runs; None before it starts; never negative."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds())
