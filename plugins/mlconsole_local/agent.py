"""What is done beside a job for a console elsewhere: start, look, read, end; standard library only, Python 3.6+.

It travels with ``shim.py``, ``finaliser.py``, ``smi.py`` and ``copies.py`` in one file (``package.py``). ``serve``
answers requests on its streams: a line of JSON ``{"verb", "size", ...}`` and ``size`` bytes, either way, until its
input ends. Looking changes nothing, but for a claim whose launcher is gone: that is given up, so that "never started"
is true from then on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Callable, Dict, List, Optional, Tuple

    from mlconsole_local.shim import Record

if __package__:
    from mlconsole_local import shim
else:
    import shim  # type: ignore[import-not-found,no-redef,unused-ignore]

POLL_S = 0.02
REPLY_S = 30.0
SETTLE_S = 1.0
EMPTY_LOOKS = 2
#: The most that one look carries of run logs and output.
LOOK_BYTES = 4 << 20
PIECE_BYTES = 1 << 20


class Refused(Exception):
    """Nothing was done, and the text says why."""


def place() -> "Record":
    """Where this is: a boot of a machine, seen from a pid namespace."""
    return shim.place()


def submit(folder: str, job: "Record", program: "List[str]") -> "Record":
    """Start a job once under a supervisor, which ``program`` and the folder are the command line of.

    Raises:
        Refused: nothing was started and nothing will be.
        OSError: it cannot be told.
    """
    claim = dict(shim.place(), token=job["token"], run_id=job["run_id"], at=time.time())
    claim.update(launcher=shim.identity(os.getpid()), note=job.pop("note", {}))
    try:
        os.makedirs(folder, exist_ok=True)
        shim.publish(folder, "claim.json", claim, exclusive=True)
    except FileExistsError:
        if (shim.read(folder, "claim.json") or {}).get("token") != job["token"]:
            raise Refused('"%s" already holds another job' % folder)
    except OSError as error:
        raise Refused('the folder "%s" cannot be written: %s' % (folder, error.strerror))
    if shim.read(folder, "start.json") is None:
        trouble = _hand_over(folder, job, program)
        give_up(folder, job["token"], trouble or "no supervisor took it over", "never_started")
    start = shim.read(folder, "start.json") or {}
    if start.get("void"):
        raise Refused(start["reason"])
    return start


def _hand_over(folder: str, job: "Record", program: "List[str]") -> str:
    environment = dict(os.environ, **{shim.MARK: job["token"]})
    process = subprocess.Popen(
        program + [folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(json.dumps(job).encode("ascii"), timeout=REPLY_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        out = b""
    if out.strip():
        return ""
    return shim._text(os.path.join(folder, "shim.log")).strip().rpartition("\n")[2]


def give_up(folder: str, token: str, reason: str, outcome: str) -> bool:
    """Make sure that a job which has not started never will; False when it has started."""
    record = dict(shim.place(), token=token, void=True, outcome=outcome, reason=reason, at=time.time())
    try:
        shim.publish(folder, "start.json", record, exclusive=True)
    except FileExistsError:
        return False
    return True


def look(folder: str, token: str, here: "Record") -> "Record":
    """The state of one job with its evidence, as an observation has it; not ``reachable`` where it cannot be told."""
    try:
        return _look(folder, token, here)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _unseen("its records cannot be read: %r" % error)


def _look(folder: str, token: str, here: "Record") -> "Record":
    record = shim.read(folder, "exit.json") or shim.read(folder, "start.json") or shim.read(folder, "claim.json")
    if record is None:
        return _unseen('there are no records of it in "%s"' % folder)
    if record["token"] != token:
        return _unseen('"%s" holds another job' % folder)
    if "outcome" in record:
        return _ended(folder, record, here)
    if record["boot_id"] != here["boot_id"]:
        if (record["host"], record["machine"]) != (here["host"], here["machine"]):
            return _unseen("recorded on host %s" % record["host"])
        evidence = "boot id was %s, is %s; no exit record" % (record["boot_id"], here["boot_id"])
        return _finished(dict(record, outcome="node_lost", reason="the machine restarted while it ran"), evidence, [])
    if record["pid_ns"] != here["pid_ns"]:
        return _unseen("recorded in another process namespace, on host %s" % record["host"])
    return _started(folder, record, here) if "child" in record else _claimed(folder, record, here)


def _claimed(folder: str, claim: "Record", here: "Record") -> "Record":
    launcher = claim["launcher"]
    if not shim.is_alive(launcher["pid"], launcher["start"]):
        give_up(folder, claim["token"], "its launcher was gone before a supervisor took it over", "never_started")
        return _look(folder, claim["token"], here)
    return {"state": "starting", "evidence": "claimed, not taken over yet", "host": claim["host"]}


def _started(folder: str, start: "Record", here: "Record") -> "Record":
    child, supervisor = start["child"], start["shim"]
    program = shim.is_alive(child["pid"], child["start"])
    if program or shim.is_alive(supervisor["pid"], supervisor["start"]):
        reason = "" if shim.is_alive(supervisor["pid"], supervisor["start"]) else "its supervisor is gone; it runs on"
        return {
            "state": "stopping" if shim.read(folder, "stop.json") else "running",
            "reason": reason if program else "its program has ended; how, its supervisor is about to write down",
            "evidence": "pid %d %s" % (child["pid"], "is alive" if program else "has ended"),
            "host": start["host"],
            "started_at": start["started_at"],
        }
    record = shim.read(folder, "exit.json")  # It may have come between the first look and the process table.
    if record:
        return _ended(folder, record, here)
    left = _named(shim.listed(family(start)))
    reason = "process gone without an exit record"
    return _finished(dict(start, outcome="unknown", reason=reason), "pid %d is gone, same boot" % child["pid"], left)


def _ended(folder: str, record: "Record", here: "Record") -> "Record":
    left: "List[Record]" = []
    if not record.get("clean", True):
        cleanup = shim.read(folder, "cleanup.json")
        left = (record if cleanup is None else cleanup).get("leftovers", [])
        if left and record["boot_id"] == here["boot_id"] and record["pid_ns"] == here["pid_ns"]:
            left = shim.listed(family(record))
    return _finished(record, "start record given up" if record.get("void") else "exit record", _named(left))


def _finished(record: "Record", evidence: str, survivors: "List[str]") -> "Record":
    kept = ("outcome", "exit_code", "reason", "host", "started_at", "ended_at")
    seen = {name: record[name] for name in kept if record.get(name) is not None}
    return dict(seen, state="ended", evidence=evidence, survivors=survivors)


def _unseen(reason: str) -> "Record":
    return {"state": "running", "reason": reason, "reachable": False}


def _named(found: "List[Record]") -> "List[str]":
    return ["%d %s" % (each["pid"], each["command"]) for each in found]


def family(record: "Record") -> "List[shim.Process]":
    """What is alive of a job that was started here; never its supervisor or the caller."""
    token, supervisor = record["token"], record["shim"]
    found: "Dict[int, shim.Process]" = {}
    roots = {supervisor["pid"]}
    if not shim.is_alive(supervisor["pid"], supervisor["start"]):
        known = {(each["pid"], each["start"]) for each in [record["child"]] + list(record.get("leftovers", ()))}
        for each in shim.processes():
            if (each.pid, each.start) in known or shim.mark_of(each.pid) == token:
                found[each.pid] = each
        roots = set(found)
    for each in shim.descendants(roots, token)[0]:
        found[each.pid] = each
    found.pop(os.getpid(), None)
    return list(found.values())


def cancel(folder: str, token: str, grace_s: float, by: str) -> "Record":
    """Ask a job to end, then make it end; what is left is named."""
    here = shim.place()
    if look(folder, token, here)["state"] == "starting":
        give_up(folder, token, "stopped by " + by, "cancelled")
    seen, start = look(folder, token, here), shim.read(folder, "start.json")
    if not seen.get("reachable", True) or seen["state"] == "ended" or start is None:
        return seen
    left = _press(folder, start, grace_s, by)
    if left is not None and not shim.is_alive(start["child"]["pid"], start["child"]["start"]):
        reason = "stopped by %s; its exit status was lost with its supervisor" % by
        lost = dict(start, outcome="cancelled", reason=reason, ended_at=time.time(), clean=not left)
        try:
            shim.publish(folder, "exit.json", lost, exclusive=True)
        except OSError:
            pass  # The supervisor was faster after all, or the disk is full.
    seen = look(folder, token, here)
    return seen if left is None else dict(seen, survivors=left)


def release(folder: str, token: str, grace_s: float, by: str) -> "List[str]":
    """End what an ended job has left behind; what could not be ended is named.

    Raises:
        Refused: it has not ended.
    """
    here = shim.place()
    seen, start = look(folder, token, here), shim.read(folder, "start.json")
    if not seen.get("reachable", True):
        raise OSError(seen["reason"])
    if seen["state"] != "ended":
        raise Refused("the job has not ended, so nothing of it can be given back")
    is_here = start and not start.get("void") and start["boot_id"] == here["boot_id"]
    if not is_here or start is None or _is_settled(folder):
        return []
    left = _press(folder, start, grace_s, by)
    return list(look(folder, token, here).get("survivors", [])) if left is None else left


def _is_settled(folder: str) -> bool:
    record, cleanup = shim.read(folder, "exit.json"), shim.read(folder, "cleanup.json")
    if record is None:
        return False
    return bool(record.get("clean")) if cleanup is None else not cleanup.get("leftovers")


def _press(folder: str, start: "Record", grace_s: float, by: str) -> "Optional[List[str]]":
    """Survivors when it was done from here; None when the supervisor has done and recorded it."""
    before, supervisor = shim.read(folder, "cleanup.json"), start["shim"]
    kill_at = time.monotonic() + grace_s
    try:
        shim.publish(folder, "stop.json", {"at": time.time(), "by": by, "grace_s": grace_s})
    except OSError:
        pass  # Without space for the request the supervisor is signalled all the same.
    for signo in (signal.SIGTERM, signal.SIGCONT):
        shim.send(supervisor["pid"], supervisor["start"], signo)
    deadline = kill_at + shim.KILL_WINDOW_S + SETTLE_S
    while shim.is_alive(supervisor["pid"], supervisor["start"]) and time.monotonic() < deadline:
        if _is_settled(folder) or shim.read(folder, "cleanup.json") != before:
            return None
        time.sleep(POLL_S)
    return None if _is_settled(folder) else end_family(folder, start, kill_at)


def end_family(folder: str, start: "Record", kill_at: float) -> "List[str]":
    """End what is left of a job without its supervisor; returns what would not end, named."""
    record = shim.read(folder, "exit.json") or start
    left = family(record)
    for each in left:
        shim.strike(each, signal.SIGTERM)
        shim.strike(each, signal.SIGCONT)
    give_up_at, empty = max(kill_at, time.monotonic()) + shim.KILL_WINDOW_S, 0
    while empty < EMPTY_LOOKS and time.monotonic() < give_up_at:
        time.sleep(POLL_S)
        left = family(record)
        empty = 0 if left else empty + 1
        for each in left if time.monotonic() >= kill_at else ():
            shim.strike(each, signal.SIGKILL)
    try:
        shim.publish(folder, "cleanup.json", {"at": time.time(), "leftovers": shim.listed(left)})
    except OSError:
        pass  # The answer to the caller stands without it.
    return _named(shim.listed(left))


def read(path: str, offset: int, limit: int) -> bytes:
    """Bytes of a file from an offset; none where there is no file yet."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    try:
        there = os.fstat(descriptor).st_size - offset
        return os.pread(descriptor, min(limit, there), offset) if there > 0 else b""
    finally:
        os.close(descriptor)


