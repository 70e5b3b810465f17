"""Histories of metrics, whole and thinned for a chart."""

from __future__ import annotations

from collections.abc import Sequence

from mlconsole.records import record


@record
class MetricHistory:
    """Every point of one metric of one run, in the order it was logged.

    ``steps``, ``times`` (seconds since the epoch, UTC) and ``values`` have equal lengths. Out of the catalog they are
    columns of machine numbers, and steps that go on evenly a range: a million points are 16 MB and no objects.
    """

    run_id: str
    key: str
    steps: Sequence[int]
    times: Sequence[float]
    values: Sequence[float]


@record
class MetricBuckets:
    """A metric thinned for a chart: per bucket of consecutive points its first step and time and its extremes.

    ``lows`` and ``highs`` are over the finite points of the bucket (NaN when it has none), ``lasts`` its last value,
    ``gaps`` counts its NaN and infinite points; all sequences have equal lengths.
    """

    run_id: str
    key: str
    steps: list[int]
    times: list[float]
    lows: list[float]
    highs: list[float]
    lasts: list[float]
    gaps: list[int]
    count: int
