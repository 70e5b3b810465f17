"""What ``nvidia-smi`` says of this machine's GPUs, for consoles elsewhere; standard library only, Python 3.6+.

One look serves every console: a process of its own makes it, one at a time and not more often than every few seconds,
and leaves it in a file. The lock goes on to ``nvidia-smi`` itself, so that one which hangs is never joined by another;
nobody waits for it.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple

    from mlconsole_local.shim import Record

if __package__:
    from mlconsole_local import shim
else:
    import shim  # type: ignore[import-not-found,no-redef,unused-ignore]

EVERY_S = 5.0
#: After a look that hung, the next is made this much later.
REST_S = 60.0
LOOK_S = 10.0
POLL_S = 0.02
MOST_BYTES = 1 << 20
PATHS = ("/usr/bin", "/usr/local/bin", "/usr/lib/wsl/lib")
#: Our figures (units as in the console's readings), and nvidia-smi's word for each (``nvidia-smi --help-query-gpu``).
FIGURES = (
    ("utilization_percent", "utilization.gpu"),
    ("memory_used_mib", "memory.used"),
    ("memory_total_mib", "memory.total"),
    ("power_w", "power.draw"),
    ("temperature_c", "temperature.gpu"),
    ("power_limit_w", "enforced.power.limit"),
    ("sm_clock_mhz", "clocks.sm"),
    ("memory_clock_mhz", "clocks.mem"),
    ("ecc_corrected", "ecc.errors.corrected.volatile.total"),
    ("ecc_uncorrected", "ecc.errors.uncorrected.volatile.total"),
)
#: So many of them every driver knows; one that does not know another refuses the whole query.
PLAIN = 5
HEAD, APPS = ("index", "uuid", "driver_version"), "gpu_uuid,pid,used_gpu_memory,process_name"
#: Exit codes of nvidia-smi (its manual, "RETURN VALUE"; 18 is NVML's for a library of another version).
STATES = {4: "no_permission", 6: "no_gpu", 9: "no_driver", 12: "no_driver", 18: "version_mismatch"}
WORDS = {"n/a": "not supported", "not supported": "not supported", "insufficient permissions": "no permission"}
#: The inode of the first pid namespace (Linux, include/linux/proc_ns.h, PROC_PID_INIT_INO).
FIRST_NAMESPACE = "pid:[4026531836]"
GPU_FILES = ("/dev/nvidia", "/dev/dxg")
MOST_ANCESTORS = 64
_BOOTTIME = 7  # time.CLOCK_BOOTTIME, which Python 3.6 has no name for.


class Failed(Exception):
    """nvidia-smi gave no answer: the state that this means, and its words."""


def path(root: str) -> str:
    """Where this machine's last look lies: several may share a home."""
    return os.path.join(root, "gpus-%s.json" % os.uname().nodename)


def latest(root: str) -> "Optional[Record]":
    """The last look, with the age of its readings in seconds; None when there is none of this boot."""
    try:
        with open(path(root), "rb") as file:
            record = json.loads(file.read().decode("ascii"))
        if record["boot_id"] != shim.place()["boot_id"]:
            return None
        record["age_s"] = max(0.0, round(_now() - record["at_s"], 3))
        record["looked_s"] = max(0.0, round(_now() - record["looked_at_s"], 3))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(record)


def look(root: str, wait_s: float = 0.0) -> "Optional[Record]":
    """The last look; another is begun where that is due, and waited for no longer than so many seconds."""
    found, deadline = latest(root), time.monotonic() + wait_s
    rest_s = REST_S if found and found["state"] == "hung" else EVERY_S
    if found and found["looked_s"] < rest_s:
        return found
    if not _begin(root):
        return found
    while time.monotonic() < deadline:
        now = latest(root)
        if now and (found is None or now["looked_at_s"] > found["looked_at_s"]):
            return now
        time.sleep(POLL_S)
    return latest(root)


