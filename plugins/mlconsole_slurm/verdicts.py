"""What one row of Slurm's says of a job, in the contract's words."""

from __future__ import annotations

from dataclasses import replace

from mlconsole.plugin_api import Observation, Outcome, State
from mlconsole_local.afar import Record, observation_of
from mlconsole_slurm.words import LIVE, JobRow, why


def of_live(token: str, row: JobRow, start: Record | None, older: str) -> Observation:
    """A job that runs, as far as Slurm knows."""
    state = LIVE[row.state]
    if start is None and state is State.RUNNING:
        state = State.STARTING
    words = [] if row.state == "RUNNING" else [why(row) or f"Slurm: {row.state}"]
    seen: Record = {"state": state.value, "reason": "; ".join([*words, *([older] if older else [])])}
    seen |= {"evidence": f"squeue: {row.state}", "host": row.nodes}
    return observation_of(token, {**seen, "started_at": start["started_at"]} if start else seen)


def of_waiting(token: str, row: JobRow, start: Record | None) -> Observation:
    """A job that waits in Slurm, for the first time or again."""
    words = "; ".join(each for each in ("it was requeued" if start else "", why(row)) if each)
    return Observation(token, State.QUEUED, reason=words, evidence=f"squeue: {row.state}")


def of_ended(token: str, row: JobRow, known: Outcome, start: Record | None) -> Observation:
    """A job of whose end Slurm alone knows."""
    if start is None and known in (Outcome.FAILED, Outcome.SUCCEEDED) and row.source == "squeue":
        known = Outcome.NEVER_STARTED
    words = f"Slurm: {row.state}" + (f", {row.reason}" if row.reason not in ("", "None") else "")
    seen: Record = {"state": "ended", "outcome": known.value, "reason": words, "evidence": f"{row.source}: {row.state}"}
    seen["exit_code"] = row.exit_code if known in (Outcome.SUCCEEDED, Outcome.FAILED) else None
    seen |= {"host": start["host"], "started_at": start["started_at"]} if start else {"host": row.nodes}
    return observation_of(token, seen)


def overruled(seen: Observation, row: JobRow, known: Outcome) -> Observation:
    """An end whose cause Slurm knows better: the supervisor saw no more than its signal."""
    if seen.outcome not in (Outcome.CANCELLED, Outcome.UNKNOWN, Outcome.FAILED):
        return seen
    return replace(seen, outcome=known, reason=f"Slurm: {row.state}; {seen.reason}")
