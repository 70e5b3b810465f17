"""Runs a job under the supervisor inside an engine's own job: ``python -I -S FILE.pyz batch JOB_FOLDER TRY``.

Standard library only, Python 3.6+. The folder holds ``job.json``, for its owner's eyes only: until the first try has
ended, or, of a job that says ``again``, until it is released. Each try that the engine makes of it has a folder of its
own, ``try-N``, with the supervisor's records; the output is one file for all. A job that was made void before it
began runs nothing. When the engine's process over us is killed, so that the supervisor dies with it, a guard ends what
is left of the program and says so in the exit record.
"""

import json
import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mlconsole_local.shim import Record

if __package__:
    from mlconsole_local import agent, shim
else:
    import agent  # type: ignore[import-not-found,no-redef,unused-ignore]
    import shim  # type: ignore[import-not-found,no-redef,unused-ignore]

OUTPUT = "output.log"
TRY = "try-"
BEGIN = "begin.json"
TAKEN = 75


def main(program: str, arguments: "list[str]") -> int:
    """Run the job; the exit code is its program's."""
    base, number = arguments[0], int(arguments[1] or 0)
    if not begin(base):
        return TAKEN
    job = shim.read(base, "job.json")
    if job is None:
        os.write(2, ("mlconsole: there is no job in %s\n" % base).encode("utf-8", "surrogateescape"))
        return TAKEN
    folder = os.path.join(base, TRY + str(number))
    prepare(base, folder)
    os.chdir(folder)
    job["finaliser"] = program
    shim.own_streams_only()
    shim.default_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
    for name in ("HUP", "INT", "QUIT", "PIPE", "TSTP", "TTIN", "TTOU", "USR1", "USR2", "XFSZ"):
        signal.signal(getattr(signal, "SIG" + name), signal.SIG_IGN)
    line = guard()
    try:
        shim.supervise(job)
    except FileExistsError:
        # The engine has lost its memory and starts a try again that it had started: the first one goes on.
        shim.publish(".", "taken.json", dict(shim.place(), at=time.time()))
        return TAKEN
    os.write(line, b"e")
    record = shim.read(".", "exit.json") or {}
    if not job.get("again"):
        os.unlink(os.path.join(base, "job.json"))  # It may hold secrets, and no other try will want it.
    return int(record.get("exit_code", 127))


def begin(base: str) -> bool:
    """Take the job up, unless it was made void: whoever is first, that holds from then on."""
    try:
        shim.publish(base, BEGIN, dict(shim.place(), at=time.time()), exclusive=True)
    except FileExistsError:
        return not (shim.read(base, BEGIN) or {}).get("void")
    return True


def make_void(base: str, outcome: str, reason: str) -> bool:
    """Make sure that a job which has not begun never does; False when it has."""
    os.makedirs(base, exist_ok=True)
    record = {"void": True, "state": "ended", "outcome": outcome, "reason": reason, "at": time.time()}
    try:
        shim.publish(base, BEGIN, dict(record, evidence="made void before it began"), exclusive=True)
    except FileExistsError:
        return bool((shim.read(base, BEGIN) or {}).get("void"))
    return True


def prepare(base: str, folder: str) -> None:
    """The folder of one try, whose output is that of the job."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(base, OUTPUT), "ab"):
        pass
    try:
        os.link(os.path.join(base, OUTPUT), os.path.join(folder, OUTPUT))
    except FileExistsError:
        pass


def guard() -> int:
    """Start the process that outlives this one when it is killed; returns the line it listens on."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(reader)
        os.waitpid(child, 0)
        return writer
    os.close(writer)
    os.setsid()
    if os.fork():
        os._exit(0)  # Nobody's child: a supervisor waits for its own to be gone.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    try:
        if not os.read(reader, 1):
            end_orphan()
    finally:
        os._exit(0)


def end_orphan() -> None:
    """The supervisor was killed: end what it watched, and record that nobody saw how the program would have ended."""
    start = shim.read(".", "start.json")
    if not start or start.get("void") or shim.read(".", "exit.json"):
        return
    left = agent.end_family(".", start, time.monotonic())
    reason = "its supervisor was killed by the engine or the system; what was left of it was ended"
    record: "Record" = dict(start, outcome="unknown", reason=reason, ended_at=time.time(), clean=not left)
    record["leftovers"] = []
    try:
        shim.publish(".", "exit.json", record, exclusive=True)
    except OSError:
        pass  # It was recorded after all, or the disk is full.


def newest(base: str) -> str:
    """The folder of the last try; the folder itself while there is none."""
    try:
        tries = [int(name[len(TRY) :]) for name in os.listdir(base) if name.startswith(TRY)]
    except (OSError, ValueError):
        tries = []
    return os.path.join(base, TRY + str(max(tries))) if tries else base


def write(base: str, job: "Record") -> None:
    """Put a job where :func:`main` finds it."""
    draft = os.path.join(base, ".job.%d.tmp" % os.getpid())
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(json.dumps(job).encode("ascii"))
    os.rename(draft, os.path.join(base, "job.json"))
