"""Processes that run the script's file again, whose runs are the ones that there are.

``multiprocessing.spawn`` and the fork server import the main module in every worker. A ``start_run`` at its top level
would make a run for each worker of a data loader, each epoch. What a worker starts once it has its work is its own.
Lightning starts the whole script again for each further GPU (``strategies/launchers/subprocess_script.py``).
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
    os.environ[_VARIABLE] = ",".join([str(os.getpid()), *begun[:_MOST]])


def run_of(ordinal: int) -> Optional[str]:
    """The run that the n-th ``start_run`` means where the script's file is only run again; None anywhere else."""
    teller, *begun = os.environ.get(_VARIABLE, "").split(",")
    if not (_is_imported_by_spawn() or _is_started_by_lightning(teller)):
        return None
    found = begun[ordinal] if ordinal < len(begun) else ""
    return found if is_id(found) else None


def _is_imported_by_spawn() -> bool:
    processes = sys.modules.get("multiprocessing.process")
    # Set while a spawned process imports the main module (multiprocessing/spawn.py, _main), since Python 3.4.
    return processes is not None and getattr(processes.current_process(), "_inheriting", False)


def _is_started_by_lightning(teller: str) -> bool:
    further = "RANK" not in os.environ and os.environ.get("LOCAL_RANK", "0") != "0" and "NODE_RANK" in os.environ
    return further and teller == str(os.getppid())
