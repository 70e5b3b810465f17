"""Finds and loads backends: the plugins registered under the entry-point group ``mlconsole.backends``.

Entry points are read from the ``entry_points.txt`` files beside installed packages, without importlib.metadata, whose
import alone costs 20 ms. A plugin that fails to load is quarantined and named, never fatal.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from functools import lru_cache

from mlconsole.errors import BackendUnreachable, NotFound
from mlconsole.plugin_api import Backend

GROUP = "mlconsole.backends"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be loaded: its name, and the last line of what it raised."""

    name: str
    reason: str
    traceback: str


@lru_cache(maxsize=1)
def entry_points() -> dict[str, str]:
    """Backend names and the ``module:attribute`` each one is loaded from, installed packages only."""
    found: dict[str, str] = {}
    for directory in sys.path:
        if not directory or not os.path.isabs(directory):
            continue
        try:
            names = [n for n in os.listdir(directory) if n.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for name in sorted(names):
            found = {**_read(os.path.join(directory, name, "entry_points.txt")), **found}
    return found


def _read(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    section = ""
    for line in lines:
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            section = text.strip("[]")
        elif section == GROUP and "=" in text:
            name, _, target = text.partition("=")
            found[name.strip()] = target.strip()
    return found


def names() -> list[str]:
    """The names of every installed backend, whether it loads or not."""
    return sorted(entry_points())


@lru_cache(maxsize=64)
def _load(name: str) -> Backend | Broken:
    module, _, attribute = entry_points()[name].partition(":")
    try:
        backend = getattr(importlib.import_module(module), attribute)()
    except Exception as error:  # noqa: BLE001  a stranger's code may raise anything
        return Broken(name, f"{type(error).__name__}: {error}", traceback.format_exc())
    if not isinstance(backend, Backend):
        return Broken(name, f"{entry_points()[name]} does not have the methods of a backend", "")
    return backend


def one(name: str) -> Backend:
    """The backend of that name.

    Raises:
        NotFound: no such backend is installed.
        BackendUnreachable: it is installed and does not load.
    """
    if name not in entry_points():
        raise NotFound(f'No backend "{name}" is installed.', f"Installed: {', '.join(names()) or 'none'}.")
    backend = _load(name)
    if isinstance(backend, Broken):
        raise BackendUnreachable(f'Backend "{name}" does not load: {backend.reason}.', "See: mlconsole doctor")
    return backend


def broken() -> list[Broken]:
    """The installed backends that do not load, with the reason."""
    return [found for name in names() if isinstance(found := _load(name), Broken)]
