"""Results as lines of plain text for a terminal or a pipe; foreign text goes through the one door."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from importlib import import_module

from mlconsole.domain.results import Listing
from mlconsole.domain.runs import Run
from mlconsole.render.columns import DEFAULT, column
from mlconsole.render.sanitise import cell_width, clean
from mlconsole.render.states import mark_of

CELL_LIMIT = 60
ELSEWHERE = tuple(
    f"mlconsole.render.{noun}"
    for noun in (
        "run",
        "action",
        "money",
        "gpu",
        "dataset",
        "model",
        "lineage",
        "watch",
        "drift",
        "release",
        "reproduce",
        "queue",
    )
)
"""Where the lines of everything else are, loaded one after the other until one knows the thing: 1 to 2 ms each."""
EMPTY = {
    "run": "No runs here. Start one: mlconsole launch -- python train.py",
    "experiment": "No experiments yet. A run's --experiment makes one.",
    "audit": "Nothing was changed yet.",
    "price": "No such price. Import a book: mlconsole price import FILE",
    "gpu_history": "No GPU has a past yet. It is kept while the console runs, or: mlconsole gpu list --watch",
    "dataset": "No datasets yet. Add one: mlconsole dataset add PATH --name NAME",
    "model": "No models yet. Register one: mlconsole model register RUN --name NAME",
    "release": "No releases yet. Make one: mlconsole release create --model NAME@VERSION",
    "environment": "No environments yet. Make one: mlconsole env create NAME --target directory:/PATH",
    "move": "Nothing was ever live here. Roll out: mlconsole env rollout ENV RELEASE",
    "deployment": "Nothing that is live came of it.",
    "file": "Every file is as it was.",
    "policy": "No policies yet. Write some, and arm them: mlconsole policy apply FILE",
    "firing": "No policy has fired, and none was held back.",
    "policy_change": "The file holds no policies.",
    "sweep": "No sweeps yet. Start one: mlconsole launch --grid lr=0.1,0.01 -- python train.py --lr {lr}",
    "job": "Nothing is under way, and nothing waits.",
    "alert": "Nothing fires. What is over: mlconsole alert list --all",
    "monitor": "No monitors yet. Make one: mlconsole monitor add NAME --baseline DATA --live GLOB",
    "budget": "No budgets yet. Set one: mlconsole budget set NAME --usd 500 --per month",
}


def lines(result: object, now: datetime) -> list[str]:
    """The result as lines, each fit for a terminal.

    Raises:
        TypeError: no front end knows this kind of result.
    """
    if isinstance(result, Listing):
        return _listing(result, now)
    if isinstance(result, list):
        return [line for run in result for line in _run(run)]
    if isinstance(result, Run):
        return _run(result)
    for module in ELSEWHERE:
        found: list[str] | None = import_module(f"{module}_tables").lines(result, now)
        if found is not None:
            return found
    raise TypeError(f"no text for {type(result).__name__}")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Set[int] = frozenset()) -> list[str]:
    """Aligned columns, two blanks apart; every cell is cleaned and cut to one line."""
    cells = [[clean(text, CELL_LIMIT) for text in row] for row in rows]
    widths = [max([cell_width(title), *(cell_width(row[i]) for row in cells)]) for i, title in enumerate(titles)]
    out = []
    for row in [list(titles), *cells]:
        parts = []
        for i, text in enumerate(row):
            gap = " " * (widths[i] - cell_width(text))
            parts.append(gap + text if i in right else text + gap)
        out.append("  ".join(parts).rstrip())
    return out


def _listing(listing: Listing[object], now: datetime) -> list[str]:
    if not listing.items:
        return [listing.empty or EMPTY.get(listing.kind, f"No {listing.kind}s.")]
    first = listing.items[0]
    if isinstance(first, Run):
        out = _runs([run for run in listing.items if isinstance(run, Run)], listing.columns, now)
    else:
        out = _elsewhere(listing.items, now)
    return out + (["... there are more: raise --limit or narrow the filter"] if listing.more else [])


def _elsewhere(items: Sequence[object], now: datetime) -> list[str]:
    for module in ELSEWHERE:
        found: list[str] | None = import_module(f"{module}_tables").listing(items, now)
        if found is not None:
            return found
    raise TypeError(f"no text for a list of {type(items[0]).__name__}")


def _runs(runs: Sequence[Run], names: Sequence[str], now: datetime) -> list[str]:
    columns = [column(name) for name in ("id", "name", "state", *names)] if names else [column(n) for n in DEFAULT]
    columns = list({c.key: c for c in columns}.values())
    rows = [[c.cell(run, now)[0] for c in columns] for run in runs]
    return table([clean(c.title) for c in columns], rows, {i for i, c in enumerate(columns) if c.right})


def _run(run: Run) -> list[str]:
    mark = mark_of(run)
    return ["  ".join(clean(part) for part in (run.id, run.name, mark.word, run.why) if part)]
