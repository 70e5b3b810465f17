"""Going to a hit of the search, round the log's end where there is none before it."""

from __future__ import annotations

from mlconsole.tui.logs.lines import Steps
from mlconsole.tui.logs.log import Log
from mlconsole.tui.logs.place import Place


def forward(log: Log, place: Place, start: int | None) -> Steps[str]:
    """Go to the first hit from an offset or, when that is None, from the first line in view on.

    Returns:
        What is to be told: that it went on from the top of the log, or found nothing.
    """
    hit = yield from log.hit_from(place.top if start is None else start)
    if hit is not None:
        return (yield from _arrived(log, place, hit, ""))
    hit = yield from log.hit_from(0)
    return (yield from _arrived(log, place, hit, "The search went on from the top."))


def backward(log: Log, place: Place, start: int | None) -> Steps[str]:
    """Go to the last hit before an offset or, when that is None, before the first line in view.

    Returns:
        What is to be told: that it went on from the end of the log, or found nothing.
    """
    hit = yield from log.hit_before(place.top if start is None else start)
    if hit is not None:
        return (yield from _arrived(log, place, hit, ""))
    hit = yield from log.hit_before(log.file.size)
    return (yield from _arrived(log, place, hit, "The search went on from the end."))


def _arrived(log: Log, place: Place, hit: int | None, notice: str) -> Steps[str]:
    if hit is None:
        label = log.search.pattern.label if log.search is not None else "hit"
        return f"Found no {label}{' among the filtered lines' if log.filter is not None else ''}."
    yield from place.turned_to(hit)
    return notice
