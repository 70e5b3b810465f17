"""Starting a job exactly once: claim the folder, hand the job to a supervisor, hear that it took over."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

from mlconsole.plugin_api import ActionFailed, BackendUnreachable, JobSpec, UsageError, record
from mlconsole_local import finaliser, shim
from mlconsole_local.records import JobFolder, Record

REPLY_DEADLINE_S = 30.0


@record
class Submission:
    """One job on its way to a supervisor."""

    folder: JobFolder
    spec: JobSpec
    token: str
    here: Record
    grace_s: float

    def carry_out(self) -> None:
        """Start the job if nobody has; return once its supervisor has said that it runs.

        Raises:
            ActionFailed: nothing was started and nothing will be.
            UsageError: the spec cannot be run by any machine.
        """
        check(self.spec)
        self._claim()
        if self._is_started():
            return
        reply: Record = {}
        try:
            reply = hand_over(self.folder, self._job(), self.token)
        finally:
            if "child" not in reply:
                self._make_sure()
        if not self._is_started():
            raise ActionFailed(f'The job "{self.spec.name}" was not started.', self._trouble(reply))

    def _make_sure(self) -> None:
        """Without word from a supervisor: either it has started the job, or nobody ever will."""
        reason = "no supervisor took it over"
        try:
            give_up(self.folder, self.token, self.here, reason)
        except OSError as error:
            trouble = f'Whether "{self.spec.name}" was started is not known yet: {error.strerror}.'
            raise BackendUnreachable(trouble) from error

    def _claim(self) -> None:
        claim = {**self.here, "token": self.token, "run_id": self.spec.run_id, "at": time.time()}
        claim["launcher"] = shim.identity(os.getpid())
        try:
            Path(self.folder.path).mkdir(parents=True, exist_ok=True)
            self.folder.publish("claim", claim, exclusive=True)
        except FileExistsError:
            held = self.folder.read("claim") or {}
            if held.get("token") != self.token:
                raise ActionFailed(f'"{self.folder.path}" already holds another job.') from None
        except OSError as error:
            raise ActionFailed(f'Cannot write the job folder "{self.folder.path}": {error.strerror}.') from error

    def _is_started(self) -> bool:
        start = self.folder.read("start")
        if start and start.get("void"):
            raise ActionFailed(f'The job "{self.spec.name}" was not started: {start["reason"]}.', self._log())
        return start is not None

    def _job(self) -> Record:
        return {
            "token": self.token,
            "run_id": self.spec.run_id,
            "argv": list(self.spec.argv),
            "cwd": str(Path(self.spec.cwd).absolute()),
            "env": dict(self.spec.env),
            "time_limit_s": self.spec.time_limit_s,
            "grace_s": self.grace_s,
            "teardown": [list(argv) for argv in self.spec.teardown],
            "finaliser": finaliser.__file__,
            "base": None if self.spec.base is None else dict(self.spec.base),
            "warning": [warning.signal, warning.lead_s] if (warning := self.spec.warning) else None,
            "wake": list(self.spec.wake),
            "wake_if": self.spec.wake_if,
        }

    def _trouble(self, reply: Record) -> str:
        return str(reply.get("error", "")) or self._log()

    def _log(self) -> str:
        try:
            log = Path(self.folder.path, "shim.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return log.strip().rpartition("\n")[2]


def check(spec: JobSpec) -> None:
    """Refuse what no machine can run.

    Raises:
        UsageError: no command, or a text that cannot be an argument or a variable.
    """
    if not spec.argv or not spec.argv[0]:
        raise UsageError("There is no command to run.")
    if any(not argv or not argv[0] for argv in spec.teardown):
        raise UsageError("A teardown command is empty.")
    if spec.options:
        raise UsageError(f'The local backend has no option "{next(iter(spec.options))}".', "It has none.")
    if spec.warning and (spec.time_limit_s is None or not 0 < spec.warning.lead_s < spec.time_limit_s):
        raise UsageError("A warning must come before a time limit.", "Give a time limit that is longer than its lead.")
    if spec.warning and spec.warning.signal not in signal.valid_signals():
        raise UsageError(f'"{spec.warning.signal}" is no signal.')
    env = {**(spec.base or {}), **spec.env}
    texts = [*spec.argv, spec.cwd, *env, *env.values(), *(word for argv in spec.teardown for word in argv)]
    if any("\0" in text or not _is_bytes(text) for text in texts):
        raise UsageError("An argument, folder or variable holds a character that no program can receive.")
    wrong = next((name for name in env if not name or "=" in name), None)
    if wrong is not None:
        raise UsageError(f'"{wrong}" cannot be the name of an environment variable.')


def _is_bytes(text: str) -> bool:
    try:
        shim.encode(text)
    except UnicodeEncodeError:
        return False
    return True


def hand_over(folder: JobFolder, job: Record, token: str) -> Record:
    """Start a supervisor on a job and wait for its one line; empty when none came in time."""
    reader, writer = os.pipe()
    source = os.memfd_create("job")
    try:
        with os.fdopen(os.dup(source), "wb") as file:
            file.write(json.dumps(job).encode("ascii"))
        os.lseek(source, 0, os.SEEK_SET)
        pid = _spawn(folder, source, writer, token)
        os.close(writer)
        writer = -1
        reply = _first_line(reader, time.monotonic() + REPLY_DEADLINE_S)
        _reap(pid)
    finally:
        for descriptor in (reader, writer, source):
            if descriptor >= 0:
                os.close(descriptor)
    return reply


def _spawn(folder: JobFolder, source: int, writer: int, token: str) -> int:
    # The mark tells a job launched from inside another job apart from that job's own processes.
    environment = {**os.environ, shim.MARK: token}
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", program(shim.__file__, getattr(shim.__spec__, "cached", None)), folder.path],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, source, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE],
    )


def program(source: str, compiled: str | None) -> str:
    """What to start: the compiled file if it is that of this very source (4 ms a start less), else the source."""
    import struct  # Only a launch needs these two.
    from importlib.util import MAGIC_NUMBER

    try:
        header = Path(compiled or "").read_bytes()[:16]
        there = Path(source).stat()
    except OSError:
        return source
    # A cache by time of change: magic number, flags, seconds, size (PEP 552).
    expected = struct.pack("<4sLLL", MAGIC_NUMBER, 0, int(there.st_mtime) & 0xFFFFFFFF, there.st_size & 0xFFFFFFFF)
    return compiled if compiled and header == expected else source


def _first_line(reader: int, deadline: float) -> Record:
    received = b""
    poll = select.poll()  # Unlike select, it knows descriptors above 1023.
    poll.register(reader, select.POLLIN)
    while not received.endswith(b"\n"):
        ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        more = os.read(reader, 1 << 16) if ready else b""
        if not more:
            return {}
        received += more
    reply = json.loads(received)
    return reply if isinstance(reply, dict) else {}


def _reap(pid: int) -> None:
    """Collect the process that was spawned; the supervisor proper is its child and outlives it."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # The caller ignores SIGCHLD: the kernel has collected it.


def give_up(folder: JobFolder, token: str, here: Record, reason: str, outcome: str = "never_started") -> bool:
    """Make sure that a job which has not started never will; False when it has started."""
    record = {**here, "token": token, "void": True, "outcome": outcome, "reason": reason, "at": time.time()}
    try:
        folder.publish("start", record, exclusive=True)
    except FileExistsError:
        return False
    return True
