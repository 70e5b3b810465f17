"""The runs that a command names: each by itself, or a sweep for all of its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mlconsole.actions.context import Context
from mlconsole.domain.runs import Run
from mlconsole.errors import ActionFailed

#: How such words are described.
RUNS = "ids, prefixes or names; a sweep's means its runs"


def runs_of(ctx: Context, words: Iterable[str], fits: Callable[[Run], bool], verb: str) -> list[Run]:
    """The runs, each once. A sweep's id, or its name where no run has it, means those of its runs that fit.

    Only a whole id or name of a run goes before a sweep, and no beginning of an id, which falls as it will.

    Raises:
        ActionFailed: no run of a sweep fits; the text says what there is nothing to do of, the ``verb``.
        NotFound: no run and no sweep is meant.
    """
    return list({run.id: run for word in words for run in _of(ctx, word, fits, verb)}.values())


def _of(ctx: Context, word: str, fits: Callable[[Run], bool], verb: str) -> list[Run]:
    if ctx.catalog.runs.has(word):
        return [ctx.catalog.runs.get(word)]
    sweep = next((each for each in ctx.catalog.queue.sweeps() if word in (each.id, each.name)), None)
    if sweep is None:
        return [ctx.catalog.runs.get(word)]
    found = ctx.catalog.runs.load(ctx.catalog.queue.runs_of_sweep(sweep.id), metrics=())
    if not (fitting := [run for run in found if fits(run)]):
        raise ActionFailed(f'No run of sweep "{sweep.name}" is left to {verb}.', f"mlconsole sweep show {sweep.id}")
    return fitting