def logs_of(home: str, run_id: str) -> "List[Tuple[str, int]]":
    """The run logs of a run and their sizes."""
    folder = os.path.join(home, "runs", run_id, "log")
    try:
        with os.scandir(folder) as entries:
            return [(each.name, each.stat().st_size) for each in entries if each.name.endswith(".mlog")]
    except OSError:
        return []


class Pieces:
    """What a look carries beside its answer: bytes of run logs and output that the other side lacks."""

    def __init__(self, room: int = LOOK_BYTES) -> None:
        self.room = room
        self.heads: "List[Record]" = []
        self.data: "List[bytes]" = []

    def add(self, number: int, name: str, path: str, have: int, marker: str = "") -> bool:
        """Carry what is new of a file as far as there is room; False when some of it is left."""
        data = read(path, have, min(PIECE_BYTES, self.room)) if self.room > 0 else b""
        if data:
            head: "Record" = {"job": number, "name": name, "offset": have, "size": len(data)}
            if marker and not have:
                head["marker"] = shim._text(marker)
            self.heads.append(head)
            self.data.append(data)
            self.room -= len(data)
        return os.path.getsize(path) <= have + len(data) if os.path.exists(path) else True

    def of_run(self, number: int, home: str, job: "Record") -> bool:
        """Carry what is new of one run; False when some of it is left."""
        have, complete = job.get("have") or {}, True
        for name, size in logs_of(home, job["run_id"]) if job.get("run_id") else ():
            if size > have.get(name, 0):
                marker = os.path.join(home, "live", "%s--%s.json" % (job["run_id"], name[: -len(".mlog")]))
                path = os.path.join(home, "runs", job["run_id"], "log", name)
                complete &= self.add(number, name, path, have.get(name, 0), marker)
        if job.get("output") is not None:
            complete &= self.add(number, "", os.path.join(job["folder"], "output.log"), job["output"])
        return complete


