"""Plays a trace file look by look."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from mlconsole.domain.evidence import Facts, Holder, Look, Rules
from mlconsole.domain.gpu import UNREAD, Value, known
from mlconsole.domain.idle import Track, follow

FOLDER = Path(__file__).with_name("traces")
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
EVERY_S = 10
PRICE = 920_000
Row = dict[str, str]


def names() -> list[str]:
    """Every trace there is."""
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def looks(name: str, *, keep_until_s: float | None = None) -> Iterator[Look]:
    """The looks of a trace, ten seconds apart."""
    rows = list(csv.DictReader((FOLDER / f"{name}.csv").read_text(encoding="utf-8").splitlines()))
    written: dict[str, float] = {}
    for row, after in pairwise(rows):
        for at_s in range(int(row["from_s"]), int(after["from_s"]), EVERY_S):
            keep = None if keep_until_s is None else START + timedelta(seconds=keep_until_s)
            yield look(row, at_s, written, keep)


def look(row: Row, at_s: int, written: dict[str, float], keep_until: datetime | None = None) -> Look:
    """One look; ``written`` remembers when something was written last."""
    facts = Facts(
        Holder(row["holder"]),
        cpu_percent=None if row["cpu"] == "-" else figure(row["cpu"], at_s),
        log_age_s=_age(row, "log", at_s, written),
        metric_age_s=_age(row, "metrics", at_s, written),
        metric_gap_s=10.0,
        checkpoint_age_s=_age(row, "checkpoints", at_s, written),
        keep_until=keep_until,
        price_microusd_per_h=PRICE,
    )
    return Look(
        float(at_s),
        START + timedelta(seconds=at_s),
        facts,
        figure(row["sm"], at_s),
        figure(row["memory"], at_s),
        figure(row["power"], at_s),
        known(700.0),
        70.0,
    )


def figure(cell: str, at_s: int) -> Value[float]:
    """The figure of a cell at that time."""
    if cell == "?":
        return UNREAD
    in_turn = cell.split("|")
    return known(float(in_turn[at_s // EVERY_S % len(in_turn)]))


def play(looks_: Iterator[Look] | list[Look], rules: Rules | None = None) -> list[Track]:
    """What is known after each look."""
    tracks: list[Track] = []
    for each in looks_:
        tracks.append(follow(tracks[-1] if tracks else None, each, rules))
    return tracks


def _age(row: Row, what: str, at_s: int, written: dict[str, float]) -> Value[float] | None:
    cell = row[what]
    if cell == "-":
        return None
    if cell != ".":
        written[what] = at_s - (at_s - int(row["from_s"])) % float(cell)
    return known(at_s - written.get(what, 0.0))
