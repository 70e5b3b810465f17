"""Finds and loads the plugins of one kind, by the entry points of installed packages.

Entry points are read from the ``entry_points.txt`` files beside installed packages, without importlib.metadata, whose
import alone costs 20 ms. A plugin that does not load, or not within seconds, is quarantined and named, never fatal.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache

from mlconsole.errors import BackendUnreachable, NotFound
from mlconsole.records import record

LOADS_WITHIN_S = 5.0
"""Seconds a plugin has for its import; the slowest of ours takes 0.1."""
LOADING = threading.Lock()
"""Two that are loaded at once would give each other's streams back."""


@record
class Broken:
    """A plugin that could not be loaded: its name, and the last line of what it raised."""

    name: str
    reason: str
    traceback: str


@lru_cache(maxsize=8)
def entry_points(group: str) -> dict[str, str]:
    """Names and the ``module:attribute`` each one is loaded from, installed packages only."""
    found: dict[str, str] = {}
    for directory in sys.path:
        if not directory or not os.path.isabs(directory):
            continue
        try:
            names = [n for n in os.listdir(directory) if n.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for name in sorted(names):
            found = {**_read(os.path.join(directory, name, "entry_points.txt"), group), **found}
    return found


def _read(path: str, group: str) -> dict[str, str]:
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
        elif section == group and "=" in text:
            name, _, target = text.partition("=")
            found[name.strip()] = target.strip()
    return found


class Plugins:
    """The installed plugins of one kind.

    Args:
        group: the entry-point group.
        noun: what one is called.
        protocol: what each must have the methods of; checkable at run time.
    """

    def __init__(self, group: str, noun: str, protocol: type) -> None:
        self._group, self._noun, self._protocol = group, noun, protocol
        self._loaded: dict[str, object] = {}

    def names(self) -> list[str]:
        """The names of all that are installed, whether they load or not."""
        return sorted(entry_points(self._group))

    def one(self, name: str) -> object:
        """The plugin of that name.

        Raises:
            NotFound: no such plugin is installed.
            BackendUnreachable: it is installed and does not load.
        """
        noun = self._noun
        if name not in entry_points(self._group):
            raise NotFound(f'No {noun} "{name}" is installed.', f"Installed: {', '.join(self.names()) or 'none'}.")
        plugin = self._get(name)
        if isinstance(plugin, Broken):
            raise BackendUnreachable(
                f'{noun.capitalize()} "{name}" does not load: {plugin.reason}.', "See: mlconsole doctor"
            )
        return plugin

    def broken(self) -> list[Broken]:
        """Those that do not load, with the reason."""
        return [found for name in self.names() if isinstance(found := self._get(name), Broken)]

    def _get(self, name: str) -> object:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> object:
        place = entry_points(self._group)[name]
        made: list[object] = []
        loading = threading.Thread(target=lambda: made.append(_made(name, place)), daemon=True)
        # What a module prints while it is imported is no part of a command's output, and may hold escape sequences.
        with LOADING, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            loading.start()
            loading.join(LOADS_WITHIN_S)
        if not made:
            return Broken(name, f"importing {place} takes longer than {LOADS_WITHIN_S:g} s", "")
        plugin = made[0]
        if not isinstance(plugin, (self._protocol, Broken)):
            return Broken(name, f"{place} does not have the methods of a {self._noun}", "")
        return plugin


def _made(name: str, place: str) -> object:
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except BaseException as error:  # noqa: BLE001  a stranger's code may raise anything, SystemExit too
        import traceback  # 2 ms, where a plugin does not load

        return Broken(name, f"{type(error).__name__}: {error}", traceback.format_exc())
