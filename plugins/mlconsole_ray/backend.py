"""Jobs of a Ray cluster, as the console's backend contract asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from mlconsole.plugin_api import (
    Ability,
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
from mlconsole_local import shim
from mlconsole_local.afar import Record, folder_name, intent_of, observation_of
from mlconsole_local.shared import check
from mlconsole_local.sharing import SharedBackend, Since
from mlconsole_ray.dashboard import Dashboard, JobRow
from mlconsole_ray.settings import RaySettings, entrypoint, told

ABILITIES = (
    Ability.OPTIONS,
    Ability.HOSTS,
    Ability.QUEUES,
    Ability.TIME_LIMIT,
    Ability.WARNING,
    Ability.OUTLIVES,
)
NO_ADDRESS = "no address: name the dashboard's in the settings file under [backends.ray]"
LIVE = ("PENDING", "RUNNING")
#: How long records may come later than Ray's last word: what is left of a killed job is ended first.
LATE_S = 10.0
#: The same for a job that was seen to begin by nobody.
UNSEEN_S = 3.0


class RayBackend(SharedBackend[JobRow]):
    """Runs jobs of a cluster whose nodes see the catalog, or a folder that the settings name.

    The entry point is our supervisor, so that a job's end is in a record of our own: Ray calls a job whose own
    supervisor died failed, and after a restart of its head it knows no job at all.

    Args:
        settings: None reads the settings file.
    """

    name = "ray"

    def __init__(self, settings: RaySettings | None = None) -> None:
        self._settings = settings or RaySettings.load()
        super().__init__(self._settings.folder)
        self._ray = Dashboard(self._settings.address)
        self._over = Since()

    def probe(self) -> Probe:
        """Look whether the dashboard answers."""
        if not self._settings.address:
            return Probe(False, "", (), NO_ADDRESS, is_set_up=False)
        try:
            return Probe(True, self._ray.version(), ABILITIES, f"at {self._settings.address}")
        except MlconsoleError as error:
            return Probe(False, "", ABILITIES, str(error))

    def submit(self, spec: JobSpec, token: str) -> Handle:
        """Hand a job to Ray once; the token is its submission id.

        Raises:
            ActionFailed: Ray refused it, in its own words.
            BackendUnreachable: no certain reply came; whether Ray has it is found out later.
            UsageError: no machine can run it, or an option is unknown.
        """
        check(spec)
        wanted, name = told(spec), folder_name(token)
        program, base = self._shared.prepare(spec, token)
        self._ray.submit(name, entrypoint(self._settings, program, base), spec.directory, wanted)
        return self._shared.handle(spec.directory, token, name)

    def _rows(self, handles: Sequence[Handle], here: Record) -> dict[str, JobRow]:
        rows = {row.id: row for row in self._ray.jobs()}
        return {each.token: rows[str(each.data["job"])] for each in handles if each.data["job"] in rows}

    def _seen(self, handle: Handle, row: JobRow | None, here: Record) -> Observation:
        start, end = self._shared.facts(handle, here)
        if end is not None:
            return observation_of(handle.token, end)
        if row is None:
            return self._forgotten(handle, start, here)
        if row.status in LIVE:
            self._over.is_over(handle.token)
            return _live(handle.token, row, start)
        return self._finished(handle, row, start)

    def _forgotten(self, handle: Handle, start: Record | None, here: Record) -> Observation:
        """A job that Ray does not know, as after a restart of its head, and that has left no exit record."""
        if start is not None:
            seen = self._shared.look(handle, here)
            if seen.get("reachable", True):
                return observation_of(handle.token, seen)
            words = f"Ray knows it no more, and it may still run on {start['host']}"
            return Observation(handle.token, State.RUNNING, reason=words, reachable=False, host=start["host"])
        if self._shared.make_void(str(handle.data["directory"]), handle.token):
            words = "Ray forgot it before it had begun; now it never will"
            return Observation(handle.token, State.ENDED, Outcome.NEVER_STARTED, reason=words, evidence="not in Ray")
        return Observation(handle.token, State.QUEUED, reason="Ray does not know it", reachable=False)

    def _finished(self, handle: Handle, row: JobRow, start: Record | None) -> Observation:
        """A job that Ray says is over, while no exit record of it is to be seen."""
        evidence = f"Ray: {row.status}"
        if self._over.seconds(handle.token) < (LATE_S if start else UNSEEN_S):
            words = f"{evidence}; its own record has not come yet"
            return Observation(handle.token, State.STOPPING, reason=words, evidence=evidence)
        words = f"{evidence}: {row.message}" if row.message else evidence
        outcome = Outcome.CANCELLED if row.status == "STOPPED" else Outcome.UNKNOWN
        if start is None and row.status == "FAILED":
            outcome = Outcome.NEVER_STARTED
        if outcome is Outcome.UNKNOWN:
            words += f'; there is no record of its end in "{handle.data["base"]}"'
        host = start["host"] if start else ""
        return Observation(handle.token, State.ENDED, outcome, reason=words, evidence=evidence, host=host)

    def find(self, token: str, directory: str) -> Handle | None:
        """The job with this token as its submission id."""
        known = intent_of(directory)
        if known is None or known["token"] != token:
            return None
        if self._ray.job(folder_name(token)) is not None or self._shared.has_begun(directory, token):
            return self._shared.handle(directory, token, folder_name(token))
        self._shared.make_void(directory, token)
        return None

    def _end(self, job: str) -> None:
        self._ray.stop(job)

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """Bytes of what the job printed, from an offset; what Ray says of one that never began."""
        end = self._shared.facts(handle, shim.place())[1]
        seen = None if end is not None else self.observe([handle])[0]
        chunk = self._shared.logs(handle, stream, offset, limit, ended=seen is None or seen.state is State.ENDED)
        if seen is None or seen.outcome is not Outcome.NEVER_STARTED or chunk.data:
            return chunk
        data = self._ray.log(str(handle.data["job"]))[offset : offset + limit]
        return LogChunk(data, offset + len(data), len(data) < limit)

    def reconcile(self) -> list[Handle]:
        """Every job of ours that Ray runs or will run."""
        found = []
        for row in self._ray.jobs():
            known = intent_of(row.folder) if row.folder and row.status in LIVE else None
            if known and folder_name(known["token"]) == row.id:
                found.append(self._shared.handle(row.folder, known["token"], row.id))
        return found

    def hosts(self) -> list[HostStatus]:
        """Every node of the cluster."""
        return self._ray.nodes(self.name) if self._settings.address else []


def _live(token: str, row: JobRow, start: Record | None) -> Observation:
    if row.status == "PENDING" and start is None:
        words = f"waits in Ray: {row.message}" if row.message else ""
        return Observation(token, State.QUEUED, reason=words, evidence="Ray: PENDING")
    seen: Record = {"state": "running" if start else "starting", "evidence": f"Ray: {row.status}"}
    return observation_of(token, {**seen, "host": start["host"], "started_at": start["started_at"]} if start else seen)
