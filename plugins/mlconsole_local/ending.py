"""Making a job end: through its supervisor, or without it when that is gone."""

from __future__ import annotations

import os
import pwd
import signal
import time

from mlconsole.plugin_api import ActionFailed, BackendUnreachable, Handle, Observation, Outcome, State, replace
from mlconsole_local import shim
from mlconsole_local.records import JobFolder, Record, named, start_of
from mlconsole_local.sight import Sight
from mlconsole_local.submission import give_up

POLL_S = 0.01
#: How long a supervisor may take beyond the grace and the kill window before its work is done for it.
SETTLE_S = 1.0
#: A family is gone when it was not seen this often in a row: a process may fork away from under one look.
EMPTY_LOOKS = 2


class Ending:
    """The end of one job, as one caller asks for it."""

    def __init__(self, handle: Handle, sight: Sight) -> None:
        self.handle, self.sight = handle, sight
        self.folder = JobFolder.of(handle)
        self.by = f"{_user()}@{sight.here['host']} (pid {os.getpid()})"

    def cancel(self, grace_s: float) -> Observation:
        """Ask, then make it end; what is left is named."""
        if self._look().state is State.STARTING:
            self._prevent()
        seen = self._look()
        start = start_of(self.handle, self.folder)
        if seen.state is State.ENDED or start is None:
            return seen
        left = self._press(start, grace_s)
        if left is None:
            return self._look()
        lost = self._record_lost_exit(start, left)
        seen = replace(self._look(), survivors=left)
        if lost and seen.state is State.ENDED and seen.outcome is not Outcome.CANCELLED:
            return replace(seen, outcome=Outcome.CANCELLED, reason=f"{lost}; {seen.reason}")
        return seen

    def _prevent(self) -> None:
        try:
            give_up(self.folder, self.handle.token, self.sight.here, f"stopped by {self.by}", "cancelled")
        except OSError as error:
            raise ActionFailed(f"The job cannot be stopped before its start: {error.strerror}.") from error

    def release(self, grace_s: float) -> tuple[str, ...]:
        """End what an ended job has left behind; what could not be ended is named."""
        if self._look().state is not State.ENDED:
            raise ActionFailed("The job has not ended, so nothing of it can be given back.", "Stop it first.")
        start = start_of(self.handle, self.folder)
        if start is None or start.get("void") or start["boot_id"] != self.sight.here["boot_id"]:
            return ()
        if self._is_settled():
            return ()
        if self.sight.elsewhere(start):
            raise BackendUnreachable(f"What the job left cannot be seen from here: {self.sight.elsewhere(start)}.")
        left = self._press(start, grace_s)
        return self._look().survivors if left is None else left

    def _look(self) -> Observation:
        seen = self.sight.of(self.handle)
        if not seen.reachable:
            raise BackendUnreachable(f"The job cannot be seen from here: {seen.reason}.")
        return seen

    def _press(self, start: Record, grace_s: float) -> tuple[str, ...] | None:
        """Survivors when it was done from here; None when the supervisor has done and recorded it."""
        before, supervisor = self.folder.read("cleanup"), start["shim"]
        kill_at = time.monotonic() + grace_s
        self._ask(start, grace_s)
        deadline = kill_at + shim.KILL_WINDOW_S + SETTLE_S
        while self.sight.is_alive(supervisor, start) and time.monotonic() < deadline:
            if self._is_settled() or self.folder.read("cleanup") != before:
                return None
            time.sleep(POLL_S)
        return None if self._is_settled() else self._end_family(start, kill_at)

    def _ask(self, start: Record, grace_s: float) -> None:
        supervisor, trouble = start["shim"], None
        try:
            self.folder.publish("stop", {"at": time.time(), "by": self.by, "grace_s": grace_s})
        except OSError as error:
            trouble = error
        try:
            for signo in (signal.SIGTERM, signal.SIGCONT):
                if self.sight.is_alive(supervisor, start):
                    shim.send(supervisor["pid"], supervisor["start"], signo, self.sight.proc)
        except PermissionError:
            if trouble:
                raise ActionFailed(
                    f"The job is another user's and may not be stopped: {trouble.strerror}."
                ) from trouble

    def _is_settled(self) -> bool:
        """Whether the supervisor has recorded that nothing is left."""
        record, cleanup = self.folder.read("exit"), self.folder.read("cleanup")
        if cleanup is not None and record is not None:
            return not cleanup.get("leftovers")
        return record is not None and bool(record.get("clean"))

    def _end_family(self, start: Record, kill_at: float) -> tuple[str, ...]:
        record = self.folder.read("exit") or start
        family = self.sight.family(record)
        for signo in (signal.SIGTERM, signal.SIGCONT):
            for each in family:
                shim.strike(each, signo, self.sight.proc)
        give_up_at, empty = max(kill_at, time.monotonic()) + shim.KILL_WINDOW_S, 0
        while empty < EMPTY_LOOKS and time.monotonic() < give_up_at:
            time.sleep(POLL_S)
            family = self.sight.family(record)
            empty = 0 if family else empty + 1
            if time.monotonic() >= kill_at:
                for each in family:
                    shim.strike(each, signal.SIGKILL, self.sight.proc)
        self._record_cleanup(family)
        return named(shim.listed(family))

    def _record_cleanup(self, family: list[shim.Process]) -> None:
        try:
            self.folder.publish("cleanup", {"at": time.time(), "leftovers": shim.listed(family)})
        except OSError:
            pass  # The answer to the caller stands without it.

    def _record_lost_exit(self, start: Record, left: tuple[str, ...]) -> str:
        """Record that the program was stopped; why, where that has no place on disk: it is full, or the folder gone."""
        if self.sight.is_alive(start["child"], start):
            return ""
        reason = f"stopped by {self.by}; its exit status was lost with its supervisor"
        record = {**start, "outcome": "cancelled", "reason": reason, "ended_at": time.time(), "clean": not left}
        try:
            self.folder.publish("exit", record, exclusive=True)
        except FileExistsError:
            return ""  # The supervisor was faster after all.
        except OSError:
            return reason
        return ""


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
