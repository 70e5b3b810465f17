"""Reading experiments."""

from __future__ import annotations

from mlconsole.actions.base import Action, NoParams
from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.domain.experiments import Experiment
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Listing


def list_experiments(ctx: Context, params: NoParams) -> Listing[Experiment]:
    """Every experiment, the one with the newest run first."""
    refresh(ctx)
    return Listing("experiment", ctx.catalog.runs.experiments())


LIST = Action("experiment list", "List experiments", NoParams, Effect.READ, list_experiments)
