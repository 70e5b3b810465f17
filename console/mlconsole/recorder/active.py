"""The runs of this process: which one is active, and what happens to it when the program ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from itertools import count
from threading import RLock
from time import time
from typing import Optional, SupportsFloat

from mlconsole.recorder import leaving, places, process, spawning
from mlconsole.recorder.failure import Ending
from mlconsole.recorder.ranks import Place
from mlconsole.recorder.resume import last_step
from mlconsole.recorder.run import Path, Run, Tags
from mlconsole.recorder.values import as_text
from mlconsole.recorder.writer import Writer

_LONGEST_NAME = 1000

_stack: list[Run] = []
_lock = RLock()
_ordinals = count()
_joined: set[str] = set()
_begun: list[str] = []


def start_run(
    experiment: Optional[str] = None,
    name: Optional[str] = None,
    params: Optional[Mapping[str, object]] = None,
    tags: Optional[Tags] = None,
    *,
    run_id: Optional[str] = None,
    resume: Optional[bool] = None,
    nested: bool = False,
    capture: bool = True,
) -> Run:
    """Start to record a run, and make it the active one.

    Under ``mlconsole launch`` the first call joins the launched run and later ones make children of it. Inside the
    ``with`` block of a run, a call makes a child of that run; after a bare call it makes a sibling, or with
    ``nested=True`` a child. The processes of a distributed job (torchrun, Slurm, MPI) join one run as its ranks, and
    a process that multiprocessing spawns writes to the run that the script's own ``start_run`` made.

    Args:
        experiment: the group of runs that this one belongs to.
        name: what to call it.
        params: its parameters, as for :meth:`Run.log_params`.
        tags: its tags, as for :meth:`Run.set_tags`.
        run_id: the id of the run to write to; any other text stands for the id derived from it.
        resume: go on with the run of that id: steps without a number go on after its last one.
        nested: make a child of the active run.
        capture: record the code and the environment (rank 0 only, beside the training).

    Returns:
        The run; use it in a ``with`` statement, or let it end with the program.
    """
    with _lock:
        place = Place(os.environ)
        ordinal = next(_ordinals)
        known = spawning.run_of(ordinal)
        chosen = known or _choose_id(place, run_id, ordinal)
        if name is None and run_id is not None and chosen != run_id:
            name = as_text(run_id)
        parent = _parent_of(chosen, place, nested)
        if known:
            params = tags = None  # the run has them
            run = _join(chosen, name, parent, place)
        else:
            run = _begin(chosen, name, parent, place, experiment, bool(resume), capture)
            spawning.tell([*_begun, chosen])
        _begun.append(chosen)
        _stack.append(run)
        leaving.watch(_end_all)
    if params is not None:
        run.log_params(params)
    if tags is not None:
        run.set_tags(tags)
    return run


def current() -> Run:
    """The active run; joins the launched run or starts one where none is active."""
    with _lock:
        if _stack:
            return _stack[-1]
        return start_run(run_id=Place(os.environ).launched)


def log(metrics: Mapping[str, SupportsFloat], step: Optional[int] = None) -> None:
    """Record metrics of the active run; see :meth:`Run.log`."""
    try:
        run = _stack[-1]
    except IndexError:
        run = current()
    run.log(metrics, step)


def log_params(params: Mapping[str, object]) -> None:
    """Record parameters of the active run; see :meth:`Run.log_params`."""
    current().log_params(params)


def set_tags(tags: Tags, remove: Iterable[str] = ()) -> None:
    """Set tags of the active run; see :meth:`Run.set_tags`."""
    current().set_tags(tags, remove)


def log_artifact(
    path: Path,
    name: Optional[str] = None,
    *,
    copy: bool = True,
    metadata: Optional[Mapping[str, object]] = None,
) -> None:
    """Keep a file or a folder with the active run; see :meth:`Run.log_artifact`."""
    current().log_artifact(path, name, copy=copy, metadata=metadata)


def log_dataset(
    path_or_name: Path,
    name: Optional[str] = None,
    *,
    digest: str = "",
    metadata: Optional[Mapping[str, object]] = None,
) -> None:
    """Record which data the active run used; see :meth:`Run.log_dataset`."""
    current().log_dataset(path_or_name, name, digest=digest, metadata=metadata)


def log_model(
    path: Path,
    name: Optional[str] = None,
    *,
    copy: bool = True,
    metadata: Optional[Mapping[str, object]] = None,
) -> None:
    """Keep a saved model with the active run; see :meth:`Run.log_model`."""
    current().log_model(path, name, copy=copy, metadata=metadata)


def use_model(
    path_or_name: Path,
    name: Optional[str] = None,
    *,
    digest: str = "",
    metadata: Optional[Mapping[str, object]] = None,
) -> None:
    """Record which model the active run begins from; see :meth:`Run.use_model`."""
    current().use_model(path_or_name, name, digest=digest, metadata=metadata)


def _choose_id(place: Place, run_id: Optional[str], ordinal: int) -> str:
    if run_id is not None:
        chosen = places.as_id(as_text(run_id))
    elif place.launched is not None and place.launched not in _joined:
        chosen = place.launched
    else:
        chosen = place.shared_id(ordinal) or places.new_id()
    _joined.add(chosen)
    return chosen


def _parent_of(run_id: str, place: Place, nested: bool) -> Optional[str]:
    parent = place.launched
    if _stack:
        active = _stack[-1]
        beside = not (nested or active.is_block or active.id == place.launched)
        parent = active.parent if beside else active.id
    return None if run_id in (parent, place.launched) else parent


def _begin(
    run_id: str,
    name: Optional[str],
    parent: Optional[str],
    place: Place,
    experiment: Optional[str],
    resume: bool,
    capture: bool,
) -> Run:
    home = places.home()
    directory = places.run_directory(home, run_id)
    resumed = resume or place.restart > 0
    before = last_step(directory) if resumed else None
    opening = {
        "world_size": place.world_size,
        "user": process.user(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "resumed": resumed,
    }
    writer = Writer(home, run_id, place.rank, opening, 0 if before is None else before + 1)
    named = _shortened(name)
    run = Run(run_id, named, directory, writer, _left)
    run.parent = parent
    start = {
        "e": "start",
        "t": time(),
        "experiment": _shortened(experiment),
        "name": named,
        "parent": parent,
        "created": time(),
        "command": _command(),
        "cwd": _working_directory(),
        "launched": run_id == place.launched,
    }
    run.begin(capture and place.rank == 0, [start])
    if resume and before is None:
        run.note("info", "resumed, and no earlier step was found")
    return run


def _join(run_id: str, name: Optional[str], parent: Optional[str], place: Place) -> Run:
    """A run that the process which spawned this one began, and will end."""
    home = places.home()
    opening = {"world_size": place.world_size, "user": process.user()}
    writer = Writer(home, run_id, place.rank, opening)
    writer.is_child = True
    run = Run(run_id, _shortened(name), places.run_directory(home, run_id), writer, _left)
    run.parent = parent
    return run


def _shortened(name: Optional[str]) -> Optional[str]:
    return None if name is None else as_text(name)[:_LONGEST_NAME]


def _left(run: Run) -> None:
    """Forget an ended run."""
    with _lock:
        if run in _stack:
            _stack.remove(run)


def _command() -> list[str]:
    """The whole command line; before Python 3.10 without the interpreter's own options."""
    return list(getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv])


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _end_all(ending: Optional[Ending]) -> None:
    for run in reversed(list(_stack)):
        run.finish(ending)


def _after_fork_in_child() -> None:
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
