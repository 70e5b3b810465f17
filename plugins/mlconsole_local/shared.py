"""Jobs whose records lie in a folder that both this machine and the engine's nodes see."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mlconsole.plugin_api import (
    ActionFailed,
    BackendUnreachable,
    Carriage,
    CodeCopy,
    Handle,
    JobSpec,
    LogChunk,
    Observation,
    Outcome,
    State,
    UsageError,
)
from mlconsole_local import agent, batch, copies, package, shim, submission
from mlconsole_local.afar import Mirror, Record, asker, folder_name, intend, intent_of, job_of, moved, recorder_in

GRACE_S = 30.0
POLL_S = 0.1
#: How long beyond the grace the supervisor gets to record the end before the engine is told to end the job.
SETTLE_S = 2.0
END_S = 8.0
#: A submit that is this old and unknown to its engine is made void; then it is certain that it never was.
FINAL_AFTER_S = 50.0


class Shared:
    """The folders of one backend's jobs.

    Args:
        backend: the backend's name.
        folder: the folder that both sides see; empty: they see the catalog's own, and the run folders are used.
    """

    def __init__(self, backend: str, folder: str) -> None:
        self._backend, self._folder = backend, folder
        self._mirror = Mirror(backend)

    def prepare(self, spec: JobSpec, token: str, *, again: bool = False) -> tuple[Path, Path]:
        """Lay a job out for the nodes; returns the supervisor's file and the job's folder.

        Args:
            spec: the job.
            token: its token.
            again: its engine may run it again after an end.

        Raises:
            ActionFailed: the folder holds another job, or cannot be written.
            UsageError: no machine can run it, or it was to run teardown commands.
        """
        if spec.teardown:
            raise UsageError(f'Backend "{self._backend}" runs no teardown commands.')
        base = self._base(spec.directory, token)
        intend(spec, token, {"base": str(base), "again": "yes" if again else ""})
        home = self._folder or spec.env.get("MLCONSOLE_HOME") or spec.directory
        env = dict(spec.env)
        try:
            if self._folder:
                if "MLCONSOLE_HOME" in env:
                    env["MLCONSOLE_HOME"] = str(Path(home, "home"))
                bundle = recorder_in(env.get("PYTHONPATH", ""))
                if bundle:
                    env["PYTHONPATH"] = env["PYTHONPATH"].replace(bundle, self._carried(bundle, "lib"), 1)
                if spec.code is not None:
                    spec = moved(spec, self._laid(spec.code))
            base.mkdir(parents=True, exist_ok=True)
            program = package.put(Path(home, "lib"))
            if not (base / "job.json").exists() and batch.newest(str(base)) == str(base):
                batch.write(str(base), {**job_of(spec, token, spec.cwd, env, GRACE_S), "again": again})
        except OSError as error:
            raise ActionFailed(f'The folder "{base}" cannot be written: {error.strerror}.') from error
        return program, base

    def _base(self, directory: str, token: str) -> Path:
        return Path(self._folder, "jobs", folder_name(token)) if self._folder else Path(directory, "job")

    def carriage(self, spec: JobSpec, names: Sequence[str]) -> Carriage | None:
        """What of a copy of the code is not in the folder that the nodes see; None where they see the catalog."""
        if not self._folder or spec.code is None:
            return None
        entries = copies.entries_of(spec.code.path, names)
        lacking = copies.lacks(self._code(), spec.code.digest, entries)
        return Carriage(self._folder, *copies.size_of(entries, lacking))

    def _laid(self, code: CodeCopy) -> str:
        """The copy of the code that the nodes see, made of earlier ones as far as they have its files."""
        target = Path(self._code(), code.digest)
        if target.is_dir():
            return str(target)
        entries = copies.entries_of(code.path)
        lacking = copies.lacks(self._code(), code.digest, entries)
        for _ in range(2):  # Once more with what was taken for there, and was not what its digest says.
            with tempfile.TemporaryFile() as body:
                copies.archive(code.path, entries, lacking, body)
                body.seek(0)
                try:
                    return copies.lay(self._code(), code.digest, entries, body)
                except copies.Lacking as error:
                    lacking = sorted({*lacking, *error.args[0]})
        raise ActionFailed(f'The copy of the code at "{code.path}" is not whole any more.')

    def _code(self) -> str:
        return str(Path(self._folder, "code"))

    def _carried(self, source: str, below: str) -> str:
        """A folder that is named by its content, copied to where the nodes see it unless it is there."""
        target = Path(self._folder, below, Path(source).name)
        if not target.is_dir():
            draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            shutil.copytree(source, draft, symlinks=True)
            try:
                draft.rename(target)
            except OSError:
                shutil.rmtree(draft, ignore_errors=True)
        return str(target)

    def handle(self, directory: str, token: str, job: str = "") -> Handle:
        """The job of a run folder as its backend names it."""
        known = intent_of(directory) or {}
        kept = {name: str(known.get(name, "")) for name in ("run_id", "home", "base", "again")}
        return Handle(self._backend, token, {"directory": directory, **kept, "job": job})

    def facts(self, handle: Handle, here: Record) -> tuple[Record | None, Record | None]:
        """What the last try of a job has recorded: its start, and what is known of its end."""
        base = str(handle.data["base"])
        folder = batch.newest(base)
        try:
            if folder == base:
                record = shim.read(base, batch.BEGIN)
                return None, record if record and record.get("void") else None
            start = shim.read(folder, "start.json")
            ended = shim.read(folder, "exit.json") is not None
            return start, agent.look(folder, handle.token, here) if ended else None
        except (OSError, ValueError):
            return None, None

    def first_copy(self, handle: Handle, here: Record) -> Record | None:
        """What is seen of a try that its engine has started twice, when it has: the second gave way to the first."""
        folder = batch.newest(str(handle.data["base"]))
        if shim.read(folder, "taken.json") is None:
            return None
        return agent.look(folder, handle.token, here)

    def bring(self, handles: Sequence[Handle]) -> None:
        """Bring what is new of run logs that are not written into the catalog's own folder."""
        if not self._folder:
            return
        mine = [each for each in handles if each.data.get("home")]
        pieces = agent.Pieces()
        for number, each in enumerate(mine):
            pieces.of_run(number, str(Path(self._folder, "home")), {**each.data, **self._mirror.wanted(each)})
        self._mirror.take(mine, pieces.heads, b"".join(pieces.data))

    def look(self, handle: Handle, here: Record) -> Record:
        """What the processes of a job's last try say, where they are on this machine; not ``reachable`` elsewhere."""
        return agent.look(batch.newest(str(handle.data["base"])), handle.token, here)

    def cancel(
        self,
        handle: Handle,
        grace_s: float,
        look: Callable[[], Observation],
        end: Callable[[], None],
        nudge: Callable[[], None] = lambda: None,
    ) -> Observation:
        """Ask a job to end through its supervisor, which names survivors; have its engine end it where that is late.

        Args:
            handle: the job.
            grace_s: how long it may take, in seconds.
            look: the job as it is now.
            end: have the engine end it, or take it out of its queue.
            nudge: have the supervisor look for the request at once.
        """
        by = asker()
        deadline = time.monotonic() + grace_s + SETTLE_S
        is_asked = is_ended = False
        while True:
            seen = look()
            if not seen.reachable:
                raise BackendUnreachable(f"The job cannot be seen: {seen.reason}.")
            if seen.state is State.ENDED:
                return seen
            if not is_asked and self._ask_to_end(handle, grace_s, by):
                nudge()
                is_asked = True
            is_waiting = not is_asked and seen.state is State.QUEUED
            if not is_ended and (is_waiting or time.monotonic() > deadline):
                end()
                is_ended = True
                if is_waiting:  # An engine may be slow to let go of it: from here on it could not begin all the same.
                    batch.make_void(str(handle.data["base"]), Outcome.CANCELLED.value, f"stopped by {by}")
            if time.monotonic() > deadline + END_S:
                return seen
            time.sleep(POLL_S)

    def release(self, handle: Handle, seen: Observation) -> tuple[str, ...]:
        """Forget what a job that has ended was run from; returns what is left of it, named.

        Raises:
            ActionFailed: it has not ended.
            BackendUnreachable: it cannot be told.
        """
        if not seen.reachable:
            raise BackendUnreachable(f"The job cannot be seen: {seen.reason}.")
        if seen.state is not State.ENDED:
            raise ActionFailed("The job has not ended, so nothing of it can be given back.", "Stop it first.")
        Path(str(handle.data["base"]), "job.json").unlink(missing_ok=True)
        return seen.survivors

    def _ask_to_end(self, handle: Handle, grace_s: float, by: str) -> bool:
        """Put the request beside the records of the last try; False when there is no try that could see it."""
        folder = batch.newest(str(handle.data["base"]))
        if folder == handle.data["base"] or shim.read(folder, "start.json") is None:
            return False
        shim.publish(folder, "stop.json", {"at": time.time(), "by": by, "grace_s": grace_s})
        return True

    def output(self, handle: Handle) -> str:
        """The file that holds what every try of a job printed."""
        return str(Path(str(handle.data["base"]), batch.OUTPUT))

    def logs(self, handle: Handle, stream: str, offset: int, limit: int, *, ended: bool) -> LogChunk:
        """Bytes of a job's output from an offset.

        Raises:
            UsageError: there is no such stream.
        """
        if stream != "output":
            raise UsageError(f'The {self._backend} backend has no stream "{stream}".', 'Its one stream is "output".')
        data = agent.read(self.output(handle), offset, limit)
        return LogChunk(data, offset + len(data), ended and len(data) < limit)

    def has_begun(self, directory: str, token: str) -> bool:
        """Whether the job was taken up by its engine."""
        record = shim.read(str(self._base(directory, token)), batch.BEGIN)
        return record is not None and not record.get("void")

    def make_void(self, directory: str, token: str) -> bool:
        """Make sure that a job which its engine does not know never runs, once that submit is old; False before."""
        known = intent_of(directory) or {"at": 0.0}
        if time.time() - known["at"] < FINAL_AFTER_S:
            return False
        reason = "its launcher ended before it was accepted"
        return batch.make_void(str(self._base(directory, token)), Outcome.NEVER_STARTED.value, reason)


def check(spec: JobSpec) -> None:
    """Refuse what no machine can run; see :func:`submission.check`."""
    from dataclasses import replace

    submission.check(replace(spec, options={}))
