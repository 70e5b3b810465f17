"""Slurm through slurmrestd on a unix socket, with the interface of :class:`Commands`."""

from __future__ import annotations

import gc
import os
import pwd
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlconsole.plugin_api import ActionFailed, BackendUnreachable, ConfigError, HostStatus, UsageError
from mlconsole_slurm.commands import ANSWER_S, gpus_of
from mlconsole_slurm.words import LIVE, JobRow, word_of

if TYPE_CHECKING:
    import httpx

#: sbatch's option and the field of a submission (slurmrestd's OpenAPI, v0.0.38), with the form its value takes.
FIELDS: dict[str, tuple[str, type]] = {
    "job-name": ("name", str),
    "comment": ("comment", str),
    "chdir": ("current_working_directory", str),
    "output": ("standard_output", str),
    "partition": ("partition", str),
    "qos": ("qos", str),
    "account": ("account", str),
    "constraint": ("constraints", str),
    "reservation": ("reservation", str),
    "gres": ("gres", str),
    "time": ("time_limit", int),
    "cpus-per-task": ("cpus_per_task", int),
    "mem": ("memory_per_node", int),
    "nice": ("nice", int),
}


#: Accounting is asked for one job at a time, so many in one look.
MOST_PAST = 20


class Rest:
    """The cluster behind a slurmrestd.

    Args:
        socket: its unix socket.
        version: the version of its interface, as in ``v0.0.38``.
    """

    name = "slurmrestd"

    def __init__(self, socket: str, version: str) -> None:
        self._socket, self._version = socket, version
        self._made: httpx.Client | None = None

    def version(self) -> str:
        """As in ``slurm 22.05.8``."""
        meta = self._ask("GET", "ping")["meta"]
        return f"slurm {(meta.get('slurm') or meta['Slurm'])['release']}"

    def submit(self, script: str, options: Mapping[str, str]) -> str:
        """Hand a script over; returns the job's id."""
        job: dict[str, Any] = {"environment": {"PATH": os.environ.get("PATH", os.defpath)}}
        for option, value in options.items():
            if option in ("requeue", "no-requeue"):
                job["requeue"] = option == "requeue"
            elif option == "open-mode":
                job["open_mode"] = value
            elif option in FIELDS:
                field, form = FIELDS[option]
                try:
                    job[field] = form(value)
                except ValueError:
                    raise UsageError(f'slurmrestd takes a whole number for "{option}", not "{value}".') from None
            else:
                raise ActionFailed(f'slurmrestd has no field for the option "{option}".', "Leave it out.")
        return str(self._ask("POST", "job/submit", {"script": script, "job": job})["job_id"])

    def jobs(self) -> list[JobRow]:
        """Every job of this user that the controller has, in one call."""
        user = pwd.getpwuid(os.getuid()).pw_name
        with _collecting_nothing():
            return [
                _row(each) for each in self._ask("GET", "jobs")["jobs"] if each.get("user_name", user) in (user, "")
            ]

    def past(self, jobs: Sequence[str]) -> list[JobRow]:
        """What accounting has of jobs that the controller has forgotten; nothing where no account is kept.

        It says of no job how its program ended: 22.05 gives 0 whatever the exit code was.
        """
        found = []
        for job in jobs[:MOST_PAST]:
            try:
                found += self._ask("GET", f"job/{job}", of="slurmdb").get("jobs", [])
            except ActionFailed:
                continue  # It has none of that number, or keeps no account.
        return [_past(each) for each in found]

    def signal(self, job: str, name: str) -> None:
        """Nothing: its way of signalling reaches every process; the request beside the job's records is seen anyway."""

    def end(self, job: str) -> None:
        """Take a job out of the queue, or end it."""
        if not job.isdigit():  # GET and DELETE of what is no number end slurmrestd 22.05.
            raise ConfigError(f'"{job}" is not the number of a job.')
        try:
            self._ask("DELETE", f"job/{job}")
        except ActionFailed:
            return  # It has ended already, or is known no more.

    def nodes(self, backend: str) -> list[HostStatus]:
        """Every node."""
        found = []
        for node in self._ask("GET", "nodes")["nodes"]:
            words = _words(node["state"])
            state, flags = words[0].lower(), {*words[1:], *node.get("state_flags", ())}
            takes = state in ("idle", "mixed", "allocated") and "DRAIN" not in flags
            cpus, gpus = int(node["cpus"]), gpus_of(node.get("gres", ""))
            free = (node.get("idle_cpus"), gpus - gpus_of(node["gres_used"]) if "gres_used" in node else None)
            found.append(
                HostStatus(
                    backend, node["name"], state, takes, cpus, free[0], gpus, free[1], reason=node.get("reason", "")
                )
            )
        return found

    def _ask(self, method: str, path: str, body: object = None, of: str = "slurm") -> dict[str, Any]:
        import httpx  # 60 ms, where a cluster is asked

        try:
            if self._made is None:
                transport = httpx.HTTPTransport(uds=self._socket)
                self._made = httpx.Client(transport=transport, base_url="http://localhost", timeout=ANSWER_S)
                weakref.finalize(self, self._made.close)
            reply = self._made.request(method, f"/{of}/{self._version}/{path}", json=body)
            found = reply.json() if reply.content else {}
        except (httpx.HTTPError, ValueError) as error:
            raise BackendUnreachable(f'slurmrestd at "{self._socket}" does not answer: {error}.') from error
        errors = [each for each in found.get("errors", []) if each.get("error_number", 1)]
        if reply.is_success and not errors:
            return dict(found)
        words = "; ".join(str(each.get("error") or each.get("description") or each) for each in errors)
        if any(mark in words.lower() for mark in ("unable to contact", "timed out", "connection")):
            raise BackendUnreachable(f"slurmrestd: {words}.")
        raise ActionFailed(f"Slurm refused it: {words or reply.status_code}.")


@contextmanager
def _collecting_nothing() -> Iterator[None]:
    """No collection of garbage meanwhile: an answer of 3 kB a job makes none, and all of it would be looked through."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _words(value: object) -> list[str]:
    """A state: a word, or in newer interfaces (from v0.0.40 on) a list of it and of what else holds."""
    return [str(each) for each in value] if isinstance(value, list) and value else [str(value)]


def _state(value: object) -> str:
    """The one word that squeue would say: of a job that is being completed, that, not how it ended."""
    first, *others = [word_of(each) for each in _words(value)]
    return next((each for each in others if each in LIVE), first)


def _row(job: Mapping[str, Any]) -> JobRow:
    return JobRow(
        str(job["job_id"]),
        _state(job["job_state"]),
        job.get("state_reason", ""),
        job.get("nodes", ""),
        job.get("current_working_directory", ""),
        job.get("comment", "") if isinstance(job.get("comment", ""), str) else job["comment"].get("job", ""),
    )


def _past(job: Mapping[str, Any]) -> JobRow:
    state, folder = _state(job["state"]["current"]), job.get("working_directory") or ""
    submitted = float(job.get("time", {}).get("submission", 0))
    return JobRow(str(job["job_id"]), state, "", job.get("nodes", ""), folder, "", None, submitted, "sacct")
