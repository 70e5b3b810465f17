"""Jobs of a Slurm cluster, as the console's backend contract asks for them."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlconsole.plugin_api import (
    Ability,
    Carriage,
    Handle,
    HostStatus,
    JobSpec,
    LogChunk,
    MlconsoleError,
    Observation,
    Outcome,
    Probe,
    State,
)
from mlconsole_local import batch, shim
from mlconsole_local.afar import Record, intent_of, observation_of
from mlconsole_local.shared import Shared, check
from mlconsole_slurm.commands import Commands
from mlconsole_slurm.rest import Rest
from mlconsole_slurm.settings import SlurmSettings, script, told
from mlconsole_slurm.words import ENDED, LIVE, SLURM_KNOWS, JobRow, why

ABILITIES = (
    Ability.OPTIONS,
    Ability.HOSTS,
    Ability.QUEUES,
    Ability.PREEMPTION,
    Ability.TIME_LIMIT,
    Ability.WARNING,
    Ability.OUTLIVES,
)
#: What the commands say where nobody has told them of a cluster.
NO_CLUSTER = ("resolve_ctls_from_dns_srv", "configuration source", "Unable to process configuration file")
#: A list may come late: a job that was missing for so long is gone.
MISSING_S = 30.0


class SlurmBackend:
    """Runs jobs of a cluster whose nodes see the catalog, or a folder that the settings name.

    Each job is a batch script over our supervisor, so that its exit record is our own: without accounting Slurm
    forgets an exit code after MinJobAge.

    Args:
        settings: None reads the settings file.
    """

    name = "slurm"

    def __init__(self, settings: SlurmSettings | None = None) -> None:
        self._settings = settings or SlurmSettings.load()
        rest = self._settings.rest
        self._slurm: Commands | Rest = Rest(rest, self._settings.rest_version) if rest else Commands()
        self._missing: dict[str, float] = {}
        self._shared = Shared(self.name, self._settings.folder)

    def probe(self) -> Probe:
        """Look whether the controller answers."""
        if not self._settings.rest and shutil.which("sbatch") is None:
            return Probe(False, "", (), "there is no sbatch here", is_set_up=False)
        try:
            return Probe(True, self._slurm.version(), ABILITIES, f"through its {self._slurm.name}")
        except MlconsoleError as error:
            if any(mark in error.message for mark in NO_CLUSTER):
                return Probe(
                    False, "", (), "Slurm's commands are here, but not the settings of a cluster", is_set_up=False
                )
            return Probe(False, "", ABILITIES, str(error))

    def submit(self, spec: JobSpec, token: str) -> Handle:
        """Hand a job to Slurm once; the token is its comment.

        Raises:
            ActionFailed: Slurm refused it, in its own words.
            BackendUnreachable: no reply came; whether Slurm has it is found out later.
            UsageError: no machine can run it, or an option is unknown.
        """
        check(spec)
        base = Path(spec.directory, "job")
        options = told(self._settings, spec, token, base)  # What is refused is refused before anything is laid out.
        with one_at_a_time(spec.directory):
            known = intent_of(spec.directory)
            if known and known["token"] == token and (found := self.find(token, spec.directory)):
                return found
            program, base = self._shared.prepare(spec, token, again="requeue" in options)
            options = told(self._settings, spec, token, base)
            job = self._slurm.submit(script(self._settings, program, base), options)
            shim.publish(str(base), "slurm.json", {"job": job})
        return self._shared.handle(spec.directory, token, job)

    def carriage(self, spec: JobSpec, names: Sequence[str]) -> Carriage | None:
        """What of a copy of the code is not where the nodes see it."""
        return self._shared.carriage(spec, names)

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """Look at many jobs: one question to the controller, and the records of each."""
        if not handles:
            return []
        here = shim.place()
        try:
            rows = {row.token: row for row in self._slurm.jobs()}  # A number is given again, by a new controller say.
        except MlconsoleError as error:
            return [self._without_slurm(each, here, error.message) for each in handles]
        self._shared.bring(handles)
        for handle in handles:
            if handle.token in rows:
                self._missing.pop(handle.token, None)
        return [self._seen(each, rows.get(each.token), here) for each in handles]

    def _without_slurm(self, handle: Handle, here: Record, trouble: str) -> Observation:
        """A job while the controller is silent: what has ended by its own record has ended."""
        _, end = self._shared.facts(handle, here)
        if end is not None and end["outcome"] != Outcome.CANCELLED.value and not handle.data.get("again"):
            return observation_of(handle.token, end)
        return Observation(handle.token, State.RUNNING, reason=trouble, reachable=False)

    def _seen(self, handle: Handle, row: JobRow | None, here: Record) -> Observation:
        start, end = self._shared.facts(handle, here)
        token = handle.token
        if end is not None and start is None:
            return observation_of(token, end)  # It was made void: whatever Slurm does of it runs nothing.
        if row is not None and row.state in LIVE and LIVE[row.state] is State.QUEUED:
            if start is None or handle.data.get("again"):
                words = "; ".join(each for each in ("it was requeued" if start else "", why(row)) if each)
                return Observation(token, State.QUEUED, reason=words, evidence=f"squeue: {row.state}")
            if end is None:
                words = f"Slurm says {row.state}, but it has started: the controller forgot it, and may end it"
                return Observation(token, State.RUNNING, reason=words, reachable=False, host=start["host"])
        known = ENDED.get(row.state) if row else None
        if end is not None and row is not None and known is None and handle.data.get("again"):
            words = f"a try of it has ended, {end['reason']}; Slurm may run it again"
            return Observation(token, State.STOPPING, reason=words, evidence=f"squeue: {row.state}")
        if end is not None:
            seen = observation_of(token, end)
            return _overruled(seen, row, known) if row and known in SLURM_KNOWS else seen
        if known is not None and (first := self._shared.first_copy(handle, here)):
            return observation_of(token, first)
        if row is not None and known is not None:
            return _ended(token, row, known, start)
        if row is not None and row.state in LIVE:
            return _live(token, row, start, self._older(handle))
        if row is not None:
            return Observation(token, State.RUNNING, reason=f'Slurm says "{row.state}"', reachable=False)
        words = "Slurm knows the job no more, and it left no exit record"
        host = start["host"] if start else ""
        if time.monotonic() - self._missing.setdefault(token, time.monotonic()) < MISSING_S:
            return Observation(token, State.RUNNING, reason=words, reachable=False, host=host)
        return Observation(
            token, State.ENDED, Outcome.UNKNOWN, reason=words, evidence="squeue does not list it", host=host
        )

    def _older(self, handle: Handle) -> str:
        """A try before the last that has no end: where its node was lost it may still run."""
        base = Path(str(handle.data["base"]))
        last = batch.newest(str(base))
        for folder in base.glob(f"{batch.TRY}*"):
            start = shim.read(str(folder), "start.json") if str(folder) != last else None
            if start and shim.read(str(folder), "exit.json") is None:
                return f"an older copy may still run on {start['host']}"
        return ""

    def find(self, token: str, directory: str) -> Handle | None:
        """The job with this token as its comment, or that was written down beside the run."""
        known = intent_of(directory)
        if known is None or known["token"] != token:
            return None
        written = shim.read(known["base"], "slurm.json") if known.get("base") else None
        if written:
            return self._shared.handle(directory, token, str(written["job"]))
        row = next((each for each in self._slurm.jobs() if each.token == token), None)
        if row is not None:
            return self._shared.handle(directory, token, row.id)
        self._shared.make_void(directory, token)
        return None

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        """Ask through the supervisor, which names survivors; take a waiting job out of the queue; at last, end it."""
        job = str(handle.data["job"])
        return self._shared.cancel(
            handle,
            grace_s,
            look=lambda: self.observe([handle])[0],
            end=lambda: self._slurm.end(job),
            nudge=lambda: self._slurm.signal(job, "TERM"),
        )

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """Bytes of what every try of the job printed, from an offset."""
        end = self._shared.facts(handle, shim.place())[1]
        ended = end is not None or self.observe([handle])[0].state is State.ENDED
        return self._shared.logs(handle, stream, offset, limit, ended=ended)

    def log_path(self, handle: Handle, stream: str) -> str | None:
        """The file that both streams go to."""
        return self._shared.output(handle) if stream == "output" else None

    def release(self, handle: Handle) -> tuple[str, ...]:
        """Nothing is held once a job has ended; an older copy on a lost node is named.

        Raises:
            ActionFailed: it has not ended.
        """
        survivors = self._shared.release(handle, self.observe([handle])[0])
        older = self._older(handle)
        return (*survivors, older) if older else survivors

    def reconcile(self) -> list[Handle]:
        """Every job of ours in the queue."""
        found = []
        for row in self._slurm.jobs():
            directory = str(Path(row.folder).parent)
            known = intent_of(directory) or {}
            if row.state in LIVE and known.get("token") == row.token:
                found.append(self._shared.handle(directory, row.token, row.id))
        return found

    def hosts(self) -> list[HostStatus]:
        """Every node of the cluster."""
        return self._slurm.nodes(self.name)


@contextmanager
def one_at_a_time(directory: str) -> Iterator[None]:
    """Of two consoles that submit the same run, one after the other: Slurm takes a job twice."""
    folder = os.path.join(directory, "job")  # The run's own folder is its launcher's to lock.
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _live(token: str, row: JobRow, start: Record | None, older: str) -> Observation:
    state = LIVE[row.state]
    if start is None and state is State.RUNNING:
        state = State.STARTING
    words = [] if row.state == "RUNNING" else [why(row) or f"Slurm: {row.state}"]
    seen: Record = {"state": state.value, "reason": "; ".join([*words, *([older] if older else [])])}
    seen |= {"evidence": f"squeue: {row.state}", "host": row.nodes}
    return observation_of(token, {**seen, "started_at": start["started_at"]} if start else seen)


def _ended(token: str, row: JobRow, known: Outcome, start: Record | None) -> Observation:
    """A job of whose end Slurm alone knows."""
    if start is None and known in (Outcome.FAILED, Outcome.SUCCEEDED):
        known = Outcome.NEVER_STARTED
    words = f"Slurm: {row.state}" + (f", {row.reason}" if row.reason not in ("", "None") else "")
    seen: Record = {"state": "ended", "outcome": known.value, "reason": words, "evidence": f"squeue: {row.state}"}
    seen |= {"host": start["host"], "started_at": start["started_at"]} if start else {"host": row.nodes}
    return observation_of(token, seen)


def _overruled(seen: Observation, row: JobRow, known: Outcome) -> Observation:
    """An end whose cause Slurm knows better: the supervisor saw no more than its signal."""
    from dataclasses import replace

    if seen.outcome not in (Outcome.CANCELLED, Outcome.UNKNOWN, Outcome.FAILED):
        return seen
    return replace(seen, outcome=known, reason=f"Slurm: {row.state}; {seen.reason}")
