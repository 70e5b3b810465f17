"""Run logs on the disk: new bytes of each, decoded piece by piece."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mlconsole.catalog.markers import Marker, is_plain_name
from mlconsole.catalog.store import Store
from mlconsole.recorder.format import SUFFIX, Batch, Reader

PIECE_BYTES = 4 << 20
SELECT_READ = """
SELECT run.id, writer.name, writer.offset, writer.schemas
FROM json_each(:runs) AS wanted
CROSS JOIN run ON run.id = wanted.value
CROSS JOIN writer ON writer.run = run.n
"""
SELECT_OFFSETS = "SELECT run.id, writer.name, writer.offset FROM writer JOIN run ON run.n = writer.run"


class Piece(NamedTuple):
    """What was read of one writer's log, from ``before`` on.

    Attributes:
        size: the log's size at the last look.
        touched_at: when the log was written last, in seconds since the epoch.
        gone: with the log's last piece, why its writer can add no more; None while it can.
        at_end: nothing of the log is left to read.
    """

    marker: Marker
    before: int
    batch: Batch
    schemas: dict[int, list[str]]
    size: int
    touched_at: float
    gone: str | None
    at_end: bool

    @property
    def after(self) -> int:
        """Where the next piece begins."""
        return self.before + self.batch.consumed


class Offset(NamedTuple):
    """How far the catalog has a log, and the keys of its schemas as far as there, in JSON."""

    at: int = 0
    schemas: str = "{}"


def offsets(store: Store, markers: Iterable[Marker]) -> dict[tuple[str, str], Offset]:
    """How far the catalog has the logs of these runs, by run and name of the log."""
    rows = store.read(SELECT_READ, {"runs": json.dumps(list({marker.run for marker in markers}))})
    return {(run, name): Offset(at, schemas) for run, name, at, schemas in rows}


def read_pieces(runs: Path, marker: Marker, had: Offset, gone: str | None) -> Iterator[Piece]:
    """The pieces of a log that the catalog does not have yet; at least one, unless the log is unreadable.

    Raises:
        OSError: the log is gone or may not be read.
    """
    offset = had.at
    reader = Reader({int(number): keys for number, keys in json.loads(had.schemas).items()})
    file = os.open(f"{runs}/{marker.run}/log/{marker.writer}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        # A byte more than there is tells the end; memory for a whole piece would cost more than reading a short log.
        wanted = piece = min(PIECE_BYTES, max(0, status.st_size - offset) + 1)
        while True:
            data = os.pread(file, wanted, offset)
            at_end = len(data) < wanted
            batch = reader.read(data, offset, final=gone is not None and at_end)
            if batch.consumed == 0 and not at_end:
                wanted *= 2  # one record is longer than a piece
                continue
            yield Piece(
                marker,
                offset,
                batch,
                dict(reader.schemas),
                status.st_size,
                status.st_mtime,
                gone if at_end else None,
                at_end,
            )
            if at_end:
                return
            wanted = piece
            offset += batch.consumed
    finally:
        os.close(file)


def unmarked(store: Store, logs: Sequence[Log], marked: set[tuple[str, str]]) -> list[Marker]:
    """Logs with bytes that the catalog does not have and no marker tells of: after a restore, say.

    Their writers are taken to be gone, because a recorder leaves its marker until the catalog has everything.
    """
    known = {(run, name): offset for run, name, offset in store.read(SELECT_OFFSETS)}
    return [
        Marker(log.folder / ".no-marker", log.run, log.name, 0, 0, "", "", "")
        for log in logs
        if (log.run, log.name) not in marked and log.size > known.get((log.run, log.name), 0)
    ]


class Log(NamedTuple):
    """One log on the disk."""

    folder: Path
    run: str
    name: str
    size: int


def all_logs(runs: Path) -> list[Log]:
    """Every log under the home, those that were last written to at the end."""
    found = []
    for run in _names(runs):
        folder = runs / run / "log"
        for name in _names(folder):
            if name.endswith(SUFFIX):
                try:
                    seen = os.stat(folder / name, follow_symlinks=False)
                except OSError:
                    continue
                found.append((seen.st_mtime_ns, Log(folder, run, name, seen.st_size)))
    return [log for _, log in sorted(found)]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if is_plain_name(name))
    except OSError:
        return []
