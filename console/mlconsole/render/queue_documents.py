"""Sweeps as JSON documents."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.sweeps import Sweep
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a sweep; None for any other result."""
    found = item(result)
    return None if found is None else {"kind": "sweep", **found}


def item(thing: object) -> Document | None:
    """One element of a list of sweeps; None for any other."""
    return _sweep(thing) if isinstance(thing, Sweep) else None


def _sweep(sweep: Sweep) -> Document:
    runs = [
        {
            "id": run.id,
            "name": run.name,
            "state": run.state.value,
            "outcome": run.outcome.value if run.outcome else None,
            "point": {name: run.params.get(name) for name in sweep.grid},
            "metrics": {key: {"last": found.last, "step": found.step} for key, found in run.metrics.items()},
        }
        for run in sweep.runs
    ]
    grid = {name: list(values) for name, values in sweep.grid.items()}
    own = {"id": sweep.id, "name": sweep.name, "user": sweep.user, "created_at": iso(sweep.created_at)}
    return {**own, "grid": grid, "runs": runs}
