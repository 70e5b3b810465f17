"""Brings new bytes of run logs into the catalog, in large transactions: finds what is new, and lets go of what is done.

Where no log is being written, as for most commands, it reads one folder and loads nothing of what takes logs in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlconsole.catalog.opening import RESCAN_NAME, has_entries
from mlconsole.catalog.store import Store

if TYPE_CHECKING:
    from mlconsole.catalog.logs import Piece
    from mlconsole.catalog.markers import Liveness, Marker

BATCH_BYTES = 8 << 20
AT_ONCE = 500


class Ingest:
    """Ingests the run logs under one home.

    Args:
        store: the catalog's file.
        runs: the folder of the runs' folders.
        live: the folder of the markers of logs that are being written.
        liveness: tells whether a log's writer is gone; this machine's processes where none is given.
    """

    def __init__(self, store: Store, runs: Path, live: Path, liveness: Liveness | None = None) -> None:
        self._store = store
        self._runs = runs
        self._live = live
        self._liveness = liveness
        self._sizes: dict[Path, int] = {}
        self._rescan_due = store.path.with_name(RESCAN_NAME)

    def run(self, now: datetime) -> int:
        """Read everything new; returns how many bytes that was. Does nothing in a read-only store."""
        if self._store.read_only:
            return 0
        if self._rescan_due.exists():
            total = self.rescan(now)
            self._rescan_due.unlink(missing_ok=True)
            return total
        return self._ingest(self._markers(), now) if has_entries(self._live) else 0

    def rescan(self, now: datetime) -> int:
        """Also read logs that no marker tells of, as after a backup was restored; returns the bytes read."""
        from mlconsole.catalog.logs import all_logs, unmarked  # 8 ms with what decodes logs

        # Logs before markers: a log that was just begun has its marker by then.
        logs = all_logs(self._runs)
        markers = self._markers()
        names = {(marker.run, marker.writer) for marker in markers}
        return self._ingest([*markers, *unmarked(self._store, logs, names)], now)

    def _markers(self) -> list[Marker]:
        from mlconsole.catalog.markers import read_markers  # 1 ms, where a log is being written

        return read_markers(self._live)

    def _ingest(self, markers: list[Marker], now: datetime) -> int:
        total = pending = 0
        pieces: list[Piece] = []
        for start in range(0, len(markers), AT_ONCE):
            for piece in self._pieces(markers[start : start + AT_ONCE]):
                pieces.append(piece)
                pending += piece.batch.consumed
                if pending >= BATCH_BYTES:
                    total += self._commit(pieces, now)
                    pending, pieces = 0, []
        return total + self._commit(pieces, now)

    def _pieces(self, markers: list[Marker]) -> Iterator[Piece]:
        """What is new in the logs of some markers, of which is asked in one go how far the catalog has them."""
        due = [(marker, gone) for marker in markers for gone, is_due in [self._look(marker)] if is_due]
        if not due:
            return
        from mlconsole.catalog.logs import Offset, offsets, read_pieces  # 8 ms with what decodes logs

        had = offsets(self._store, [marker for marker, _ in due])
        for marker, gone in due:
            try:
                yield from read_pieces(self._runs, marker, had.get((marker.run, marker.writer), Offset()), gone)
            except OSError:
                # It cannot be read just now; the marker stays for the next time.
                continue

    def _look(self, marker: Marker) -> tuple[str | None, bool]:
        """Why a log's writer is gone, if it is, and whether there may be something new in the log."""
        # Whether the writer is gone is looked up first: what it wrote before is then all there is.
        gone = self._why_gone(marker)
        try:
            size = os.stat(f"{self._runs}/{marker.run}/log/{marker.writer}").st_size
            return gone, gone is not None or self._sizes.get(marker.path) != size
        except FileNotFoundError:
            if gone is not None:
                marker.path.unlink(missing_ok=True)
        except OSError:
            pass  # It cannot be read just now; the marker stays for the next time.
        return gone, False

    def _why_gone(self, marker: Marker) -> str | None:
        from mlconsole.catalog.markers import NO_MARKER, Liveness

        if not marker.host:
            return NO_MARKER
        if self._liveness is None:
            self._liveness = Liveness()
        return self._liveness.why_gone(marker)

    def _commit(self, pieces: list[Piece], now: datetime) -> int:
        """Put pieces in; returns how many bytes of logs were new to the catalog."""
        if not pieces:
            return 0
        from mlconsole.catalog.intake import take_in  # 6 ms, where there is something new

        total = 0
        for piece, (is_new, is_finished) in zip(pieces, take_in(self._store, pieces, now), strict=True):
            if is_finished:
                piece.marker.path.unlink(missing_ok=True)
                self._sizes.pop(piece.marker.path, None)
            elif is_new and piece.at_end:
                self._sizes[piece.marker.path] = piece.size
            total += piece.batch.consumed if is_new else 0
        return total
