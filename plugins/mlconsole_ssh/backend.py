"""Jobs on other machines, as the console's backend contract asks for them."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlconsole.plugin_api import (
    Ability,
    BackendUnreachable,
    Carriage,
    Handle,
    HostGpus,
    HostStatus,
    JobSpec,
    LogChunk,
    MlconsoleError,
    Observation,
    Probe,
    State,
    UsageError,
)
from mlconsole_local import submission
from mlconsole_local.afar import (
    Mirror,
    Record,
    asker,
    folder_name,
    intend,
    intent_of,
    job_of,
    moved,
    observation_of,
    recorder_in,
)
from mlconsole_ssh import carrying
from mlconsole_ssh.gpus import WAIT_S, Gpus
from mlconsole_ssh.hosts import NO_HOSTS, SshSettings
from mlconsole_ssh.link import Link

GRACE_S = 30.0
RELEASE_GRACE_S = 5.0
SUBMIT_S = 45.0
#: Beyond the grace a cancel may take: the supervisor's window to kill, and the way there and back.
CANCEL_SLACK_S = 15.0
#: A submit that is this old and unknown to its host is made impossible there, and then it is certain that it never was.
FINAL_AFTER_S = 50.0
ABILITIES = (Ability.OPTIONS, Ability.HOSTS, Ability.TIME_LIMIT, Ability.WARNING, Ability.OUTLIVES)
#: So long a look goes on bringing what ended jobs have logged; the next one carries on.
BRING_S = 5.0
MOST_HOSTS_AT_ONCE = 16
#: A GPU that holds no more memory than this is free.
FREE_MIB = 100


class SshBackend:
    """Runs jobs on other machines, each under the local backend's supervisor; needs ``python3`` there and nothing else.

    Args:
        settings: which hosts; None reads the settings file.
    """

    name = "ssh"

    def __init__(self, settings: SshSettings | None = None) -> None:
        self._settings = settings or SshSettings.load()
        self._links: dict[str, Link] = {}
        self._lock = threading.Lock()
        self._mirror = Mirror(self.name)
        self._gpus = Gpus(self.name)

    def probe(self) -> Probe:
        """Look which hosts answer."""
        names = self._settings.names()
        if not names or shutil.which("ssh") is None:
            return Probe(False, "", (), NO_HOSTS if not names else "there is no ssh program", is_set_up=False)
        version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.partition(",")[0]
        asked = self._settings.hosts or ((self._settings.default,) if self._settings.default else ())
        if not asked:
            return Probe(True, version, ABILITIES, f"hosts of ~/.ssh/config: {', '.join(names)}")
        words = self._of_each(asked, self._greeting)
        is_there = any(not word.startswith("!") for word in words)
        detail = "; ".join(f"{name} {word.removeprefix('!')}" for name, word in zip(asked, words, strict=True))
        return Probe(is_there, version, ABILITIES, detail)

    def _greeting(self, host: str) -> str:
        try:
            link = self._link(host)
            link.call({"verb": "has", "path": "/"}, patient=False)
        except BackendUnreachable as error:
            return f"!{error.message}"
        return f"({link.hello['cpus']} CPUs, Python {link.hello['python']})"

    def submit(self, spec: JobSpec, token: str) -> Handle:
        """Start a job once on the host that the option ``host`` names.

        Raises:
            ActionFailed: nothing was started and nothing will be.
            BackendUnreachable: the host did not answer; whether it has the job is found out later.
            UsageError: the spec cannot be run by any machine, or no host was named.
        """
        submission.check(replace(spec, options={}))
        if spec.resources.gpus:
            raise UsageError("The ssh backend leases no GPUs.", "Set CUDA_VISIBLE_DEVICES with --env.")
        link = self._link(self._intent(spec, token)["host"])
        link.call({"verb": "has", "path": "/"}, patient=False)
        home = f"{link.hello['root']}/home"
        if spec.code is not None:
            spec = moved(spec, carrying.lay(link, f"{self._root(link)}/code", spec.code))
        job = job_of(spec, token, spec.cwd, self._environment(link, spec, home), GRACE_S)
        handle = self._handle(spec.directory, token)
        request = {"verb": "submit", "folder": self._folder(link, token)}
        link.call(request, json.dumps({**job, "note": dict(handle.data)}).encode("ascii"), SUBMIT_S)
        return handle

    def _intent(self, spec: JobSpec, token: str) -> Record:
        """Which host a token is for, written down before the host hears of it."""
        known = intent_of(spec.directory)
        return intend(spec, token, {"host": known["host"] if known else self._settings.choose(spec.options)})

    def _handle(self, directory: str, token: str) -> Handle:
        known = intent_of(directory) or {}
        data = {name: known.get(name, "") for name in ("host", "run_id", "home")}
        return Handle(self.name, token, {"directory": directory, **data})

    def _environment(self, link: Link, spec: JobSpec, home: str) -> dict[str, str]:
        """The spec's variables with the paths that are others there: the catalog's, and the recorder's."""
        env = dict(spec.env)
        if "MLCONSOLE_HOME" in env:
            env["MLCONSOLE_HOME"] = home
        bundle = recorder_in(env.get("PYTHONPATH", ""))
        if bundle:
            there = f"{link.hello['root']}/lib/{Path(bundle).name}"
            carrying.carry(link, bundle, there)
            env["PYTHONPATH"] = env["PYTHONPATH"].replace(bundle, there, 1)
        return env

    def carriage(self, spec: JobSpec, names: Sequence[str]) -> Carriage | None:
        """What of a copy of the code the host lacks."""
        link = self._link(self._settings.choose(spec.options))
        return carrying.lacking(link, f"{self._root(link)}/code", spec.code, names) if spec.code else None

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        """Look at many jobs, one request a host, and bring what is new of their run logs."""
        by_host: dict[str, list[int]] = {}
        for number, handle in enumerate(handles):
            by_host.setdefault(str(handle.data.get("host", "")), []).append(number)
        found: dict[int, Observation] = {}

        def look(host: str) -> None:
            mine = [handles[number] for number in by_host[host]]
            found.update(zip(by_host[host], self._observe_host(host, mine), strict=True))

        self._of_each(tuple(by_host), look)
        return [found[number] for number in range(len(handles))]

    def _observe_host(self, host: str, handles: list[Handle]) -> list[Observation]:
        try:
            seen: dict[int, Record] = {}
            todo, enough_at = list(range(len(handles))), time.monotonic() + BRING_S
            while todo:  # Again for those whose logs did not fit in one answer: an end is told with all that led to it.
                answers = self._look(host, [handles[number] for number in todo])
                seen.update(zip(todo, answers, strict=True))
                todo = [number for number in todo if seen[number].get("more") and seen[number]["state"] == "ended"]
                if time.monotonic() > enough_at:
                    seen.update((number, _not_yet(seen[number])) for number in todo)
                    break
        except MlconsoleError as error:
            self._gpus.lose(host, error.message)
            return [Observation(each.token, State.RUNNING, reason=error.message, reachable=False) for each in handles]
        return [observation_of(handle.token, seen[number]) for number, handle in enumerate(handles)]

    def _look(self, host: str, handles: list[Handle]) -> list[Record]:
        link = self._link(host)
        jobs = [
            {"folder": self._folder(link, each.token), "token": each.token}
            | ({"run_id": each.data["run_id"], **self._mirror.wanted(each)} if each.data.get("home") else {})
            for each in handles
        ]
        request = {"verb": "observe", "home": f"{self._root(link)}/home", "gpus": self._gpus.are_wanted(host)}
        request["room"] = link.room
        reply, data = link.call(request, json.dumps(jobs).encode("ascii"), 10.0)
        self._mirror.take(handles, reply["pieces"], data)
        if "gpus" in reply:
            self._gpus.take(host, reply["gpus"])
        seen: list[Record] = reply["seen"]
        return seen

    def find(self, token: str, directory: str) -> Handle | None:
        """The job of this token on the host that its launch had chosen."""
        known = intent_of(directory)
        if known is None or known["token"] != token:
            return None
        is_old = time.time() - known["at"] > FINAL_AFTER_S
        reply, _ = self._ask(self._handle(directory, token), "find", final=is_old)
        return self._handle(directory, token) if reply["found"] else None

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        """SIGTERM to every process of the job, SIGKILL after the grace; survivors are named."""
        reply, _ = self._ask(handle, "cancel", grace_s + CANCEL_SLACK_S, grace_s=grace_s, by=asker())
        if not reply.get("reachable", True):
            raise BackendUnreachable(f"The job cannot be seen: {reply['reason']}.")
        if handle.data.get("home"):
            self.observe([handle])
        return observation_of(handle.token, reply)

    def logs(self, handle: Handle, stream: str, offset: int, limit: int = 1 << 20) -> LogChunk:
        """Bytes of the job's output from an offset.

        Raises:
            UsageError: there is no such stream.
        """
        if stream != "output":
            raise UsageError(f'The ssh backend has no stream "{stream}".', 'Its one stream is "output".')
        reply, data = self._ask(handle, "read", offset=offset, limit=limit)
        return LogChunk(data, offset + len(data), bool(reply["ended"]) and len(data) < limit)

    def log_path(self, handle: Handle, stream: str) -> str | None:
        """The file here that the output is brought to from now on, with every look at the job."""
        return self._mirror.watch(handle) if stream == "output" and handle.data.get("home") else None

    def release(self, handle: Handle) -> tuple[str, ...]:
        """End what an ended job left running; returns what would not end, named."""
        reply, _ = self._ask(handle, "release", RELEASE_GRACE_S + CANCEL_SLACK_S, grace_s=RELEASE_GRACE_S, by="release")
        return tuple(reply["left"])

    def reconcile(self) -> list[Handle]:
        """Every job of ours on the hosts that has not ended, whichever catalog it belongs to."""
        found: list[Handle] = []
        for host in self._settings.names():
            link = self._link(host)
            reply, _ = link.call({"verb": "list", "jobs": f"{self._root(link)}/jobs"})
            found += [Handle(self.name, job["token"], job["note"]) for job in reply["jobs"]]
        return found

    def hosts(self) -> list[HostStatus]:
        """Every host that was named, and its GPUs."""
        names = self._settings.hosts or self._settings.names()
        return self._of_each(names, self._host)

    def _host(self, name: str) -> HostStatus:
        known = self._gpus_of(name)
        if not known.reachable:
            return HostStatus(self.name, name, "unreachable", False, reason=known.detail)
        used = [gpu.figures.get("memory_used_mib") for gpu in known.gpus]
        free = sum(1 for each in used if isinstance(each, float) and each < FREE_MIB)
        cpus = self._link(name).hello.get("cpus")
        return HostStatus(self.name, name, "up", True, cpus=cpus, gpus=len(used), gpus_free=free, age_s=known.age_s)

    def gpus(self, hosts: Sequence[str] = ()) -> list[HostGpus]:
        """The GPUs of the hosts that were named, of those that have runs, and of those that were seen before."""
        settings = self._settings
        named = settings.hosts or ((settings.default,) if settings.default else ())
        before = [host for host in hosts if host in settings.names()]
        answered = [host for host, link in list(self._links.items()) if link.hello]
        return self._of_each(tuple(dict.fromkeys([*named, *answered, *before])), self._gpus_of)

    def _gpus_of(self, host: str) -> HostGpus:
        self._gpus.want(host)
        if not self._gpus.is_fresh(host):
            try:
                reply, _ = self._link(host).call({"verb": "gpus", "wait_s": WAIT_S})
                self._gpus.take(host, reply["gpus"])
            except BackendUnreachable as error:
                self._gpus.lose(host, error.message)
        return self._gpus.of(host)

    def _ask(self, handle: Handle, verb: str, timeout_s: float = 10.0, **words: object) -> tuple[Record, bytes]:
        link = self._link(str(handle.data["host"]))
        request = {"verb": verb, "folder": self._folder(link, handle.token), "token": handle.token, **words}
        return link.call(request, timeout_s=timeout_s, patient=False)

    def _folder(self, link: Link, token: str) -> str:
        return f"{self._root(link)}/jobs/{folder_name(token)}"

    def _root(self, link: Link) -> str:
        if not link.hello:
            link.call({"verb": "has", "path": "/"})
        return str(link.hello["root"])

    def _link(self, host: str) -> Link:
        with self._lock:
            return self._links.setdefault(host, Link(self._settings, host))

    def _of_each(self, hosts: Sequence[str], work: Any) -> list[Any]:
        """The work's result for each host, all at once: one that is away holds up nobody."""
        if len(hosts) < 2:
            return [work(host) for host in hosts]
        with ThreadPoolExecutor(min(len(hosts), MOST_HOSTS_AT_ONCE)) as pool:
            return list(pool.map(work, hosts))


def _not_yet(seen: Record) -> Record:
    """A job that has ended, as it is told while there is more of its logs to come over a slow line."""
    kept: Record = {name: seen[name] for name in ("host", "started_at") if name in seen}
    return {**kept, "state": "running", "reason": "it has ended; what it logged is on its way here"}
