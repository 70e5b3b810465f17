"""Where requests go now: the text of one link, ``7:38211`` for generation 7 on that port, swapped by a rename."""

from __future__ import annotations

import os
from typing import NamedTuple

NAME = "route"
CONTROL = "control"


class Route(NamedTuple):
    """A generation, and the loopback port that its server listens on."""

    generation: int
    port: int

    @property
    def text(self) -> str:
        """As the link has it."""
        return f"{self.generation}:{self.port}"


def read(folder: str) -> Route | None:
    """The present route; None where there is none, or what is there is none."""
    try:
        generation, _, port = os.readlink(os.path.join(folder, NAME)).partition(":")
        return Route(int(generation), int(port))
    except (OSError, ValueError):
        return None


def swap(folder: str, route: Route) -> None:
    """Send every request from now on another way."""
    new = os.path.join(folder, f"{NAME}.new")
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(route.text, new)
    os.rename(new, os.path.join(folder, NAME))


def remove(folder: str) -> None:
    """Send requests nowhere."""
    try:
        os.unlink(os.path.join(folder, NAME))
    except FileNotFoundError:
        pass
