"""What one look at a job's records and processes shows."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from mlconsole.plugin_api import Handle, Observation, Outcome, State, UsageError, replace
from mlconsole_local import finals, shim
from mlconsole_local.records import JobFolder, Record, identity_of, named, start_of
from mlconsole_local.submission import give_up


class Sight:
    """One look from one place: this boot of this machine, this pid namespace.

    Args:
        proc: where the process table is mounted.
        boot_id: the machine's boot id; None reads it.
    """

    def __init__(self, proc: str, boot_id: str | None) -> None:
        self.proc = proc
        self.here: Record = shim.place(proc)
        if boot_id is not None:
            self.here["boot_id"] = boot_id

    def of(self, handle: Handle) -> Observation:
        """The state of one job, with its evidence. A damaged record is a failed look, not an error."""
        try:
            return self._look(JobFolder.of(handle), handle)
        except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
            return _unseen(handle.token, f"its records cannot be read: {error!r}")

    def elsewhere(self, record: Record) -> str:
        """Why the recorded pids cannot be looked up here; empty when they can, or a restart ended them."""
        if record["boot_id"] == self.here["boot_id"]:
            if record["pid_ns"] != self.here["pid_ns"]:
                return f"recorded in another process namespace, on host {record['host']}"
            hidden = os.getuid() not in (0, record.get("uid", os.getuid())) and not Path(self.proc, "1").exists()
            return "this machine hides the processes of other users" if hidden else ""
        is_here = (record["host"], record["machine"]) == (self.here["host"], self.here["machine"])
        return "" if is_here else f"recorded on host {record['host']}"

    def is_alive(self, identity: Record, record: Record) -> bool:
        """Whether a recorded process lives, when it was recorded in this very place."""
        if record["boot_id"] != self.here["boot_id"] or self.elsewhere(record):
            return False
        return shim.is_alive(identity["pid"], identity["start"], self.proc)

    def family(self, record: Record) -> list[shim.Process]:
        """What is alive of a job that was started here; never its supervisor or the caller.

        With its supervisor alive that is all below it. Without, it is what was recorded, what bears the job's mark
        and belongs to its user, and all below those.
        """
        token, supervisor = record["token"], record["shim"]
        found: dict[int, shim.Process] = {}
        if self.is_alive(supervisor, record):
            roots = {supervisor["pid"]}
        else:
            known = {(each["pid"], each["start"]) for each in (record["child"], *record.get("leftovers", ()))}
            for each in shim.processes(self.proc):
                if (each.pid, each.start) in known or self._is_marked(each, token, record["uid"]):
                    found[each.pid] = each
            roots = set(found)
        below, _ = shim.descendants(roots, token, self.proc)
        found.update((each.pid, each) for each in below)
        found.pop(os.getpid(), None)
        return list(found.values())

    def _is_marked(self, each: shim.Process, token: str, uid: int) -> bool:
        return shim.mark_of(each.pid, self.proc) == token and self._owner(each.pid) == uid

    def _owner(self, pid: int) -> int | None:
        try:
            return Path(self.proc, str(pid)).stat().st_uid
        except OSError:
            return None

    def _look(self, folder: JobFolder, handle: Handle) -> Observation:
        seen = self._seen(folder, handle.token, identity_of(handle))
        start = start_of(handle, folder) if seen.reachable else None
        count = start.get("finalisers", 0) if start else 0
        if not start or not count or seen.outcome is Outcome.NEVER_STARTED:
            return seen
        return replace(seen, finalisers=finals.of(self, folder, start, seen.state is State.ENDED, count))

    def _seen(self, folder: JobFolder, token: str, known: Record | None) -> Observation:
        record = folder.read("exit") or folder.read("start") or folder.read("claim")
        if record is None and known is not None:
            return self._without_records(folder, token, known)
        if record is None:
            return _unseen(token, f'there are no records of it in "{folder.path}"')
        if record["token"] != token:
            return _unseen(token, f'"{folder.path}" holds another job')
        if "outcome" in record:
            return self._ended(folder, record)
        why = self.elsewhere(record)
        if why:
            return _unseen(token, why)
        return self._started(folder, record) if "child" in record else self._claimed(folder, record)

    def _claimed(self, folder: JobFolder, claim: Record) -> Observation:
        token, launcher = claim["token"], claim["launcher"]
        evidence = f"claimed by process {launcher['pid']}, not taken over yet"
        if self.is_alive(launcher, claim):
            return Observation(token, State.STARTING, evidence=evidence, host=claim["host"])
        # Taking the start record's place is what makes "never started" true from here on.
        try:
            give_up(folder, token, self.here, "its launcher was gone before a supervisor took it over")
        except OSError:
            return Observation(token, State.STARTING, reason="its launcher is gone", evidence=evidence)
        return self._seen(folder, token, None)

    def _without_records(self, folder: JobFolder, token: str, known: Record) -> Observation:
        """A job whose folder somebody has deleted: its processes tell whether it runs, nothing tells how it ended."""
        why = self.elsewhere(known)
        if why:
            return _unseen(token, why)
        seen = self._started(folder, known)
        return replace(seen, reason="; ".join(part for part in (seen.reason, "its folder is gone") if part))

    def _started(self, folder: JobFolder, start: Record) -> Observation:
        if start["boot_id"] != self.here["boot_id"]:
            evidence = f"boot id was {start['boot_id']}, is {self.here['boot_id']}; no exit record"
            return _finished(start, Outcome.NODE_LOST, "the machine restarted while it ran", evidence)
        program, supervisor = self.is_alive(start["child"], start), self.is_alive(start["shim"], start)
        if program or supervisor:
            return self._running(folder, start, program, supervisor)
        record = folder.read("exit")  # It may have come between the first look and the process table.
        if record:
            return self._ended(folder, record)
        evidence = f"pid {start['child']['pid']} is gone, same boot"
        left = named(shim.listed(self.family(start)))
        return _finished(start, Outcome.UNKNOWN, "process gone without an exit record", evidence, left)

    def _running(self, folder: JobFolder, start: Record, program: bool, supervisor: bool) -> Observation:
        reason = "" if supervisor else "its supervisor is gone; the process is alive"
        pid = start["child"]["pid"]
        return Observation(
            start["token"],
            State.STOPPING if folder.read("stop") else State.RUNNING,
            reason=reason if program else "its program has ended; how, its supervisor is about to write down",
            evidence=f"pid {pid} is alive" if program else f"pid {pid} has ended",
            host=start["host"],
            started_at=_time(start["started_at"]),
            survivors=named((folder.read("cleanup") or {}).get("leftovers", [])),
        )

    def _ended(self, folder: JobFolder, record: Record) -> Observation:
        evidence = "start record given up" if record.get("void") else "exit record"
        outcome = Outcome(record["outcome"])
        return _finished(record, outcome, record["reason"], evidence, named(self._left(folder, record)))

    def _left(self, folder: JobFolder, record: Record) -> list[Record]:
        """What an ended job has left behind that is still alive, as far as it can be seen from here."""
        if record.get("clean", True):
            return []
        cleanup = folder.read("cleanup")
        recorded: list[Record] = (record if cleanup is None else cleanup).get("leftovers", [])
        if self.elsewhere(record) or (cleanup is not None and not recorded):
            return recorded
        return shim.listed(self.family(record)) if record["boot_id"] == self.here["boot_id"] else []


def _finished(
    record: Record, outcome: Outcome, reason: str, evidence: str, survivors: tuple[str, ...] = ()
) -> Observation:
    return Observation(
        record["token"],
        State.ENDED,
        outcome,
        exit_code=record.get("exit_code"),
        reason=reason,
        evidence=evidence,
        host=record["host"],
        started_at=_time(record.get("started_at")),
        ended_at=_time(record.get("ended_at")),
        survivors=survivors,
        pid=record.get("child", {}).get("pid"),
    )


def _unseen(token: str, reason: str) -> Observation:
    return Observation(token, State.RUNNING, reason=reason, reachable=False)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
