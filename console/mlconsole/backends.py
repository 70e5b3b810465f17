"""Finds and loads backends: the plugins registered under the entry-point group ``mlconsole.backends``."""

from __future__ import annotations

from typing import cast

from mlconsole.plugin_api import Backend
from mlconsole.plugins import Broken, Plugins

PLUGINS = Plugins("mlconsole.backends", "backend", Backend)


def names() -> list[str]:
    """The names of every installed backend, whether it loads or not."""
    return PLUGINS.names()


def one(name: str) -> Backend:
    """The backend of that name.

    Raises:
        NotFound: no such backend is installed.
        BackendUnreachable: it is installed and does not load.
    """
    return cast(Backend, PLUGINS.one(name))


def broken() -> list[Broken]:
    """The installed backends that do not load, with the reason."""
    return PLUGINS.broken()
