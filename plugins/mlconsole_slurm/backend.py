"""Jobs of a Slurm cluster, as the console's backend contract asks for them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlconsole.plugin_api import (
    Ability,
    Handle,
    HostStatus,
    JobSpec,
    MlconsoleError,
    Observation,
    Outcome,
    Probe,
    State,
)
from mlconsole_local import batch, shim
from mlconsole_local.afar import Record, intent_of, observation_of
from mlconsole_local.shared import check
from mlconsole_local.sharing import SharedBackend, Since, away
from mlconsole_slurm import verdicts
from mlconsole_slurm.commands import Commands
from mlconsole_slurm.rest import Rest
from mlconsole_slurm.settings import SlurmSettings, script, told
from mlconsole_slurm.words import ENDED, LIVE, SLURM_KNOWS, JobRow

ABILITIES = (
    Ability.OPTIONS,
    Ability.HOSTS,
    Ability.QUEUES,
    Ability.PREEMPTION,
    Ability.TIME_LIMIT,
    Ability.WARNING,
    Ability.OUTLIVES,
)
#: Stands for a state where accounting does not answer.
AWAY = "?"
#: What the commands say where nobody has told them of a cluster.
NO_CLUSTER = ("resolve_ctls_from_dns_srv", "configuration source", "Unable to process configuration file")
#: A list may come late: a job that was missing for so long is gone.
MISSING_S = 30.0
#: How long records may come later than Slurm's last word: what is left of a killed job is ended first.
LATE_S = 5.0
#: Accounting may miss the folder of a job: it was submitted when we said so, within this.
SUBMITTED_WITHIN_S = 120.0


class SlurmBackend(SharedBackend[JobRow]):
    """Runs jobs of a cluster whose nodes see the catalog, or a folder that the settings name.

    Each job is a batch script over our supervisor, so that its exit record is our own: without accounting Slurm
    forgets an exit code after MinJobAge.

    Args:
        settings: None reads the settings file.
    """

    name = "slurm"

    def __init__(self, settings: SlurmSettings | None = None) -> None:
        self._settings = settings or SlurmSettings.load()
        super().__init__(self._settings.folder)
        rest = self._settings.rest
        self._slurm: Commands | Rest = Rest(rest, self._settings.rest_version) if rest else Commands()
        self._missing, self._late = Since(), Since()

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

    def _rows(self, handles: Sequence[Handle], here: Record) -> dict[str, JobRow]:
        rows = {row.token: row for row in self._slurm.jobs()}  # A number is given again, by a new controller say.
        for handle in handles:
            if handle.token in rows:
                self._missing.is_over(handle.token)
        lost = [each for each in handles if each.token not in rows and self._shared.facts(each, here)[1] is None]
        return rows | self._past(lost)

    def _past(self, handles: Sequence[Handle]) -> dict[str, JobRow]:
        """What accounting has of jobs that the controller forgot: an end, or why it does not tell."""
        numbers = [str(each.data["job"]) for each in handles if each.data["job"]]
        try:
            past = self._slurm.past(numbers) if numbers else []
        except MlconsoleError as error:
            return {each.token: JobRow("", AWAY, error.message, "", "", "", source="sacct") for each in handles}
        found = {}
        for handle in handles:
            mine = [row for row in past if _is_of(handle, row)]  # Of each try.
            if mine and mine[-1].state in ENDED:
                found[handle.token] = mine[-1]
        return found

    def _is_certain(self, handle: Handle, end: Record) -> bool:
        return end["outcome"] != Outcome.CANCELLED.value and not handle.data.get("again")

    def _seen(self, handle: Handle, row: JobRow | None, here: Record) -> Observation:
        start, end = self._shared.facts(handle, here)
        token, again = handle.token, handle.data.get("again")
        if end is not None and start is None:
            return observation_of(token, end)  # It was made void: whatever Slurm does of it runs nothing.
        if row is not None and LIVE.get(row.state) is State.QUEUED:
            if start is None or again:
                return verdicts.of_waiting(token, row, start)
            if end is None:
                words = f"Slurm says {row.state}, but it has started: the controller forgot it, and may end it"
                return Observation(token, State.RUNNING, reason=words, reachable=False, host=start["host"])
        known = ENDED.get(row.state) if row else None
        if end is not None and row is not None and known is None and again:
            words = f"a try of it has ended, {end['reason']}; Slurm may run it again"
            return Observation(token, State.STOPPING, reason=words, evidence=f"squeue: {row.state}")
        if end is not None:
            seen = observation_of(token, end)
            return verdicts.overruled(seen, row, known) if row and known in SLURM_KNOWS else seen
        if row is None:
            return self._gone(token, start)
        if known is not None:
            return self._ended(handle, row, known, start, here)
        if row.state in LIVE:
            return verdicts.of_live(token, row, start, self._older(handle))
        return away(token, row.reason if row.state == AWAY else f'Slurm says "{row.state}"')

    def _ended(self, handle: Handle, row: JobRow, known: Outcome, start: Record | None, here: Record) -> Observation:
        """A job that Slurm says is over, while no exit record of it is to be seen."""
        if first := self._shared.first_copy(handle, here):
            return observation_of(handle.token, first)
        if start is not None and row.source == "squeue" and self._late.seconds(handle.token) < LATE_S:
            words = f"Slurm: {row.state}; its own record has not come yet"
            return Observation(handle.token, State.STOPPING, reason=words, evidence=f"squeue: {row.state}")
        return verdicts.of_ended(handle.token, row, known, start)

    def _gone(self, token: str, start: Record | None) -> Observation:
        """A job that neither Slurm nor a record of its own tells of."""
        words = "Slurm knows the job no more, and it left no exit record"
        host = start["host"] if start else ""
        if self._missing.seconds(token) < MISSING_S:
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

    def _end(self, job: str) -> None:
        self._slurm.end(job)

    def _nudge(self, job: str) -> None:
        self._slurm.signal(job, "TERM")

    def release(self, handle: Handle) -> tuple[str, ...]:
        """Nothing is held once a job has ended; an older copy on a lost node is named.

        Raises:
            ActionFailed: it has not ended.
        """
        survivors = super().release(handle)
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


def _is_of(handle: Handle, row: JobRow) -> bool:
    """Whether accounting means this job: a number is given again, and of one that was over at once it has no folder."""
    if row.folder:
        return row.folder == handle.data["base"]
    known = intent_of(str(handle.data["directory"]))
    near = known is not None and abs(row.submitted - known["at"]) < SUBMITTED_WITHIN_S
    return near and row.id == handle.data["job"]
