"""The supervisor of one job: ``python -I -S shim.py JOB_FOLDER``; standard library only, Python 3.6+.

One file, because it is copied to other hosts as it is. It reads the job as one JSON object on stdin
(``token run_id argv cwd env time_limit_s grace_s``, and where there are some ``base teardown warning wake``), so that
neither arguments nor secrets touch a disk;
takes the job over by publishing ``start.json``, which only one process can do; lets the program run only
after that; says so in one JSON line on stdout; and stays until the program and all descendants are gone.

Records in the job folder, each whole from the moment it can be seen: ``claim.json`` (the launcher),
``start.json``, ``stop.json`` (a request: ``at by grace_s``), ``exit.json`` (the program's end) and
``cleanup.json`` (the end of what it left behind). The program itself writes ``output.log``, so killing this
process never breaks it; ``output.times`` holds notes of how long that was when, a line ``SECONDS BYTES`` each.

A job with ``teardown`` commands has a finaliser beside it (``finaliser.py``, whose path is the job's ``finaliser``):
a process of its own that runs them when the program has ended, whatever has become of this one. Each starts the
other's work anew where it can: this process starts another finaliser when that is killed, and records the end of a
command that was orphaned.

``base`` is the environment to start from instead of this process's own; ``warning`` is ``[signal, seconds]``, sent to
the program so long before its time limit; ``wake`` is a command to start when nothing is left to be done here,
if the file ``wake_if`` is there or none is named.
"""

import errno
import json
import os
import signal
import sys
import time
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

    Record = Dict[str, Any]

MARK = "MLCONSOLE_JOB"
FINAL_MARK = ".end"
GAVE_UP = 3
KILL_WINDOW_S = 5.0
KILL_PAUSE_S = 0.02
KILL_ROUNDS = 50
POLL_S = 1.0
NOTES = 20000  # of the log's length, about as many as a run has in its first day
LONGEST_PAUSE_S = 60.0
_FOREVER = float("inf")
_PR_SET_CHILD_SUBREAPER = 36


