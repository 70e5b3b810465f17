"""Jobs elsewhere under our supervisor: what an agent says of them in the contract's words, and their logs here."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlconsole.plugin_api import ActionFailed, Handle, JobSpec, Observation, Outcome, State, replace

Record = dict[str, Any]
SUFFIX = ".mlog"
INTENT = "intent.json"


def observation_of(token: str, seen: Mapping[str, Any]) -> Observation:
    """An agent's answer about one job as an observation."""
    state = State(seen["state"])
    return Observation(
        token,
        state,
        Outcome(seen["outcome"]) if state is State.ENDED else None,
        exit_code=seen.get("exit_code"),
        reason=seen.get("reason", ""),
        evidence=seen.get("evidence", ""),
        reachable=seen.get("reachable", True),
        host=seen.get("host", ""),
        started_at=_time(seen.get("started_at")),
        ended_at=_time(seen.get("ended_at")),
        survivors=tuple(seen.get("survivors", ())),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def job_of(spec: JobSpec, token: str, cwd: str, env: Mapping[str, str], grace_s: float) -> Record:
    """A spec as the supervisor reads it."""
    return {
        "token": token,
        "run_id": spec.run_id,
        "argv": list(spec.argv),
        "cwd": cwd,
        "env": dict(env),
        "time_limit_s": spec.time_limit_s,
        "grace_s": grace_s,
        "teardown": [list(argv) for argv in spec.teardown],
        "warning": [spec.warning.signal, spec.warning.lead_s] if spec.warning else None,
    }


def moved(spec: JobSpec, there: str) -> JobSpec:
    """A spec that runs from a copy of the code, as it is where the copy is elsewhere: its folder and its arguments."""
    assert spec.code is not None
    here = spec.code.path

    def path(word: str) -> str:
        return there + word[len(here) :] if word == here or word.startswith(f"{here}/") else word

    argv = tuple(path(word) for word in spec.argv)
    return replace(spec, cwd=path(os.path.normpath(spec.cwd)), argv=argv, code=replace(spec.code, path=there))


def intent_of(directory: str) -> Record | None:
    """What was written down before a job of this folder was submitted; None when nothing was."""
    try:
        found = json.loads(Path(directory, "job", INTENT).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def intend(spec: JobSpec, token: str, more: Mapping[str, object]) -> Record:
    """Write down that a job is about to be submitted, once; returns what stands there.

    Raises:
        ActionFailed: the folder holds another job, or cannot be written.
    """
    folder = Path(spec.directory, "job")
    record = {"token": token, "run_id": spec.run_id, "home": spec.env.get("MLCONSOLE_HOME", ""), "at": time.time()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{INTENT}.{os.getpid()}.tmp"
        draft.write_text(json.dumps({**record, **more}), encoding="utf-8")
        try:
            os.link(draft, folder / INTENT)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise ActionFailed(f'The job folder "{folder}" cannot be written: {error.strerror}.') from error
    known = intent_of(spec.directory) or {}
    if known.get("token") != token:
        raise ActionFailed(f'"{folder}" already holds another job.')
    return known


def asker() -> str:
    """Who asks a job to end: user, host and process."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename} (pid {os.getpid()})"


def recorder_in(python_path: str) -> str:
    """The folder on a ``PYTHONPATH`` that holds the recorder; empty when there is none."""
    folders = (each for each in python_path.split(os.pathsep) if each)
    return next((each for each in folders if Path(each, "mlconsole", "recorder").is_dir()), "")


@lru_cache(maxsize=4096)
def folder_name(token: str) -> str:
    """A file name that stands for a token."""
    if token and len(token) < 100 and token[0] != "." and all(each.isalnum() or each in "-_." for each in token):
        return token
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Mirror:
    """Run logs and output of jobs elsewhere, as the same bytes in the run folders here.

    Bytes are appended where the file here ends, under a lock, so that any number of consoles may bring the same ones.
    A marker beside the runs tells ingest of each log, as the recorder's own does of one that is written here; it
    names the far host, so that nothing here decides whether its writer lives.

    Args:
        backend: the backend's name.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._have: dict[str, dict[str, int]] = {}
        self._watched: dict[str, int] = {}

    def watch(self, handle: Handle) -> str:
        """Bring a job's output too from now on; returns the file that it goes to."""
        path = f"{handle.data['directory']}/job/output.log"
        self._watched.setdefault(handle.token, _size(path))
        return path

    def wanted(self, handle: Handle) -> Record:
        """What there is here of a job's logs, as an agent is told."""
        if handle.token not in self._have:
            self._have[handle.token] = dict(_sizes(f"{handle.data['home']}/runs/{handle.data['run_id']}"))
        wanted: Record = {"have": self._have[handle.token]}
        if handle.token in self._watched:
            wanted["output"] = self._watched[handle.token]
        return wanted

    def take(self, handles: Sequence[Handle], heads: Sequence[Record], data: bytes) -> None:
        """Put the pieces of one answer where they belong."""
        at = 0
        for head in heads:
            piece = data[at : at + head["size"]]
            at += head["size"]
            handle = handles[head["job"]]
            if head["name"]:
                self._take_log(handle, head, piece)
            else:
                path = Path(str(handle.data["directory"]), "job", "output.log")
                self._watched[handle.token] = _append(path, head["offset"], piece)

    def _take_log(self, handle: Handle, head: Record, piece: bytes) -> None:
        name = str(head["name"])
        if "/" in name or not name.endswith(SUFFIX) or name.startswith("."):
            return
        run_id = str(handle.data["run_id"])
        size = _append(Path(str(handle.data["home"]), "runs", run_id, "log", name), head["offset"], piece)
        self._mark(handle, name, head.get("marker", ""))
        self._have[handle.token][name] = size

    def _mark(self, handle: Handle, name: str, text: str) -> None:
        run_id, live = str(handle.data["run_id"]), Path(str(handle.data["home"]), "live")
        marker = live / f"{run_id}--{name.removesuffix(SUFFIX)}.json"
        if marker.exists():
            return
        try:
            facts = json.loads(text)
        except ValueError:
            facts = {"pid": 0, "start_ticks": 0, "boot_id": "", "pid_ns": ""}
        live.mkdir(parents=True, exist_ok=True)
        draft = live / f".{marker.name}.{os.getpid()}.tmp"
        facts |= {"run": run_id, "writer": name, "host": f"{self._backend}:{handle.data.get('host', '')}"}
        draft.write_text(json.dumps(facts), encoding="ascii")
        draft.rename(marker)


def _sizes(directory: str) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(f"{directory}/log") as entries:
            yield from ((each.name, each.stat().st_size) for each in entries if each.name.endswith(SUFFIX))
    except FileNotFoundError:
        return


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _append(path: Path, offset: int, piece: bytes) -> int:
    """Add a piece where the file ends, unless somebody has; returns the file's size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if offset <= size < offset + len(piece):
            os.write(descriptor, piece[size - offset :])
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
