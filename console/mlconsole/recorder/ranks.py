"""Ranks of a distributed job, and how their processes agree on one run without talking to each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Optional

from mlconsole.recorder import process
from mlconsole.recorder.places import as_id, derived_id

_RANK = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID", "LOCAL_RANK")  # the last by Lightning alone
_TOLD = (
    "MLCONSOLE_RUN_ID",
    "TORCHELASTIC_RUN_ID",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "SLURM_RESTART_COUNT",
)
_UUID_LENGTH = 32  # torchrun --standalone makes one up; otherwise its run id is "none" or a person's word
_WORLD = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS")


class Place:
    """This process's place in its job.

    Attributes:
        rank: 0 for the first process and for one that is alone.
        world_size: how many processes the job has.
        launched: the run id that a launcher gave in ``MLCONSOLE_RUN_ID``, if one did.
        restart: how often torchrun has restarted the job's processes.
    """

    __slots__ = ("_agreed", "launched", "rank", "restart", "world_size")

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.world_size = max(1, _number(environ, _WORLD))
        self.rank = min(max(0, _number(environ, _RANK)), self.world_size - 1)
        self.restart = _number(environ, ("TORCHELASTIC_RESTART_COUNT",))
        given = environ.get("MLCONSOLE_RUN_ID")
        self.launched = as_id(given) if given else None
        self._agreed = _agreed(environ) if self.world_size > 1 else None

    def shared_id(self, ordinal: int) -> Optional[str]:
        """The run id that all ranks get for their n-th ``start_run``; None where there is nobody to agree with.

        Ranks derive it from what torchrun, Slurm or the environment tells all of them and no other job: the
        elastic run id, the master's address and port, the Slurm step. Processes of one host also share their
        parent, whose start time tells this job from an earlier one with the same address and port. On several
        hosts only the environment is common: where it may repeat itself (a fixed port, without Slurm and
        without a rendezvous id of its own), set ``MLCONSOLE_RUN_ID`` for all ranks.
        """
        return None if self._agreed is None else derived_id("ranks", *self._agreed, str(ordinal))


def _agreed(environ: Mapping[str, str]) -> Optional[list[str]]:
    """What all ranks of this job know and no other job does, as well as it can be told."""
    words = [environ.get(name, "") for name in _TOLD]
    if not any(words):
        return None
    unique = "SLURM_STEP_ID" in environ or len(environ.get("TORCHELASTIC_RUN_ID", "")) >= _UUID_LENGTH
    if not unique and _is_one_host(environ):
        boot = process.read_line("/proc/sys/kernel/random/boot_id")
        words += [boot, str(process.start_ticks(os.getppid()))]
    return words


def _is_one_host(environ: Mapping[str, str]) -> bool:
    if "LOCAL_WORLD_SIZE" in environ:
        return environ["LOCAL_WORLD_SIZE"] == environ.get("WORLD_SIZE")
    return environ.get("MASTER_ADDR", "") in ("", "localhost", "127.0.0.1", "::1")


def _number(environ: Mapping[str, str], names: tuple[str, ...]) -> int:
    """The first of some variables that is a number; Slurm's count only where each task has its own."""
    for name in names:
        text = environ.get(name, "")
        if text.isdecimal() and ("SLURM_STEP_ID" in environ or not name.startswith("SLURM_")):
            return int(text)
    return 0
