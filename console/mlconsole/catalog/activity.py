"""Whether runs make headway."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from mlconsole.catalog.store import Store
from mlconsole.domain.times import to_us

SELECT_PACE = """
SELECT max(metric.last_us), max(metric.count), coalesce(run.started_us, run.created_us)
FROM metric
JOIN run ON run.n = metric.run
WHERE metric.run = :run
"""
SELECT_LAST_ARTIFACT = "SELECT max(at_us) FROM artifact WHERE run = :run"
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


def metric_pace_s(store: Store, run: int, now: datetime) -> tuple[float | None, float | None]:
    """Seconds since a run logged its newest point, and the usual pause between two; None when it has logged none."""
    ((last_us, count, started_us),) = store.read(SELECT_PACE, {"run": run})
    if last_us is None:
        return None, None
    return _since_s(last_us, now), _pause_s(last_us, count, started_us)


def artifact_age_s(store: Store, run: int, now: datetime) -> float | None:
    """Seconds since a run logged its newest artifact; None when it has logged none."""
    ((last_us,),) = store.read(SELECT_LAST_ARTIFACT, {"run": run})
    return None if last_us is None else _since_s(last_us, now)


def _since_s(then_us: int, now: datetime) -> float:
    return max(0.0, (to_us(now) - then_us) / 1e6)


def _pause_s(last_us: int, count: int, started_us: int) -> float:
    return max(0.0, (last_us - started_us) / 1e6) / max(1, count)


def live_headway(store: Store, now: datetime) -> list[Headway]:
    """Every live run that has logged a metric."""
    return [
        Headway(
            str(id_),
            str(name),
            reach == "ok",
            _since_s(last_us, now),
            _pause_s(last_us, count, started_us),
        )
        for id_, name, reach, last_us, count, started_us in store.read(SELECT_HEADWAY)
    ]


def sick_losses(store: Store) -> list[tuple[str, str, str, int]]:
    """Id, name, metric and step of the live runs whose newest loss is NaN or infinite."""
    return [(str(id_), str(name), str(key), step) for id_, name, key, step in store.read(SELECT_SICK)]
