"""Slurm through its commands: sbatch, squeue, scancel, sinfo.

What squeue says is parsed, not taken as JSON, in every version: ``squeue --json`` of 22.05 gives every job of the
cluster whatever it was asked for, at 3,100 bytes a job, where the fields that count take 55.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from mlconsole.plugin_api import ActionFailed, BackendUnreachable, HostStatus
from mlconsole_slurm.words import JobRow, word_of

ANSWER_S = 20.0
# The working directory goes last: of a job of ours it alone may hold a bar.
FORMAT = "%A|%T|%r|%N|%k|%Z"
PAST = "JobIDRaw,State,ExitCode,NodeList,Submit,WorkDir"
NO_ACCOUNTS = "accounting storage is disabled"
#: What sinfo says of a node, and in how many characters: a field may hold any character, so that widths part them.
NODE_FIELDS = {
    "NodeList": 64,
    "StateCompact": 16,
    "CPUsState": 32,
    "Memory": 16,
    "Gres": 200,
    "GresUsed": 200,
    "Reason": 200,
}
AWAY = ("unable to contact", "connection refused", "timed out", "could not resolve", "communication", "socket timed")


class Commands:
    """The cluster that the commands on PATH talk to."""

    name = "commands"

    def version(self) -> str:
        """As in ``slurm-wlm 22.05.8``.

        Raises:
            BackendUnreachable: the controller does not answer.
        """
        self._run(["sinfo", "--noheader", "--format=%a"])
        return self._run(["sinfo", "--version"]).strip()

    def submit(self, script: str, options: Mapping[str, str]) -> str:
        """Hand a script over; returns the job's id.

        Raises:
            ActionFailed: Slurm refused it, in its own words.
            BackendUnreachable: no reply came; Slurm may have it all the same.
        """
        words = [f"--{name}={value}" if value else f"--{name}" for name, value in options.items()]
        # With --quiet sbatch 22.05 would not say the number either.
        job = self._run(["sbatch", "--parsable", *words], script).strip().partition(";")[0]
        if not job.isdigit():
            raise BackendUnreachable(f'sbatch answered "{job}", which is no job number.')
        return job

    def jobs(self) -> list[JobRow]:
        """Every job of this user that the controller has, ended ones too, in one call."""
        user = pwd.getpwuid(os.getuid()).pw_name
        out = self._run(["squeue", "--noheader", "--states=all", f"--user={user}", f"--format={FORMAT}"])
        rows = (line.split("|", 5) for line in out.splitlines())
        return [
            JobRow(each[0], word_of(each[1]), each[2], each[3], each[5], each[4]) for each in rows if len(each) == 6
        ]

    def past(self, jobs: Sequence[str]) -> list[JobRow]:
        """What accounting has of jobs that the controller has forgotten; nothing where no account is kept.

        Raises:
            BackendUnreachable: it does not answer.
        """
        if not shutil.which("sacct"):
            return []
        which = (f"--jobs={','.join(jobs)}", "--duplicates", "--allocations", f"--format={PAST}")
        try:
            out = self._run(["sacct", "--noheader", "--parsable2", *which])
        except BackendUnreachable as error:
            if NO_ACCOUNTS in error.message.lower():
                return []
            raise
        rows = (line.split("|", 5) for line in out.splitlines())
        return [_past(each) for each in rows if len(each) == 6]

    def signal(self, job: str, name: str) -> None:
        """Send a signal to the batch script alone; one that has ended already is no error."""
        self._run(["scancel", "--quiet", "--batch", f"--signal={name}", job], is_lenient=True)

    def end(self, job: str) -> None:
        """Take a job out of the queue, or end it."""
        self._run(["scancel", "--quiet", job], is_lenient=True)

    def nodes(self, backend: str) -> list[HostStatus]:
        """Every node."""
        wanted = ",".join(f"{name}:{width}" for name, width in NODE_FIELDS.items())
        out = self._run(["sinfo", "--noheader", "--Node", f"--Format={wanted}"])
        rows = (_columns(line) for line in out.splitlines())
        return list({row["NodeList"]: _node(backend, row) for row in rows}.values())

    def _run(self, argv: Sequence[str], given: str = "", *, is_lenient: bool = False) -> str:
        try:
            done = subprocess.run(
                argv,
                input=given,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ANSWER_S,
                check=False,
                env={**os.environ, "SLURM_TIME_FORMAT": "%s"} if argv[0] == "sacct" else None,
            )
        except subprocess.TimeoutExpired as error:
            raise BackendUnreachable(f"{argv[0]} has not answered within {ANSWER_S:g} s.") from error
        except OSError as error:
            raise BackendUnreachable(f'"{argv[0]}" cannot be started: {error.strerror}.') from error
        words = done.stderr.strip().replace("\n", "; ")
        if done.returncode == 0 or (is_lenient and not _is_away(words)):
            return done.stdout
        if _is_away(words) or argv[0] != "sbatch":
            raise BackendUnreachable(f"{argv[0]}: {words or f'exit code {done.returncode}'}.")
        raise ActionFailed(f"Slurm refused the job: {words.replace('sbatch: error: ', '')}.")


def _past(each: Sequence[str]) -> JobRow:
    submitted = float(each[4]) if each[4].isdigit() else 0.0
    code = _exit_code(each[2])
    return JobRow(each[0], word_of(each[1]), "", each[3], each[5], "", code, submitted, "sacct")


def _exit_code(text: str) -> int:
    """As a shell says it: sacct's ``3:0`` is exit code 3, ``0:9`` a death by signal 9."""
    code, _, signo = text.partition(":")
    return 128 + int(signo) if signo not in ("", "0") else int(code)


def _is_away(words: str) -> bool:
    return any(each in words.lower() for each in AWAY)


def _columns(line: str) -> dict[str, str]:
    found, at = {}, 0
    for name, width in NODE_FIELDS.items():
        found[name] = line[at : at + width].strip()
        at += width
    return found


def _node(backend: str, row: Mapping[str, str]) -> HostStatus:
    state = row["StateCompact"].rstrip("*~#$@+-")
    parts = row["CPUsState"].split("/")  # Allocated, idle, other, all.
    gpus = gpus_of(row["Gres"])
    return HostStatus(
        backend,
        row["NodeList"],
        state,
        state in ("idle", "mix", "alloc"),
        cpus=int(parts[3]),
        cpus_free=int(parts[1]),
        gpus=gpus,
        gpus_free=gpus - gpus_of(row["GresUsed"]),
        memory_mib=int(row["Memory"]) if row["Memory"].isdigit() else None,
        reason="" if row["Reason"] == "none" else row["Reason"],
    )


def gpus_of(gres: str) -> int:
    """How many GPUs a ``gres`` text names: ``gpu:a100:4(S:0-1)`` are 4."""
    parts = (each.partition("(")[0].split(":") for each in gres.split(","))
    return sum(int(each[-1]) if each[-1].isdigit() else 1 for each in parts if each[0] == "gpu")
