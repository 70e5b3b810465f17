"""Every screen of the console on one page: its names, what it shows, and where its code is.

A new screen is a line here, a module and its .tcss in ``screens/``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mlconsole.domain.query import Query, parse
from mlconsole.errors import QueryError
from mlconsole.records import record, replace

if TYPE_CHECKING:
    from mlconsole.tui.screens.base import PlaceScreen


@record
class Place:
    """One screen.

    Attributes:
        name: what is typed behind ``:``.
        aliases: other words for it.
        title: its heading.
        summary: one line for help and completion.
        screen: ``module:class``, loaded when the place is first visited.
        lists: what it lists and filters (``run``, or ``row`` by the columns of its own), empty when it takes no filter.
        takes: what it is about (``run``, ``marked``), empty when it needs nothing.
        is_optional: it may be visited without what it takes.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    summary: str
    screen: str
    lists: str = ""
    takes: str = ""
    is_optional: bool = False


PLACES: tuple[Place, ...] = (
    Place(
        "overview",
        ("o", "home"),
        "Overview",
        "what is wrong, what runs, what has ended",
        "mlconsole.tui.screens.overview:OverviewScreen",
        lists="row",
    ),
    Place("runs", ("r", "ls"), "Runs", "all runs, by filter", "mlconsole.tui.screens.runs:RunsScreen", lists="run"),
    Place("run", (), "Run", "one run: curves, params, log", "mlconsole.tui.screens.run:RunScreen", takes="run"),
    Place(
        "compare",
        ("c",),
        "Compare",
        "marked runs side by side",
        "mlconsole.tui.screens.compare:CompareScreen",
        takes="marked",
    ),
    Place(
        "experiments",
        ("exp", "e"),
        "Experiments",
        "experiments and how many runs",
        "mlconsole.tui.screens.experiments:ExperimentsScreen",
        lists="row",
    ),
    Place(
        "gpus",
        ("g",),
        "GPUs",
        "this machine's GPUs: which run, whose, what it costs",
        "mlconsole.tui.screens.gpus:GpusScreen",
        lists="row",
    ),
    Place(
        "gpu",
        (),
        "GPU",
        "one GPU: what it did, who holds it, why it is taken for idle",
        "mlconsole.tui.screens.gpu:GpuScreen",
        takes="gpu",
    ),
    Place(
        "cost",
        ("money", "$"),
        "Cost",
        "what was spent, by any axis; what burns",
        "mlconsole.tui.screens.cost:CostScreen",
        lists="row",
    ),
    Place(
        "models",
        ("mod",),
        "Models",
        "registered versions and their aliases",
        "mlconsole.tui.screens.models:ModelsScreen",
        lists="row",
    ),
    Place(
        "model",
        (),
        "Model",
        "one version: files, signature, aliases, card",
        "mlconsole.tui.screens.model:ModelScreen",
        takes="model",
    ),
    Place(
        "lineage",
        ("lin",),
        "Lineage",
        "what was made from what",
        "mlconsole.tui.screens.lineage:LineageScreen",
        lists="row",
        takes="thing",
        is_optional=True,
    ),
    Place(
        "monitors",
        ("drift", "mon"),
        "Monitors",
        "live data against its baselines: what moved",
        "mlconsole.tui.screens.monitors:MonitorsScreen",
        lists="row",
    ),
    Place(
        "monitor",
        (),
        "Monitor",
        "one monitor: its columns by effect",
        "mlconsole.tui.screens.monitors:MonitorScreen",
        takes="monitor",
    ),
    Place(
        "jobs",
        ("j", "backends"),
        "Jobs",
        "the queue and why it waits, what runs where, machines",
        "mlconsole.tui.screens.jobs:JobsScreen",
        lists="row",
    ),
    Place(
        "sweeps",
        ("sweep", "grid"),
        "Sweeps",
        "one command over a grid of values, a row each",
        "mlconsole.tui.screens.sweeps:SweepsScreen",
        lists="row",
    ),
    Place(
        "environments",
        ("env", "envs", "releases"),
        "Environments",
        "what is live where, and whether that is what is intended",
        "mlconsole.tui.screens.environments:EnvironmentsScreen",
        lists="row",
    ),
    Place(
        "environment",
        (),
        "Environment",
        "one environment: generations, parts, gates, rollout",
        "mlconsole.tui.screens.environment:EnvironmentScreen",
        takes="environment",
    ),
    Place(
        "alerts",
        ("alarms", "!"),
        "Alerts",
        "what fires, who is at it, what was over",
        "mlconsole.tui.screens.alerts:AlertsScreen",
        lists="row",
    ),
    Place(
        "alert",
        (),
        "Incident",
        "one incident: its timeline, parts and data",
        "mlconsole.tui.screens.alert:AlertScreen",
        takes="alert",
    ),
    Place(
        "policies",
        ("night",),
        "Policies",
        "what policies did, why, and what they held back",
        "mlconsole.tui.screens.policies:PoliciesScreen",
        lists="row",
    ),
    Place(
        "policy",
        (),
        "Policy",
        "one policy: its limits and all its firings",
        "mlconsole.tui.screens.policies:PolicyScreen",
        takes="policy",
    ),
    Place(
        "audit",
        ("a", "log"),
        "Audit",
        "who changed what, and what came of it",
        "mlconsole.tui.screens.audit:AuditScreen",
        lists="row",
    ),
)
HOME = "runs"
ORDERS = ("sort:", "cols:")
"""How a word begins that is never what a place is about."""