def _begin(root: str) -> bool:
    """Start a process that looks, unless there is one; False when that cannot be."""
    try:
        lock = os.open(path(root) + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True  # Somebody looks.
    else:
        first = os.fork()
        if not first:
            _in_background(root, lock)
        os.waitpid(first, 0)
        return True
    finally:
        os.close(lock)


def _in_background(root: str, lock: int) -> None:
    """Look in a process that nobody waits for, and that holds none of its caller's streams; never returns."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        _put(root, _looked(latest(root), lock))
    finally:
        os._exit(0)


def _looked(before: "Optional[Record]", lock: int) -> "Record":
    """One look; the readings before it stay where it fails."""
    at_s, kept = _now(), before or {"at_s": _now(), "driver": "", "gpus": []}
    record = {"boot_id": shim.place()["boot_id"], "looked_at_s": at_s, "state": "ok", "detail": ""}
    try:
        driver, found = _gpus(lock)
        record.update(at_s=at_s, driver=driver, gpus=found)
    except Failed as failure:
        state, detail = failure.args
        record.update(state=state, detail=detail, at_s=kept["at_s"], driver=kept["driver"], gpus=kept["gpus"])
    record["looked_at_s"] = _now()
    return record


def _put(root: str, record: "Record") -> None:
    draft = "%s.%d.tmp" % (path(root), os.getpid())
    try:
        with open(draft, "wb") as file:
            file.write(json.dumps(record).encode("ascii"))
        os.rename(draft, path(root))
    except OSError:
        if os.path.exists(draft):
            os.unlink(draft)


def _now() -> float:
    """Seconds since the machine's boot, also those that it slept."""
    return time.clock_gettime(_BOOTTIME)


def _gpus(lock: int) -> "Tuple[str, List[Record]]":
    program = shutil.which("nvidia-smi", path=os.pathsep.join((os.environ.get("PATH", ""),) + PATHS))
    if program is None:
        raise Failed("no_driver", "")
    names: "Tuple[Tuple[str, str], ...]" = FIGURES
    try:
        text = _ask(program, "gpu", names, lock)
    except Failed as failure:
        if "not a valid field" not in failure.args[1]:
            raise
        names = FIGURES[:PLAIN]
        text = _ask(program, "gpu", names, lock)
    try:
        listed = _listed(_run(program, ["--query-compute-apps=" + APPS], lock))
    except Failed as failure:
        listed = failure.args[1]
    rows = [[word.strip() for word in line.split(",")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) > len(HEAD) + len(names) and row[0].isdigit()]
    if not rows:
        raise Failed("no_gpu" if "no devices" in text.lower() or not text.strip() else "failed", text.strip()[:200])
    return rows[0][2], [_gpu(row, [name for name, _ in names], listed) for row in rows]


def _ask(program: str, kind: str, names: "Tuple[Tuple[str, str], ...]", lock: int) -> str:
    words = list(HEAD) + [word for _, word in names] + ["name"]
    return _run(program, ["--query-%s=%s" % (kind, ",".join(words))], lock)


def _run(program: str, words: "List[str]", lock: int) -> str:
    """What it prints; one that does not end in time is ended with all that it has started.

    Raises:
        Failed: it cannot be run, hangs, or says that it failed.
    """
    try:
        process = subprocess.Popen(
            [program] + words + ["--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),
        )
    except OSError as error:
        raise Failed("failed", "nvidia-smi cannot be started: %s" % error.strerror)
    text = _output(process).decode("utf-8", "replace")
    if process.returncode:
        raise Failed(STATES.get(process.returncode, "failed"), text.strip().partition("\n")[0][:200])
    return text


def _output(process: "subprocess.Popen[bytes]") -> bytes:
    data, deadline = b"", time.monotonic() + LOOK_S
    assert process.stdout is not None
    try:
        while select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            more = os.read(process.stdout.fileno(), 1 << 16)
            data += more
            if not more or len(data) > MOST_BYTES:
                process.wait(max(0.0, deadline - time.monotonic()))
                return data
    except subprocess.TimeoutExpired:
        pass
    os.killpg(process.pid, signal.SIGKILL)
    raise Failed("hung", "nvidia-smi did not end within %d s" % LOOK_S)


def _gpu(row: "List[str]", names: "List[str]", listed: "Any") -> "Record":
    figures = {name: _figure(word) for name, word in zip(names, row[len(HEAD) :])}
    held = listed if isinstance(listed, str) else [each for gpu, each in listed if gpu == row[1]]
    name = ", ".join(row[len(HEAD) + len(names) :])
    return {"index": int(row[0]), "uuid": row[1], "name": name, "figures": figures, "processes": held}


def _figure(word: str) -> "Any":
    """A number, or the words why there is none."""
    try:
        return float(word)
    except ValueError:
        text = word.strip("[] ").lower()
        return WORDS.get(text, text or "not told")


def _listed(text: str) -> "List[Tuple[str, Record]]":
    """The processes that hold a GPU's memory, each with the GPU's uuid."""
    is_first, found = _is_first(), []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",", 3)]
        if len(words) == 4 and words[1].isdigit():
            found.append((words[0], _process(int(words[1]), _figure(words[2]), is_first)))
    return found


def _process(pid: int, memory: "Any", is_first: bool) -> "Record":
    """A process by what the driver says and, where it is one of this pid namespace, who it is."""
    record = {"pid": pid, "memory_mib": memory, "visible": False, "command": "", "user": "", "run_id": ""}
    found = shim.process(pid)
    if found is None or not (is_first or _has_gpu_open(pid)):
        return record
    record.update(visible=True, started_ticks=found.start, command=found.command, user=_owner(pid), run_id=run_of(pid))
    return record


def run_of(pid: int, proc: str = "/proc") -> str:
    """The run that a process is of, by the job's mark in its environment, its session's or its ancestors'."""
    seen: "List[int]" = []
    session = _session(pid, proc)
    ahead = [pid] + ([session] if session > 1 else [])
    while ahead and len(seen) < MOST_ANCESTORS:
        each = ahead.pop(0)
        mark = shim.mark_of(each, proc)
        if mark:
            return mark.partition(".")[0]
        seen.append(each)
        found = shim.process(each, proc)
        if found is not None and found.parent > 1 and found.parent not in seen and found.parent not in ahead:
            ahead.append(found.parent)
    return ""


def _session(pid: int, proc: str) -> int:
    fields = shim._bytes("%s/%d/stat" % (proc, pid)).rpartition(b")")[2].split()
    return int(fields[3]) if len(fields) > 3 else 0


def _owner(pid: int) -> str:
    import pwd

    try:
        uid = os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "uid%d" % uid


def _is_first() -> bool:
    try:
        return os.readlink("/proc/self/ns/pid") == FIRST_NAMESPACE
    except OSError:
        return False


def _has_gpu_open(pid: int) -> bool:
    """Whether a process has a GPU's device files open: in a container a pid of the driver's need not be one of ours."""
    folder = "/proc/%d/fd" % pid
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(os.path.join(folder, name)).startswith(GPU_FILES):
                return True
        except OSError:
            continue
    return False
