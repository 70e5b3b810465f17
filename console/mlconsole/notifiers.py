"""Finds and loads notifiers: the plugins registered under the entry-point group ``mlconsole.notifiers``."""

from __future__ import annotations

from typing import cast

from mlconsole.plugin_api import Notifier
from mlconsole.plugins import Broken, Plugins

PLUGINS = Plugins("mlconsole.notifiers", "notifier", Notifier)


def names() -> list[str]:
    """The names of every installed notifier, whether it loads or not."""
    return PLUGINS.names()


def one(name: str) -> Notifier:
    """The notifier of that name.

    Raises:
        NotFound: no such notifier is installed.
        BackendUnreachable: it is installed and does not load.
    """
    return cast(Notifier, PLUGINS.one(name))


def broken() -> list[Broken]:
    """The installed notifiers that do not load, with the reason."""
    return PLUGINS.broken()
