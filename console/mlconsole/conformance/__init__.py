"""What every backend promises, as checks that run real jobs: for its author, for the tests, for whoever sets one up."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mlconsole.conformance.kit import Broken, Jobs, NotHere, jobs_of
from mlconsole.domain.promises import Verdict
from mlconsole.plugin_api import ActionFailed, Backend, MlconsoleError
from mlconsole.records import record

SIGHT = "import os, sys; print('seen' if os.path.isdir(sys.argv[1]) else 'hidden')"
MODULES = ("lifecycle", "exactness", "output", "stopping", "tokens", "trouble")


@record
class Promise:
    """One thing that a backend promises.

    ``claim`` is it in words; ``keep`` raises :class:`Broken` where it is not so, and :class:`NotHere` where the backend
    has not declared what it is about.
    """

    name: str
    claim: str
    keep: Callable[[Jobs], None]


def promises() -> list[Promise]:
    """Every promise: the functions of the modules that say so, in their order."""
    found = []
    for module in MODULES:
        for name, function in vars(importlib.import_module(f"mlconsole.conformance.{module}")).items():
            if getattr(function, "__module__", "").endswith(f".{module}") and name.startswith("keeps_"):
                words = " ".join((function.__doc__ or "").split()).rstrip(".")
                found.append(Promise(f"{module}.{name.removeprefix('keeps_')}", words, function))
    return found


def hold_to(backend: Backend, folder: Path) -> Iterator[Verdict]:
    """Hold a backend to every promise; its jobs run in folders of their own below ``folder``.

    Raises:
        ActionFailed: its jobs do not see that folder, so that nothing could be told of most promises.
    """
    see(backend, folder)
    for number, promise in enumerate(promises()):
        place = folder / f"{number:02}-{promise.name.partition('.')[2]}"
        place.mkdir(parents=True)
        yield kept(backend, promise, place)


def see(backend: Backend, folder: Path) -> None:
    """See that jobs of a backend find this machine's folder where they run; if none can be run, the promises tell."""
    place = folder / "sight"
    place.mkdir(parents=True)
    try:
        with jobs_of(backend, place) as jobs:
            handle = jobs.python(SIGHT, str(place), cwd="/")
            jobs.ended(handle)
            is_hidden = jobs.output(handle) == b"hidden\n"
    except Exception:  # noqa: BLE001  a plugin may raise anything; which promise that breaks is seen next
        return
    if is_hidden:
        raise ActionFailed(
            f'The jobs of backend "{backend.name}" do not see the folder "{folder}" of this machine.',
            "Try it on a catalog that both sides see: --catalog DIR",
        )


def kept(backend: Backend, promise: Promise, folder: Path) -> Verdict:
    """Hold a backend to one promise."""
    began = time.monotonic()
    verdict, detail = "kept", ""
    try:
        with jobs_of(backend, folder) as jobs:
            promise.keep(jobs)
    except NotHere as why:
        verdict, detail = "not declared", str(why)
    except Broken as why:
        verdict, detail = "broken", str(why)
    except MlconsoleError as error:
        verdict, detail = "broken", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001  a plugin may raise anything; that breaks the promise about errors
        verdict, detail = "broken", f"{type(error).__name__}, which is no class of plugin_api: {error}"
    return Verdict(promise.name, promise.claim, verdict, detail, time.monotonic() - began)
