"""Processes that multiprocessing spawns: each runs the script's file again, whose runs are the ones that there are.

``multiprocessing.spawn`` and the fork server import the main module in every worker. A ``start_run`` at its top level
would make a run for each worker of a data loader, each epoch. What a worker starts once it has its work is its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Optional

from mlconsole.recorder.places import is_id

_VARIABLE = "MLCONSOLE_BEGUN_RUNS"
_MOST = 100  # one variable holds 128 KiB at most, and a program may begin any number of runs


def tell(begun: Sequence[str]) -> None:
    """Leave word for processes that are spawned from here of the runs that this program has begun, in order."""
    os.environ[_VARIABLE] = ",".join(begun[:_MOST])


def run_of(ordinal: int) -> Optional[str]:
    """The run that the n-th ``start_run`` means where the script's file is only run again; None anywhere else."""
    processes = sys.modules.get("multiprocessing.process")
    # Set while a spawned process imports the main module (multiprocessing/spawn.py, _main), since Python 3.4.
    if processes is None or not getattr(processes.current_process(), "_inheriting", False):
        return None
    begun = os.environ.get(_VARIABLE, "").split(",")[ordinal : ordinal + 1]
    return begun[0] if begun and is_id(begun[0]) else None
