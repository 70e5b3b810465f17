"""Sweeps: one command over a grid of values, a run for each point of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import product

from mlconsole.domain.runs import Run
from mlconsole.errors import UsageError
from mlconsole.records import record

MOST_POINTS = 10_000
#: The tag that every run of a sweep has; its value is the sweep's id.
TAG = "sweep"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@record
class Sweep:
    """A sweep and its runs, in the order of the grid.

    Attributes:
        grid: the values of each name, as they were given.
    """

    id: str
    name: str
    user: str
    grid: Mapping[str, Sequence[str]]
    created_at: datetime
    runs: Sequence[Run] = ()


def grid_of(texts: Sequence[str]) -> dict[str, list[str]]:
    """The values of each name of a grid: ``lr=0.1,0.01``.

    Raises:
        UsageError: it is not NAME=VALUE,VALUE, a name stands twice, or there are too many points.
    """
    grid: dict[str, list[str]] = {}
    points = 1
    for text in texts:
        name, equals, values = text.partition("=")
        found = list(dict.fromkeys(value.strip() for value in values.split(",")))
        if not equals or not NAME.fullmatch(name) or not all(found):
            raise UsageError(f'"{text}" is no part of a grid.', "Write --grid lr=0.1,0.01.")
        if name in grid:
            raise UsageError(f'"{name}" stands twice in the grid.', f"Write all its values in one: --grid {name}=A,B.")
        grid[name] = found
        points *= len(found)
    if points > MOST_POINTS:
        raise UsageError(f"The grid has {points:,} points; {MOST_POINTS:,} are the most.", "Leave some values out.")
    return grid


def points_of(grid: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Every point of a grid; the last name changes fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def command_at(command: Sequence[str], point: Mapping[str, str]) -> tuple[str, ...]:
    """The command at a point: ``{lr}`` becomes its value; a name that does not occur so is added as ``--lr VALUE``."""
    words = list(command)
    for name, value in point.items():
        hole = "{" + name + "}"
        if any(hole in word for word in command):
            words = [word.replace(hole, value) for word in words]
        else:
            words += [f"--{name}", value]
    return tuple(words)


def name_at(name: str, point: Mapping[str, str]) -> str:
    """The name of the run at a point."""
    return f"{name} [{' '.join(f'{key}={value}' for key, value in point.items())}]"
