"""Whether runs make headway."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from mlconsole.catalog.store import Store
from mlconsole.domain.times import to_us

SELECT_LAST_POINT = "SELECT max(last_us) FROM metric WHERE run = :run"
LIVE = "('starting', 'running')"
SELECT_HEADWAY = f"""
SELECT run.id, run.name, run.reach, max(metric.last_us), max(metric.count), coalesce(run.started_us, run.created_us)
FROM run
CROSS JOIN metric ON metric.run = run.n
WHERE run.state IN {LIVE}
GROUP BY run.n
"""
SELECT_SICK = f"""
SELECT run.id, run.name, key.name, max(metric.step)
FROM run
CROSS JOIN metric ON metric.run = run.n
JOIN key ON key.n = metric.key
WHERE run.state IN {LIVE} AND metric.count > 0 AND (metric.last IS NULL OR abs(metric.last) > 1.7976931348623157e308)
      AND key.name LIKE '%loss%'
GROUP BY run.n
"""


class Headway(NamedTuple):
    """What a live run has logged: how long ago its newest point was, and the usual pause between two."""

    id: str
    name: str
    is_reachable: bool
    age_s: float
    gap_s: float


def metric_age_s(store: Store, run: int, now: datetime) -> float | None:
    """Seconds since a run logged its newest point; None when it has logged none."""
    last_us = store.read(SELECT_LAST_POINT, {"run": run})[0][0]
    return None if last_us is None else max(0.0, (to_us(now) - last_us) / 1_000_000)


def live_headway(store: Store, now: datetime) -> list[Headway]:
    """Every live run that has logged a metric."""
    return [
        Headway(
            str(id_),
            str(name),
            reach == "ok",
            max(0.0, (to_us(now) - last_us) / 1e6),
            max(0.0, (last_us - started_us) / 1e6) / max(1, count),
        )
        for id_, name, reach, last_us, count, started_us in store.read(SELECT_HEADWAY)
    ]


def sick_losses(store: Store) -> list[tuple[str, str, str, int]]:
    """Id, name, metric and step of the live runs whose newest loss is NaN or infinite."""
    return [(str(id_), str(name), str(key), step) for id_, name, key, step in store.read(SELECT_SICK)]
