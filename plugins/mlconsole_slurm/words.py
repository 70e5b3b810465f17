"""What Slurm says of a job, and what that means (squeue(1), JOB STATE CODES; Slurm 20.11 to 25.05)."""

from __future__ import annotations

from typing import NamedTuple

from mlconsole.plugin_api import Outcome, State


class JobRow(NamedTuple):
    """One job as the controller has it, or its accounting.

    Attributes:
        id: its number, which may be given again.
        state: one of Slurm's words.
        reason: why it waits or has ended, in another of its words.
        nodes: where it runs.
        folder: its working directory: ours is the job's folder.
        token: its comment; accounting may not have kept it.
        exit_code: as accounting has it.
        submitted: when, in seconds since 1970, as accounting has it.
        source: who says so.
    """

    id: str
    state: str
    reason: str
    nodes: str
    folder: str
    token: str
    exit_code: int | None = None
    submitted: float = 0.0
    source: str = "squeue"


LIVE = {
    "PENDING": State.QUEUED,
    "REQUEUED": State.QUEUED,
    "REQUEUE_FED": State.QUEUED,
    "REQUEUE_HOLD": State.QUEUED,
    "RESV_DEL_HOLD": State.QUEUED,
    "SPECIAL_EXIT": State.QUEUED,
    "CONFIGURING": State.STARTING,
    "RUNNING": State.RUNNING,
    "RESIZING": State.RUNNING,
    "SIGNALING": State.RUNNING,
    "STAGE_OUT": State.RUNNING,
    "STOPPED": State.RUNNING,
    "SUSPENDED": State.RUNNING,
    "COMPLETING": State.STOPPING,
}
ENDED = {
    "COMPLETED": Outcome.SUCCEEDED,
    "FAILED": Outcome.FAILED,
    "CANCELLED": Outcome.CANCELLED,
    "TIMEOUT": Outcome.TIMED_OUT,
    "DEADLINE": Outcome.TIMED_OUT,
    "OUT_OF_MEMORY": Outcome.OOM,
    "PREEMPTED": Outcome.PREEMPTED,
    "NODE_FAIL": Outcome.NODE_LOST,
    "BOOT_FAIL": Outcome.NODE_LOST,
    "LAUNCH_FAILED": Outcome.NEVER_STARTED,
    "RECONFIG_FAIL": Outcome.NEVER_STARTED,
    "REVOKED": Outcome.UNKNOWN,
}
#: What Slurm did to a job and its own record cannot know: it saw a signal.
SLURM_KNOWS = {Outcome.CANCELLED, Outcome.TIMED_OUT, Outcome.OOM, Outcome.PREEMPTED, Outcome.NODE_LOST}


def word_of(text: str) -> str:
    """The state's name alone: ``CANCELLED by 0`` and ``CANCELLED+`` are ``CANCELLED``."""
    return text.partition(" ")[0].rstrip("+")


def why(row: JobRow) -> str:
    """Slurm's reason in words; empty where it gives none."""
    if row.reason in ("", "None"):
        return ""
    return f"Slurm: {row.state}, {row.reason}" if row.state != "PENDING" else f"waits in Slurm: {row.reason}"