def observe(home: str, jobs: "List[Record]", room: int = LOOK_BYTES) -> "Tuple[List[Record], Pieces]":
    """Look at many jobs, and carry what is new of their logs; the state goes first, so an ended job's are whole."""
    here, pieces, seen = shim.place(), Pieces(room), []
    for number, job in enumerate(jobs):
        found = look(job["folder"], job["token"], here)
        if not pieces.of_run(number, home, job):
            found["more"] = True
        seen.append(found)
    return seen, pieces


def unpack(target: str, body: "IO[bytes]") -> None:
    """Lay an archive out as a folder, whole or not at all."""
    if os.path.isdir(target):
        return
    draft = "%s.%d.tmp" % (target, os.getpid())
    os.makedirs(draft)
    try:
        with tarfile.open(fileobj=body, mode="r|*") as archive:
            for member in archive:
                if member.name.startswith("/") or ".." in member.name.split("/"):
                    raise Refused('"%s" would leave the folder' % member.name)
                archive.extract(member, draft)
        os.rename(draft, target)
    except OSError:
        if not os.path.isdir(target):
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def look_at_gpus(root: str, wait_s: float) -> "Optional[Record]":
    """The last look at this machine's GPUs; see ``smi.look``."""
    if __package__:
        from mlconsole_local import smi
    else:
        import smi  # type: ignore[import-not-found,no-redef,unused-ignore]
    return smi.look(root, wait_s)  # type: ignore[no-any-return,unused-ignore]


