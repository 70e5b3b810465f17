"""Catalogs for tests: runs put in through the catalog's own functions, and run logs written by hand."""

from __future__ import annotations

import json
import os
import sqlite3
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlconsole.catalog import Catalog
from mlconsole.catalog.chunks import Points
from mlconsole.catalog.metrics import append
from mlconsole.catalog.names import key_numbers
from mlconsole.catalog.run_changes import NewRun, insert_run, set_columns, set_params, set_tags
from mlconsole.domain.runs import Outcome, ParamValue, State
from mlconsole.domain.times import to_us
from mlconsole.recorder.format import MAGIC, encode_event, encode_row

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@dataclass
class MadeRun:
    """A run as a test describes it; metrics hold the values of steps 0, 1, 2 ..."""

    id: str
    name: str = "run"
    experiment: str = "default"
    state: State = State.ENDED
    outcome: Outcome | None = Outcome.SUCCEEDED
    exit_code: int | None = 0
    user: str = "ann"
    host: str = "gpu-1"
    command: tuple[str, ...] = ("train",)
    created: datetime = NOW
    started: datetime | None = None
    ended: datetime | None = None
    gpus: int = 0
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def put(self, db: sqlite3.Connection) -> int:
        """Add the run inside a write transaction; returns its number."""
        new = NewRun(
            id=self.id,
            name=self.name,
            experiment=self.experiment,
            created_at=self.created,
            state=self.state,
            host=self.host,
            user=self.user,
            command=self.command,
            gpus=self.gpus,
            started_at=self.started,
        )
        number = insert_run(db, new, "made by a test")
        ended = to_us(self.ended) if self.ended else None
        outcome = self.outcome.value if self.outcome else None
        set_columns(db, number, outcome=outcome, exit_code=self.exit_code, ended_us=ended)
        set_params(db, number, self.params)
        set_tags(db, number, self.tags)
        keys = key_numbers(db, self.metrics)
        for name, values in self.metrics.items():
            if values:
                append(db, number, keys[name], number, 0, points(values))
        return number


def points(values: Sequence[float], first_step: int = 0) -> Points:
    """Points at consecutive steps, a second apart."""
    steps = array("q", range(first_step, first_step + len(values)))
    return Points(steps, array("d", [1e9 + step for step in steps]), array("d", values))


def put_runs(catalog: Catalog, runs: Iterable[MadeRun]) -> list[int]:
    """Add runs in one transaction; returns their numbers."""
    made = list(runs)
    return catalog.write(lambda db: [run.put(db) for run in made])


class WrittenLog:
    """A run log written record by record, with its live marker, as a recorder would.

    Args:
        home: the catalog's directory.
        run: the run's id.
        rank: the writer's rank.
        pid: whose process it claims to be; this one unless told otherwise.
        number: tells the writers of one rank apart.
    """

    def __init__(self, home: Path, run: str, *, rank: int = 0, pid: int | None = None, number: int = 0) -> None:
        self.home, self.run, self.rank = home, run, rank
        self.pid = os.getpid() if pid is None else pid
        self.name = f"{rank}-{self.pid}-{number:08x}.mlog"
        self.path = home / "runs" / run / "log" / self.name
        self.marker = home / "live" / f"{run}--{self.name}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(MAGIC)
        self._schemas: dict[tuple[str, ...], int] = {}
        self.mark()

    def mark(self) -> None:
        """Write the live marker."""
        self.marker.parent.mkdir(parents=True, exist_ok=True)
        facts = {"run": self.run, "writer": self.name, "pid": self.pid, "start_ticks": start_ticks(self.pid)}
        facts |= {"boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
        facts |= {"host": os.uname().nodename, "pid_ns": os.readlink("/proc/self/ns/pid")}
        self.marker.write_text(json.dumps(facts))

    def write(self, data: bytes) -> WrittenLog:
        """Append bytes."""
        with self.path.open("ab") as file:
            file.write(data)
        return self

    def event(self, kind: str, t: object = 1e9, **content: object) -> WrittenLog:
        """Append an event."""
        return self.write(encode_event({"e": kind, "t": t, **content}))

    def begin(self, t: float = 1e9, **content: object) -> WrittenLog:
        """Append what a recorder begins with."""
        self.event("open", t, format=1, run=self.run, rank=self.rank, pid=self.pid, host="gpu-1", user="ann")
        return self.event("start", t, created=t, **{"name": self.run, "experiment": "default", **content})

    def rows(self, metrics: Mapping[str, Sequence[float]], first_step: int = 0, t: float = 1e9) -> WrittenLog:
        """Append one row a step of these metrics."""
        keys = tuple(metrics)
        data = b""
        if keys not in self._schemas:
            self._schemas[keys] = len(self._schemas) + 1
            data = encode_event({"e": "keys", "t": t, "schema": self._schemas[keys], "keys": list(keys)})
        number = self._schemas[keys]
        steps = enumerate(zip(*metrics.values(), strict=True), first_step)
        return self.write(data + b"".join(encode_row(number, step, t + step, values) for step, values in steps))

    def end(self, outcome: str = "succeeded", exit_code: int | None = 0, t: float = 2e9) -> WrittenLog:
        """Append the end record."""
        return self.event("end", t, outcome=outcome, exit_code=exit_code, lost=0, traceback="")


def start_ticks(pid: int) -> int:
    """Field 22 of a process's stat file; 1 for a process that is not there."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except FileNotFoundError:
        return 1


#: No process has this number: it is above the largest that Linux gives.
DEAD_PID = (1 << 22) + 7


def ago(**parts: float) -> datetime:
    """A moment before the tests' present."""
    return NOW - timedelta(**parts)
