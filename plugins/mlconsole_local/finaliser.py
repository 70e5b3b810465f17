"""Runs a job's teardown commands when its program has ended: ``python -I -S finaliser.py JOB_FOLDER``.

Standard library only, Python 3.6+; needs ``shim.py`` beside it. It reads the job as one line of JSON on stdin, and
then waits for the program's end: its exit record, or the certainty that program and supervisor are both gone. A job
that never started has brought nothing up, and nothing is torn down for it.

Each command runs to success exactly once. A try takes its place by publishing ``end-N-T.start.json``, which only one
process can do, and the command runs only after that; ``end-N-T.exit.json`` records its end. A try that failed is tried
again after a growing pause. A try whose end nobody saw is never repeated unasked: it may have done its work. Whoever
asks for it says so with ``again`` in the job.
"""

import fcntl
import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from mlconsole_local.shim import Record

if __package__:
    from mlconsole_local import shim
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import shim  # type: ignore[import-not-found,no-redef,unused-ignore]

POLL_S = 0.5
PAUSE_S = 0.05
LONGEST_NAP_S = 1.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
GIVE_UP_S = 24 * 3600.0
#: How long a supervisor may take to record the end of a command that was orphaned.
SETTLE_S = 5.0


class Finaliser:
    """The teardown commands of one job, run from this process's working directory: the job's folder."""

    def __init__(self, job: "Record") -> None:
        self.job, self.end = job, {}  # type: Record, Record
        self.is_heard = False
        self.again = set(range(len(job["teardown"]))) if job.get("again") else set()
        self.pauses = {}  # type: dict[int, float]
        self.due = {}  # type: dict[int, float]
        self.missed = {}  # type: dict[tuple[int, int], float]
        self.nap_s = LONGEST_NAP_S

    def work(self) -> bool:
        """Wait for the program's end and run what is owed; False when something of it stays undone."""
        shim.publish(".", "finaliser.json", dict(shim.place(), finaliser=shim.identity(os.getpid())))
        self.end = self._wait_for_end()
        if shim.is_deleted(".") or self.end.get("void") or self.end.get("outcome") == "never_started":
            return True
        with open(os.open("finaliser.lock", os.O_RDWR | os.O_CREAT, 0o600), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._work_off(time.monotonic() + GIVE_UP_S)

    def _work_off(self, give_up_at: float) -> bool:
        """Run the commands in their order; one that fails is tried again later and holds none of the others up."""
        states = dict.fromkeys(range(len(self.job["teardown"])), "wait")
        while "wait" in states.values() and time.monotonic() < give_up_at:
            self.nap_s = LONGEST_NAP_S
            for number, argv in enumerate(self.job["teardown"]):
                if states[number] == "wait":
                    states[number] = self._step(number, argv)
            time.sleep(max(0.0, self.nap_s) if "wait" in states.values() else 0.0)
        return set(states.values()) <= {"done"}

    def _wait_for_end(self) -> "Record":
        while True:
            record = shim.read(".", "exit.json")
            if record is None and not self._is_alive("shim") and not self._is_alive("child"):
                # It may have been written between the two looks.
                record = shim.read(".", "exit.json") or {"outcome": "unknown"}
            if record is not None or shim.is_deleted("."):
                return record or {}
            self._wait_for_line()

    def _wait_for_line(self) -> None:
        """Wait until the supervisor says that the program has ended, or ends itself, or for a moment."""
        if self.is_heard:
            time.sleep(POLL_S)
        elif select.select([0], [], [], POLL_S)[0] and not os.read(0, 64):
            self.is_heard = True

    def _is_alive(self, who: str) -> bool:
        start = shim.read(".", "start.json")
        if not start or start.get("void") or start["boot_id"] != shim.place()["boot_id"]:
            return False
        return shim.is_alive(start[who]["pid"], start[who]["start"])

    def _step(self, number: int, argv: "list[str]") -> str:
        """Do what a command needs now: ``done``, ``stuck`` without a known end, or ``wait`` for the next step."""
        last = max([attempt for each, attempt in shim.final_tries(".") if each == number] or [0])
        record = shim.read(".", shim.final_name(number, last, "exit")) if last else {"not_run": True}
        if record is not None and record.get("exit_code") == 0:
            return "done"
        if record is None and self._may_end_yet(number, last):
            self.nap_s = PAUSE_S
            return "wait"
        if record is None and number not in self.again:
            return "stuck"
        if time.monotonic() >= self.due.get(number, 0.0) or number in self.again:
            self.again.discard(number)
            self._try(number, last + 1, argv)
            pause = self.pauses[number] = min(2 * self.pauses.get(number, FIRST_PAUSE_S / 2), LONGEST_PAUSE_S)
            self.due[number] = time.monotonic() + pause
            self.nap_s = 0.0
        else:
            self.nap_s = min(self.nap_s, self.due[number] - time.monotonic())
        return "wait"

    def _may_end_yet(self, number: int, attempt: int) -> bool:
        """Whether a try without an end goes on, or its end may still be recorded by the supervisor."""
        start = shim.read(".", shim.final_name(number, attempt, "start"))
        child = start["child"] if start and start["boot_id"] == shim.place()["boot_id"] else None
        if child and shim.is_alive(child["pid"], child["start"]):
            return True
        missed_s = time.monotonic() - self.missed.setdefault((number, attempt), time.monotonic())
        return missed_s < PAUSE_S or (missed_s < SETTLE_S and self._is_alive("shim"))

    def _try(self, number: int, attempt: int, argv: "list[str]") -> None:
        gate, opener = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(opener)
            self._become(number, attempt, argv, gate)
        os.close(gate)
        record = dict(shim.place(), child=shim.identity(child), at=time.time())
        is_mine = False
        try:
            shim.publish(".", shim.final_name(number, attempt, "start"), record, exclusive=True)
            is_mine = True
        except OSError:
            time.sleep(FIRST_PAUSE_S)  # Somebody else took it, or there is no room for the record.
        try:
            os.write(opener, b"1" if is_mine else b"0")
        except BrokenPipeError:
            pass  # It was killed at the gate: its status says so.
        os.close(opener)
        _, status = os.waitpid(child, 0)
        if is_mine:
            self._record(number, attempt, shim.final_record(status))

    def _record(self, number: int, attempt: int, record: "Record") -> None:
        while True:
            try:
                shim.publish(".", shim.final_name(number, attempt, "exit"), record, exclusive=True)
                return
            except FileExistsError:
                return
            except OSError:
                time.sleep(FIRST_PAUSE_S)

    def _become(self, number: int, attempt: int, argv: "list[str]", gate: int) -> "NoReturn":
        """Turn this process into the command once the gate opens."""
        code = 127
        try:
            word = os.read(gate, 1)
            if word != b"1":
                self._disown(number, attempt, is_orphan=not word)
                os._exit(0)
            log = os.open("teardown.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
            for target, source in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
                os.dup2(source, target)
            os.setsid()
            environment = self._environment()
            self._enter()
            shim.default_signals()
            words = [shim.encode(each) for each in argv]
            os.execvpe(words[0], words, environment)
        except (OSError, ValueError) as error:
            os.write(2, f"mlconsole: cannot run the teardown command: {error}\n".encode("utf-8", "replace"))
            code = 126 if isinstance(error, PermissionError) else 127
        finally:
            os._exit(code)

    def _disown(self, number: int, attempt: int, is_orphan: bool) -> None:
        """Say that this try never ran: its finaliser died between taking the place and opening the gate."""
        start = shim.read(".", shim.final_name(number, attempt, "start")) if is_orphan else None
        if start and start["child"] == shim.identity(os.getpid()):
            self._record(number, attempt, {"not_run": True, "exit_code": None, "ended_at": time.time()})

    def _environment(self) -> "dict[bytes, bytes]":
        environment = shim.base_environment(self.job)
        added = dict(self.job["env"], MLCONSOLE_RUN_OUTCOME=self.end["outcome"])
        if self.end.get("exit_code") is not None:
            added["MLCONSOLE_RUN_EXIT_CODE"] = str(self.end["exit_code"])
        environment.update((shim.encode(name), shim.encode(value)) for name, value in added.items())
        environment[shim.MARK.encode()] = shim.encode(self.job["token"] + shim.FINAL_MARK)
        return environment

    def _enter(self) -> None:
        try:
            os.chdir(shim.encode(self.job["cwd"]))
        except OSError:
            os.chdir("/")  # The folder went with the run: what it brought up is torn down all the same.


def first_line() -> bytes:
    """The job, as it stands on stdin."""
    received = b""
    while not received.endswith(b"\n"):
        more = os.read(0, 1 << 16)
        if not more:
            break
        received += more
        if b"\n" in more:
            break
    return received.partition(b"\n")[0]


def main(folder: str) -> int:
    """Work off the job whose folder this is."""
    for name in ("HUP", "INT", "QUIT", "TERM", "PIPE", "TSTP", "TTIN", "TTOU", "USR1", "USR2", "XFSZ"):
        signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    job = json.loads(first_line().decode("utf-8"))
    os.chdir(folder)
    if os.getsid(0) != os.getpid():
        os.setsid()
    return 0 if Finaliser(job).work() else shim.GAVE_UP


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