@record
class Location:
    """Where a person is: a place, what it is about, the filter line, and the row the cursor stood on."""

    place: str
    target: str = ""
    line: str = ""
    cursor: str = ""

    @property
    def text(self) -> str:
        """The location as typed behind ``:``."""
        return " ".join(part for part in (self.place, self.target, self.line) if part)

    def at(self, cursor: str) -> Location:
        """The same location with the cursor on another row."""
        return replace(self, cursor=cursor)


def find(word: str) -> Place | None:
    """The place of that name or alias; a unique beginning of a name is enough."""
    for place in PLACES:
        if word in (place.name, *place.aliases):
            return place
    begun = [place for place in PLACES if word and place.name.startswith(word)]
    return begun[0] if len(begun) == 1 else None


def lists(name: str) -> str:
    """What the place of that name lists; empty for none."""
    place = find(name)
    return place.lists if place is not None else ""


def load(place: Place) -> type[PlaceScreen]:
    """The screen class of a place."""
    module, _, name = place.screen.partition(":")
    found: type[PlaceScreen] = getattr(importlib.import_module(module), name)
    return found


def locate(line: str, here: Location) -> tuple[Location, Query]:
    """The location that a typed line names, and its parsed filter.

    The first word is a place, or the whole line is a filter of the place where we are.

    Raises:
        QueryError: no such place, or a filter that does not parse; points into ``line``.
    """
    head, _, rest = line.strip().partition(" ")
    shift = line.find(head) + len(head) + 1 if head else 0
    place = find(head)
    if place is None:
        known = find(here.place)
        if known is None or not known.lists or not head:
            raise QueryError(f'No place "{head}".', _known(), text=line, start=line.find(head), end=shift - 1)
        return Location(known.name, here.target, line.strip()), parse(line)
    target = ""
    if place.takes and not place.lists:
        # All the rest is a name, which may have blanks in it.
        target, rest = rest.strip(), ""
    elif place.takes and not (place.is_optional and rest.lstrip().startswith(ORDERS)):
        target, _, rest = rest.strip().partition(" ")
    return Location(place.name, target, rest.strip()), _shifted(rest, line, shift)


def _shifted(rest: str, line: str, shift: int) -> Query:
    try:
        return parse(rest)
    except QueryError as error:
        raise QueryError(
            error.message, error.hint, text=line, start=error.start + shift, end=error.end + shift
        ) from error


def _known() -> str:
    return "Places: " + ", ".join(place.name for place in PLACES) + "."