def _copies() -> "Any":
    if __package__:
        from mlconsole_local import copies
    else:
        import copies  # type: ignore[import-not-found,no-redef,unused-ignore]
    return copies


class Agent:
    """Answers the verbs of one console, below one folder."""

    def __init__(self, program: str) -> None:
        self.program = [sys.executable, "-I", "-S", program]
        self.root = ""

    def answer(self, request: "Record", body: "IO[bytes]") -> "Tuple[Record, List[bytes]]":
        """The reply to one request, and the bytes that follow it."""
        verb: "Callable[[Record, IO[bytes]], Any]" = getattr(self, "_do_" + request["verb"])
        reply = verb(request, body)
        return reply if isinstance(reply, tuple) else (reply, [])

    def _do_hello(self, request: "Record", body: "IO[bytes]") -> "Record":
        root = os.path.realpath(os.path.expanduser(request["root"]))
        os.makedirs(root, mode=0o700, exist_ok=True)
        self.root = root
        return dict(shim.place(), root=root, python=sys.version.split()[0], cpus=os.cpu_count())

    def _do_has(self, request: "Record", body: "IO[bytes]") -> "Record":
        return {"has": os.path.isdir(request["path"])}

    def _do_put(self, request: "Record", body: "IO[bytes]") -> "Record":
        try:
            os.makedirs(os.path.dirname(request["path"]), exist_ok=True)
            unpack(request["path"], body)
        except OSError as error:
            raise Refused('"%s" cannot be written: %s' % (request["path"], error.strerror))
        return {}

    def _do_lacks(self, request: "Record", body: "IO[bytes]") -> "Record":
        return {"lacks": _copies().lacks(request["folder"], request["digest"], request["entries"])}

    def _do_lay(self, request: "Record", body: "IO[bytes]") -> "Record":
        copies = _copies()
        try:
            return {"path": copies.lay(request["folder"], request["digest"], request["entries"], body), "lacks": []}
        except copies.Lacking as error:
            return {"lacks": error.args[0]}
        except OSError as error:
            raise Refused('"%s" cannot be written: %s' % (request["folder"], error.strerror))

    def _do_submit(self, request: "Record", body: "IO[bytes]") -> "Record":
        job = json.loads(body.read().decode("ascii"))
        job["finaliser"] = self.program[-1]
        return submit(request["folder"], job, self.program + ["shim"])

    def _do_find(self, request: "Record", body: "IO[bytes]") -> "Record":
        folder, token = request["folder"], request["token"]
        if request["final"] and shim.read(folder, "claim.json") is None:
            os.makedirs(folder, exist_ok=True)
            reason = "its launcher ended before it was accepted"
            claim = dict(shim.place(), token=token, run_id="", at=time.time(), launcher=shim.identity(os.getpid()))
            try:
                shim.publish(folder, "claim.json", claim, exclusive=True)
                give_up(folder, token, reason, "never_started")
            except FileExistsError:
                pass
        claim = shim.read(folder, "claim.json") or {}
        look(folder, token, shim.place())  # Settles a claim whose launcher is gone.
        start = shim.read(folder, "start.json") or {}
        return {"found": claim.get("token") == token and not start.get("void")}

    def _do_observe(self, request: "Record", body: "IO[bytes]") -> "Tuple[Record, List[bytes]]":
        jobs = json.loads(body.read().decode("ascii"))
        seen, pieces = observe(request["home"], jobs, request.get("room", LOOK_BYTES))
        reply: "Record" = {"seen": seen, "pieces": pieces.heads, "boot_id": shim.place()["boot_id"]}
        if request.get("gpus"):
            reply["gpus"] = look_at_gpus(self.root, 0.0)
        return reply, pieces.data

    def _do_cancel(self, request: "Record", body: "IO[bytes]") -> "Record":
        return cancel(request["folder"], request["token"], request["grace_s"], request["by"])

    def _do_release(self, request: "Record", body: "IO[bytes]") -> "Record":
        return {"left": release(request["folder"], request["token"], request["grace_s"], request["by"])}

    def _do_read(self, request: "Record", body: "IO[bytes]") -> "Tuple[Record, List[bytes]]":
        # The state goes first: what an ended job's file holds after it is all that it will hold.
        state = look(request["folder"], request["token"], shim.place())["state"]
        data = read(os.path.join(request["folder"], "output.log"), request["offset"], request["limit"])
        return {"ended": state == "ended"}, [data]

    def _do_list(self, request: "Record", body: "IO[bytes]") -> "Record":
        jobs, here, found = request["jobs"], shim.place(), []
        for name in sorted(os.listdir(jobs)) if os.path.isdir(jobs) else ():
            claim = shim.read(os.path.join(jobs, name), "claim.json")
            if claim and look(os.path.join(jobs, name), claim["token"], here)["state"] != "ended":
                found.append({"token": claim["token"], "note": claim.get("note", {})})
        return {"jobs": found}

    def _do_gpus(self, request: "Record", body: "IO[bytes]") -> "Record":
        return {"gpus": look_at_gpus(self.root, request["wait_s"])}


class Body:
    """The bytes that follow a request, as a file; never reads beyond them."""

    def __init__(self, source: "IO[bytes]", size: int) -> None:
        self.source, self.left = source, size

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all that are left."""
        data = self.source.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


def serve(program: str) -> None:
    """Answer requests until the input ends."""
    agent, source, out = Agent(program), os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False)
    for line in iter(source.readline, b""):
        request = json.loads(line.decode("ascii"))
        body = Body(source, request["size"])
        data: "List[bytes]" = []
        try:
            reply, data = agent.answer(request, body)  # type: ignore[arg-type]
        except Refused as error:
            reply = {"refused": str(error)}
        except (OSError, ValueError, KeyError) as error:
            reply = {"error": error.strerror if isinstance(error, OSError) and error.strerror else repr(error)}
        body.read()
        out.write(json.dumps(dict(reply, size=sum(map(len, data)))).encode("ascii") + b"\n")
        out.write(b"".join(data))
        out.flush()
