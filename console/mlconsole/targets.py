"""Finds and loads targets: the plugins registered under the entry-point group ``mlconsole.targets``."""

from __future__ import annotations

from typing import cast

from mlconsole.plugin_api import Target
from mlconsole.plugins import Broken, Plugins

PLUGINS = Plugins("mlconsole.targets", "target", Target)


def names() -> list[str]:
    """The names of every installed target, whether it loads or not."""
    return PLUGINS.names()


def one(name: str) -> Target:
    """The target of that name.

    Raises:
        NotFound: no such target is installed.
        BackendUnreachable: it is installed and does not load.
    """
    return cast(Target, PLUGINS.one(name))


def broken() -> list[Broken]:
    """The installed targets that do not load, with the reason."""
    return PLUGINS.broken()