def publish(folder: str, name: str, record: "Record", exclusive: bool = False) -> None:
    """Write a record so that it is either absent or whole, also after a power cut.

    Raises:
        FileExistsError: ``exclusive`` was asked for and the record is there already.
    """
    final = os.path.join(folder, name)
    temporary = "%s.%d.%s.tmp" % (final, os.getpid(), os.urandom(4).hex())
    try:
        _write(temporary, record)
        if exclusive:
            _link(temporary, final, record)
        else:
            os.rename(temporary, final)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: str, record: "Record") -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(json.dumps(record).encode("ascii") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _link(temporary: str, final: str, record: "Record") -> None:
    try:
        os.link(temporary, final)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        _write(final, record)  # A file system without hard links: still one winner.


def read(folder: str, name: str) -> "Optional[Record]":
    """A record, or None when it is not there.

    Raises:
        ValueError: what is there is no record.
    """
    try:
        with open(os.path.join(folder, name), "rb") as file:
            record = json.loads(file.read().decode("utf-8"))
    except FileNotFoundError:
        return None
    if not record or not isinstance(record, dict):
        raise ValueError("%s is not a record" % name)
    return record


#: One line of the process table; ``start`` is in clock ticks since the machine's boot.
Process = namedtuple("Process", ["pid", "start", "parent", "command"])


def process(pid: int, proc: str = "/proc") -> "Optional[Process]":
    """The process that has this pid now; None if there is none. A zombie runs nothing: it counts as gone."""
    try:
        with open("%s/%d/stat" % (proc, pid), "rb") as file:
            line = file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The command may hold spaces and parentheses: the fields begin after the last one (proc(5)).
    head, _, tail = line.rpartition(b")")
    fields = tail.split()
    if fields[0] in (b"Z", b"X", b"x") and int(fields[17]) <= 1:  # With more threads only the first has ended.
        return None
    return Process(pid, int(fields[19]), int(fields[1]), head.partition(b"(")[2].decode("utf-8", "replace"))


def is_alive(pid: int, start: int, proc: str = "/proc") -> bool:
    """Whether this very process lives, not one that got its pid later."""
    found = process(pid, proc)
    return found is not None and bool(found.start == start)


def processes(proc: str = "/proc") -> "Iterator[Process]":
    """Every process that can be seen."""
    for name in os.listdir(proc):
        found = process(int(name), proc) if name.isdigit() else None
        if found is not None:
            yield found


def mark_of(pid: int, proc: str = "/proc") -> "Optional[str]":
    """The token in a process's environment at its start; None if it has none or may not be read."""
    name = MARK.encode() + b"="
    for entry in _bytes("%s/%d/environ" % (proc, pid)).split(b"\0"):
        if entry.startswith(name):
            return entry[len(name) :].decode("utf-8", "replace")
    return None


def descendants(roots: "Set[int]", token: str, proc: str = "/proc") -> "Tuple[List[Process], List[Process]]":
    """Everything below these pids: the job's own, and the heads of other jobs launched from inside it."""
    children = {}  # type: Dict[int, List[Process]]
    for found in processes(proc):
        children.setdefault(found.parent, []).append(found)
    ours, others, ahead = [], [], sorted(roots)
    while ahead:
        for child in children.pop(ahead.pop(), ()):
            if mark_of(child.pid, proc) in (token, None):
                ours.append(child)
                ahead.append(child.pid)
            else:
                others.append(child)
    return ours, others


def send(pid: int, start: int, signo: int, proc: str = "/proc") -> bool:
    """Signal this very process and no other; False when it is gone.

    The process is held by a descriptor before its start time is compared (pidfd_open(2)), so a pid that is
    given to another process in between is never hit. An interpreter or kernel without descriptors leaves
    microseconds in between.
    """
    handle = -1
    try:
        if hasattr(os, "pidfd_open"):
            handle = os.pidfd_open(pid)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            return False
    try:
        if not is_alive(pid, start, proc):
            return False
        if handle >= 0:
            signal.pidfd_send_signal(handle, signo)
        else:
            os.kill(pid, signo)
        return True
    except ProcessLookupError:
        return False
    finally:
        if handle >= 0:
            os.close(handle)


def strike(target: "Process", signo: int, proc: str = "/proc") -> None:
    """Signal a process; one that may not be signalled will be named as a survivor."""
    try:
        send(target.pid, target.start, signo, proc)
    except PermissionError:
        pass


def listed(found: "List[Process]") -> "List[Record]":
    """Processes as records name them, without their arguments: those may hold secrets."""
    return [{"pid": each.pid, "start": each.start, "command": each.command} for each in found]


def identity(pid: int, proc: str = "/proc") -> "Record":
    """A process by pid and start time; one alone says nothing."""
    found = process(pid, proc)
    return {"pid": pid, "start": found.start if found else 0}


def place(proc: str = "/proc") -> "Record":
    """What a pid means something on: this boot of this machine, seen from this pid namespace."""
    return {
        "host": os.uname().nodename,
        "machine": _text("/etc/machine-id").strip(),
        "boot_id": _text("%s/sys/kernel/random/boot_id" % proc).strip(),
        "pid_ns": os.readlink("%s/self/ns/pid" % proc),
    }


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _text(path: str) -> str:
    return _bytes(path).decode("utf-8", "replace")


def oom_kills() -> int:
    """How often the kernel killed for want of memory: in this control group (v2, v1), else on the machine."""
    paths = ["/proc/vmstat"]
    for entry in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = entry.split(":", 2)
        if not controllers:
            paths.append("/sys/fs/cgroup%s/memory.events" % path)
        elif "memory" in controllers.split(","):
            paths.append("/sys/fs/cgroup/memory%s/memory.oom_control" % path)
    for path in reversed(paths):
        for line in _text(path).splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def encode(text: str) -> bytes:
    """The bytes a text stood for, whatever the locale of this process."""
    return text.encode("utf-8", "surrogateescape")


def launch_environment() -> "Dict[bytes, bytes]":
    """The environment as it was given, without the locale that an interpreter may add to it (PEP 538)."""
    entries = (entry.partition(b"=") for entry in _bytes("/proc/self/environ").split(b"\0"))
    return {name: value for name, equals, value in entries if equals} or dict(os.environb)


def base_environment(job: "Record") -> "Dict[bytes, bytes]":
    """What a program's environment starts from: what its job names, else what was given to this process."""
    base = job.get("base")
    if base is None:
        return launch_environment()
    return {encode(name): encode(value) for name, value in base.items()}


def default_signals() -> None:
    """Undo every signal disposition that was inherited."""
    for signo in range(1, signal.NSIG):
        try:
            signal.signal(signo, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP and the C library's own.


def become(job: "Record", gate: int, errors: int, log: int) -> None:
    """Turn this process into the program once the gate opens; never returns."""
    step = "exec"
    try:
        os.setsid()
        environment = base_environment(job)
        environment.update((encode(name), encode(value)) for name, value in job["env"].items())
        environment[MARK.encode()] = encode(job["token"])
        argv = [encode(each) for each in job["argv"]]
        if not os.read(gate, 1):
            os._exit(127)
        for target, source in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
            os.dup2(source, target)
        step = "cwd"
        os.chdir(encode(job["cwd"]))
        step = "exec"
        default_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvpe(argv[0], argv, environment)
    except (OSError, ValueError) as error:
        os.write(errors, ("%s %d" % (step, getattr(error, "errno", errno.EINVAL))).encode())
    finally:
        os._exit(127)


def explain(job: "Record", step: str, code: int) -> str:
    """Why a program could not be started, and the way out where one is known."""
    if step == "cwd":
        return 'Cannot run in the folder "%s": %s.' % (job["cwd"], os.strerror(code))
    command = job["argv"][0]
    is_there = os.path.exists(os.path.join(encode(job["cwd"]), encode(command)))
    if code == errno.ENOENT and is_there and "/" in command:
        return 'The interpreter that the first line of "%s" names is missing.' % command
    if code == errno.ENOENT:
        return 'No such command "%s".%s' % (command, way_out(command, is_there))
    if code == errno.EACCES:
        hint = ' Write "python %s".' % command if command.endswith(".py") else ""
        return 'The file "%s" is not executable.%s' % (command, hint)
    if code == errno.ENOEXEC:
        return 'The file "%s" is no program: its first line names no interpreter.' % command
    return 'The command "%s" could not be started: %s.' % (command, os.strerror(code))


def way_out(command: str, is_there: bool) -> str:
    """What was likely meant by a command that there is none of."""
    if is_there:
        return ' There is such a file here: write "./%s" or "python %s".' % (command, command)
    if command.partition("=")[0].isidentifier() and "=" in command:
        return " Give a variable to the run itself: --env %s." % command
    if " " in command:
        return " It was given as one word: leave out the quotes around it."
    return ""


def final_name(number: int, attempt: int, what: str) -> str:
    """The record of one try of one teardown command: its ``start`` or its ``exit``."""
    return "end-%d-%d.%s.json" % (number, attempt, what)


def final_tries(folder: str) -> "List[Tuple[int, int]]":
    """(command, try) of every teardown command that was begun, in their order."""
    found = []
    for name in os.listdir(folder):
        parts = name[:-11].split("-") if name.startswith("end-") and name.endswith(".start.json") else []
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
            found.append((int(parts[1]), int(parts[2])))
    return sorted(found)


def final_record(status: int) -> "Record":
    """What is recorded of a teardown command's end."""
    signo = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    return {"exit_code": 128 + signo if signo else os.WEXITSTATUS(status), "signal": signo, "ended_at": time.time()}


def is_deleted(folder: str) -> bool:
    """Whether the folder that we are in has lost its name."""
    return os.stat(folder).st_nlink == 0


class Guard:
    """The finaliser of a job, as its supervisor keeps it alive; ended when its work is done or given up."""

    def __init__(self, job: "Record") -> None:
        self.job, self.pid, self.line, self.is_over = job, 0, -1, False
        self.again_at, self.pause = 0.0, KILL_PAUSE_S

    def start(self) -> None:
        """Start it, with the job on a line that it also hears our end on."""
        reader, self.line = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(reader)
        os.close(reader)
        try:
            os.write(self.line, json.dumps(self.job).encode("ascii") + b"\n")
        except OSError:
            pass  # It is gone already: another one is started when that is seen.

    def _become(self, reader: int) -> None:
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            for target, source in enumerate((reader, null, null)):
                os.dup2(source, target)
            environment = launch_environment()
            environment[MARK.encode()] = encode(self.job["token"] + FINAL_MARK)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            argv = [sys.executable, "-I", "-S", self.job["finaliser"], os.getcwd()]
            os.execve(sys.executable, argv, environment)
        finally:
            os._exit(127)

    def tell(self) -> None:
        """Say that the program has ended."""
        try:
            os.write(self.line, b"e")
        except OSError:
            pass

    def ended(self, status: int) -> None:
        """Take note of its end: done, given up, or lost."""
        os.close(self.line)
        self.pid, self.line = 0, -1
        self.is_over = os.WIFEXITED(status) and os.WEXITSTATUS(status) in (0, GAVE_UP)
        self.again_at, self.pause = time.monotonic() + self.pause, min(2 * self.pause, LONGEST_PAUSE_S)

    def keep(self) -> None:
        """Start another one where it was lost; not without a folder, in which nothing could be recorded."""
        if not self.is_over and not self.pid and time.monotonic() >= self.again_at:
            self.is_over = is_deleted(".")
            if not self.is_over:
                self.start()
                self.tell()


class Supervisor:
    """Watches one started program until nothing of it is left."""

    def __init__(self, job: "Record", start: "Record", guard: "Optional[Guard]" = None) -> None:
        self.job, self.start, self.guard = job, start, guard
        self.began, self.oom_before = time.monotonic(), oom_kills()
        self.limit_at = _FOREVER if job["time_limit_s"] is None else self.began + job["time_limit_s"]
        self.warn_at = self.limit_at - job["warning"][1] if job.get("warning") else _FOREVER
        self.kill_at = self.give_up_at = _FOREVER
        self.look_at = self.note_at = 0.0
        self.printed = 0
        self.exit = None  # type: Optional[Record]
        self.request = None  # type: Optional[Record]
        self.owed = []  # type: List[Tuple[str, Record]]
        self.why = ""
        self.childless = self.gave_up = self.swept = False

    def watch(self) -> None:
        """Reap, obey and press on until the program and all it started are gone and that is on disk."""
        told = False
        while not self._is_over():
            self._look_for_requests(told)
            self._press()
            self._settle()
            self._note_output()
            told = self._wait()
        self.note_at = 0.0
        self._note_output()
        while self.owed:
            time.sleep(POLL_S)
            self._settle()

    def _note_output(self) -> None:
        """Note how long the log is by now, where it grew: who reads it is told by that when a line came.

        Every second at first, less often the longer it runs: a year is some hundred thousand notes.
        """
        now = time.monotonic()
        if now < self.note_at:
            return
        self.note_at = now + max(0.9 * POLL_S, (now - self.began) / NOTES)
        try:
            size = os.lstat("output.log").st_size
            if size != self.printed:
                notes = os.open("output.times", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
                try:
                    os.write(notes, b"%.1f %d\n" % (time.time(), size))
                finally:
                    os.close(notes)
                self.printed = size
        except OSError:
            pass  # A full disk, a folder that is gone: the program matters, the notes do not.

    def _is_over(self) -> bool:
        self._reap()
        if self.guard:
            self.guard.keep()
            self.childless = self.childless and not self.guard.pid
        if not self.swept and self._is_swept():
            self.swept = True
            if self.exit and not (self.exit["clean"] and not self.gave_up):
                self._owe("cleanup.json", {"at": time.time(), "leftovers": []})
        return self.swept and (self.guard is None or self.guard.is_over)

    def _is_swept(self) -> bool:
        if self.exit is None or self.childless:
            return self.childless
        if time.monotonic() < self.look_at:
            return False
        self.look_at = time.monotonic() + POLL_S
        return self._has_others_only()

    def _has_others_only(self) -> bool:
        ours, others = descendants({os.getpid()}, self.job["token"])
        return bool(others) and not ours

    def _left(self) -> "List[Process]":
        return descendants({os.getpid()}, self.job["token"])[0]

    def _reap(self) -> None:
        ended = None
        while not self.childless:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.childless = True
                break
            if pid == 0:
                break
            if pid == self.start["child"]["pid"]:
                ended = status, usage
            elif self.guard and pid == self.guard.pid:
                self.guard.ended(status)
            elif self.guard:
                self._note_orphan(pid, status)
        if ended:
            self._record_exit(*ended)

    def _record_exit(self, status: int, usage: "Any") -> None:
        signo = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = 128 + signo if signo else os.WEXITSTATUS(status)
        outcome, reason = self._verdict(code, signo, os.WCOREDUMP(status))
        self.exit = dict(self.start, outcome=outcome, reason=reason, exit_code=code, signal=signo)
        # Only "no child" is certain: a process that forks away from under a look is in no list.
        self.exit["clean"] = self.childless or self._has_others_only()
        self.exit["leftovers"] = [] if self.exit["clean"] else listed(self._left())
        self.exit["ended_at"] = max(time.time(), self.start["started_at"])
        self.exit["duration_s"] = time.monotonic() - self.began
        self.exit["cpu_s"] = usage.ru_utime + usage.ru_stime
        self.exit["max_rss_kib"] = usage.ru_maxrss
        self._owe("exit.json", self.exit)

    def _note_orphan(self, pid: int, status: int) -> None:
        """Record the end of a teardown command whose finaliser was killed: it had become our child."""
        for number, attempt in final_tries("."):
            record = read(".", final_name(number, attempt, "start"))
            if record and record["child"]["pid"] == pid:
                self._owe(final_name(number, attempt, "exit"), final_record(status))

    def _verdict(self, code: int, signo: "Optional[int]", core: bool) -> "Tuple[str, str]":
        ending = "exit code %d" % code
        if signo:
            ending = "killed by %s%s" % (signal_name(signo), " (core dumped)" if core else "")
        if self.why == "limit":
            return "timed_out", "its time limit of %g s passed; %s" % (self.job["time_limit_s"], ending)
        if self.why:
            return "cancelled", "stopped by %s; %s" % ((self.request or {}).get("by", "a request"), ending)
        if code == 128 + signal.SIGKILL and oom_kills() > self.oom_before:
            return "oom", "the kernel ended it for want of memory; %s" % ending
        return ("failed", ending) if code else ("succeeded", ending)

    def _look_for_requests(self, told: bool) -> None:
        try:
            request = read(".", "stop.json")
        except ValueError:
            request = {}
        if request is not None and request != self.request:
            self.request = request
            grace_s = request.get("grace_s")
            self._end("stop", self.job["grace_s"] if grace_s is None else grace_s)
        elif told and not self.why:
            self._ask("stop", "SIGTERM to its supervisor")
        elif time.monotonic() >= self.limit_at and not self.why and self.exit is None:
            self._ask("limit", "its time limit")
        elif time.monotonic() >= self.warn_at and not self.why and self.exit is None:
            self.warn_at = _FOREVER
            child = self.start["child"]
            strike(Process(child["pid"], child["start"], os.getpid(), ""), self.job["warning"][0])

    def _ask(self, why: str, by: str) -> None:
        self.request = {"at": time.time(), "by": by, "grace_s": self.job["grace_s"]}
        try:
            publish(".", "stop.json", self.request)
        except OSError:
            pass  # Without space for the record the program is ended all the same.
        self._end(why, self.job["grace_s"])

    def _end(self, why: str, grace_s: float) -> None:
        self.why = self.why or why
        self.give_up_at, self.gave_up = _FOREVER, False
        self.kill_at = min(self.kill_at if self.exit is None else _FOREVER, time.monotonic() + grace_s)
        for each in self._left():
            strike(each, signal.SIGTERM)
            strike(each, signal.SIGCONT)

    def _press(self) -> None:
        now = time.monotonic()
        if now < self.kill_at or self.childless:
            return
        self.give_up_at = min(self.give_up_at, now + KILL_WINDOW_S)
        for _ in range(KILL_ROUNDS):
            if not self._kill_children():
                return
        left = self._left()
        for each in left:
            strike(each, signal.SIGKILL)
        if left and now >= self.give_up_at and not self.gave_up:
            self.gave_up = True
            self._owe("cleanup.json", {"at": time.time(), "leftovers": listed(left)})

    def _kill_children(self) -> bool:
        """A quick round against what forks away from under a full look: an orphan is at once our own child.

        Only this process collects its children, so until it does their pids are theirs. False when none is left.
        """
        for pid in map(int, _text("/proc/self/task/%d/children" % os.getpid()).split()):
            if mark_of(pid) in (self.job["token"], None):
                try:
                    os.kill(pid, signal.SIGKILL)
                except PermissionError:
                    pass
        self._reap()
        return not self.childless

    def _wait(self) -> bool:
        now = time.monotonic()
        pause = KILL_PAUSE_S if now >= self.kill_at and not self.gave_up else POLL_S
        for moment in (self.kill_at, self.warn_at, self.limit_at):
            if moment > now:
                pause = min(pause, moment - now)
        got = signal.sigtimedwait([signal.SIGCHLD, signal.SIGTERM], pause)
        return got is not None and got.si_signo == signal.SIGTERM

    def _owe(self, name: str, record: "Record") -> None:
        self.owed.append((name, record))
        self._settle()

    def _settle(self) -> None:
        """Publish what is due; a full disk is tried again, a lost folder or a record in place is not."""
        while self.owed:
            name, record = self.owed[0]
            try:
                publish(".", name, record, exclusive=name.endswith("exit.json"))
            except (FileExistsError, FileNotFoundError):
                pass
            except OSError:
                return
            del self.owed[0]
            if name == "exit.json" and self.guard:
                self.guard.tell()


def signal_name(signo: int) -> str:
    """``SIGSEGV`` for 11; the bare number for a signal without a name."""
    try:
        return signal.Signals(signo).name
    except ValueError:
        return "signal %d" % signo


def supervise(job: "Record") -> None:
    """Take the job over, start its program, tell the launcher, and stay until nothing of it is left."""
    subreaper = become_subreaper()
    (gate, opener), (failure, errors) = os.pipe(), os.pipe()
    log = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    child = os.fork()
    if child == 0:
        os.close(opener)
        become(job, gate, errors, log)
    for each in (gate, errors, log):
        os.close(each)
    start = dict(place(), token=job["token"], run_id=job["run_id"], uid=os.getuid(), subreaper=subreaper)
    start.update(shim=identity(os.getpid()), child=identity(child), started_at=time.time())
    start["finalisers"] = len(job.get("teardown") or ())
    publish(".", "start.json", start, exclusive=True)
    guard = Guard(job) if job.get("teardown") else None
    if guard:
        guard.start()
    supervisor = Supervisor(job, start, guard)
    os.write(opener, b"1")
    os.close(opener)
    trouble = os.read(failure, 64).decode("ascii")
    os.close(failure)
    if trouble:
        step, code = trouble.split()
        never = dict(start, outcome="never_started", reason=explain(job, step, int(code)), clean=True)
        publish(".", "exit.json", dict(never, ended_at=time.time()), exclusive=True)
    report(start)
    if not trouble:
        supervisor.watch()
    if job.get("wake") and (not job["wake_if"] or os.path.exists(job["wake_if"])):
        wake(job["wake"])


def wake(argv: "List[str]") -> None:
    """Start a command that has nothing to do with the job any more; that it fails is its own affair."""
    if os.fork():
        return
    try:
        os.setsid()
        default_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        environment = launch_environment()
        environment.pop(MARK.encode(), None)
        os.chdir("/")
        os.execvpe(encode(argv[0]), [encode(each) for each in argv], environment)
    finally:
        os._exit(127)


def become_subreaper() -> bool:
    """Let orphaned descendants become children of this process, not of init (prctl(2)); False if refused."""
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, AttributeError, OSError):
        return False


def report(record: "Record") -> None:
    """Tell the launcher, if it is still there, and let go of its streams."""
    try:
        os.write(1, json.dumps(record).encode("ascii") + b"\n")
    except OSError:
        pass
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def own_streams_only() -> None:
    """Close what an interpreter up the line forgot to close: it would stay open as long as the job runs."""
    for name in os.listdir("/proc/self/fd"):
        try:
            os.close(int(name) if int(name) > 2 else -1)
        except OSError:
            continue


def main(folder: str) -> None:
    """Leave the launcher's session and supervise the job whose folder this is."""
    own_streams_only()
    default_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
    for name in ("HUP", "INT", "QUIT", "PIPE", "TSTP", "TTIN", "TTOU", "USR1", "USR2", "XFSZ"):
        signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
    with open(0, "rb", closefd=False) as stream:
        job = json.loads(stream.read().decode("utf-8"))
    os.chdir(folder)
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
        supervise(job)
    except FileExistsError:
        report({"taken": True})
    except Exception:
        os.dup2(os.open("shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), 2)
        raise


if __name__ == "__main__":
    main(sys.argv[1])
