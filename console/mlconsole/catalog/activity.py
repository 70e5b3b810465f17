"""When a run was last seen to make headway."""

from __future__ import annotations

from datetime import datetime

from mlconsole.catalog.store import Store
from mlconsole.domain.times import to_us

SELECT_LAST_POINT = "SELECT max(last_us) FROM metric WHERE run = :run"


def metric_age_s(store: Store, run: int, now: datetime) -> float | None:
    """Seconds since a run logged its newest point; None when it has logged none."""
    last_us = store.read(SELECT_LAST_POINT, {"run": run})[0][0]
    return None if last_us is None else max(0.0, (to_us(now) - last_us) / 1_000_000)
