"""The writing side of a run log: one system call a record, no lock and no flush on the way of a metric."""

from __future__ import annotations

import os
from collections.abc import Mapping
from errno import EBADF
from itertools import count
from os import write
from struct import Struct
from threading import RLock
from time import monotonic, time
from typing import Callable, Optional, SupportsFloat
from zlib import crc32

from mlconsole.recorder import process
from mlconsole.recorder.layout import (
    FORMAT,
    MAX_KEYS,
    MAX_SCHEMA,
    encode_event,
    prefix_of,
    row_payload,
    row_words,
    seed_of,
)
from mlconsole.recorder.logfile import LogFile
from mlconsole.recorder.losses import Losses, reason_of
from mlconsole.recorder.values import as_float, is_array, numbers

_RETRY_S = 1.0
_head = Struct("<II").pack
_LARGEST_STEP = 1 << 63

Event = Mapping[str, object]
_Pack = Callable[..., bytes]
_Row = tuple[_Pack, int, int, int, LogFile]


def packer(keys: int) -> _Pack:
    """What makes a row's payload of its step, its time and so many numbers."""
    return row_payload(keys).pack


def converting_packer(keys: int) -> _Pack:
    """The same for values that are tensors or arrays, of which a training logs the same keys again and again."""
    pack = row_payload(keys).pack
    return lambda step, now, *values: pack(step, now, *map(as_float, values))


class Writer:
    """Writes one process's part of one run.

    What :meth:`log` has returned from is in the kernel: killing the process loses none of it. Nothing here
    raises on what is logged or on what the disk answers; what could not be written is counted in ``losses``.
    After a fork the child goes on in a file of its own.

    Args:
        home: the catalog's directory.
        run_id: the run.
        rank: this process's rank in the run.
        opening: what the ``open`` event says beyond the process's identity.
        first_step: the step that the first ``log()`` without a step gets.
    """

    def __init__(self, home: str, run_id: str, rank: int, opening: Event, first_step: int = 0) -> None:
        self.losses = Losses()
        self.written = 0
        self.is_child = False
        self.closed = False
        self._home = home
        self._run_id = run_id
        self._rank = rank
        self._opening = opening
        self._first: list[Event] = []
        self._steps = count(first_step)
        self._rows: dict[tuple[object, ...], _Row] = {}
        self._schemas = 0
        self._file: Optional[LogFile] = None
        self._full: list[LogFile] = []
        self._retry_at = 0.0
        self._lock = RLock()
        _open_writers[id(self)] = self

    def log(self, metrics: Mapping[str, SupportsFloat], step: Optional[int] = None) -> None:
        """Append one row; returned means that the kernel has it."""
        if step is None:
            step = next(self._steps)
        try:
            pack, seed, prefix, fd, file = self._rows[tuple(metrics)]
            payload = pack(step, time(), *metrics.values())
        except Exception:  # noqa: BLE001  new keys, or a value whose conversion failed in any way
            self._log_slowly(metrics, step)
            return
        record = _head(prefix, crc32(payload, seed)) + payload
        try:
            done = write(fd, record)
            if done < len(record):
                file.append(record[done:])
            self.written += 1
        except OSError as error:
            self._failed(error)

    def event(self, kind: str, content: Event) -> bool:
        """Append one event; returns whether it was written."""
        return self._append({"e": kind, "t": time(), **content})

    def begin(self, events: list[Event]) -> None:
        """Open the log with the run's first events in one write; they are kept until a log can be opened."""
        self._first = events
        if self._open() is None:
            self._retry_at = 0.0

    def note(self, level: str, text: str) -> None:
        """Append a note for whoever reads the run's record."""
        self.event("note", {"level": level, "text": text})

    def end(self, content: Event) -> None:
        """Append the last event to every file of this process and take no more."""
        with self._lock:
            if self.closed:
                return
            if self._file is None and self._open() is None:
                self.losses.add(1, "write", "the end of the run was not written")
            for file in [*self._full, self._file]:
                if file is not None:
                    self._append({"e": "end", "t": time(), "lost": self.losses.count, **content}, file)
            self.close()

    def close(self) -> None:
        """Take no more; descriptors go with their last user."""
        with self._lock:
            self.closed = True
            self._rows = {}
            self._file = None
            self._full = []
            _open_writers.pop(id(self), None)

    def _log_slowly(self, metrics: Mapping[str, SupportsFloat], step: object) -> None:
        """The way of new keys, nested mappings, keys that are no text, and values that are no numbers."""
        try:
            at = int(step)  # type: ignore[call-overload]
            if not -_LARGEST_STEP <= at < _LARGEST_STEP:
                raise OverflowError("the step does not fit 64 bits")
            values = list(numbers(metrics, self._lose_value).items())  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001  whatever was passed, the training goes on
            self.losses.add(1, "value", reason_of(error))
            return
        now = time()
        pack_of = converting_packer if any(map(is_array, metrics.values())) else packer
        for start in range(0, len(values), MAX_KEYS):
            self._append_row(dict(values[start : start + MAX_KEYS]), at, now, pack_of)

    def _append_row(self, values: dict[str, float], step: int, now: float, pack_of: Callable[[int], _Pack]) -> None:
        with self._lock:
            row = self._rows.get(tuple(values)) or self._define(list(values), pack_of)
            if row is None:
                return
            pack, seed, prefix, _fd, file = row
            payload = pack(step, now, *values.values())
            self._append_bytes(_head(prefix, crc32(payload, seed)) + payload, file)

    def _define(self, keys: list[str], pack_of: Callable[[int], _Pack]) -> Optional[_Row]:
        """Write a schema for some keys; None when it could not be written."""
        if self._schemas == MAX_SCHEMA:
            self._turn()
        number = self._schemas + 1
        if not self._append({"e": "keys", "t": time(), "schema": number, "keys": keys}):
            return None
        file = self._file
        assert file is not None
        self._schemas = number
        prefix = prefix_of(number, row_words(len(keys)))
        row = self._rows[tuple(keys)] = (pack_of(len(keys)), seed_of(prefix), prefix, file.fd, file)
        return row

    def _turn(self) -> None:
        """Go on in a new file: this one has no schema number left."""
        if self._file is not None:
            self._full.append(self._file)
        self._file, self._rows, self._schemas = None, {}, 0

    def _lose_value(self, key: str, value: object) -> None:
        reason = f"metric {key[:80]!r} got no number but this type: {type(value).__name__}"
        if self.losses.add(1, "value", reason):
            self.note("warning", reason)

    def _append(self, event: Event, file: Optional[LogFile] = None) -> bool:
        try:
            record = encode_event(event)
        except Exception as error:  # noqa: BLE001  too large, too deep, or changed by another thread meanwhile
            self.losses.add(1, "value", reason_of(error))
            return False
        with self._lock:
            file = file or self._open()
            return file is not None and self._append_bytes(record, file)

    def _append_bytes(self, record: bytes, file: LogFile) -> bool:
        try:
            file.append(record)
        except OSError as error:
            self._failed(error)
            return False
        self.written += 1
        return True

    def _open(self) -> Optional[LogFile]:
        """The file to append to, made if there is none; None when it cannot be made now."""
        with self._lock:
            if self._file is not None or self.closed:
                if self.closed:
                    self.losses.add(1, "closed", "the run has ended")
                return self._file
            if monotonic() < self._retry_at:
                self.losses.count += 1
                return None
            identity = process.identity()
            opening = {"format": FORMAT, "run": self._run_id, "rank": self._rank, **identity, **self._opening}
            first = [{"e": "open", "t": time(), **opening}, *self._first]
            try:
                data = b"".join(map(encode_event, first))
                self._file = LogFile(self._home, self._run_id, self._rank, identity, data)
            except Exception as error:  # noqa: BLE001  the disk, or a json.py beside the script: the training goes on
                self._retry_at = monotonic() + _RETRY_S
                self._failed(error)
                return None
            self._first = []
            self.written += len(first)
            return self._file

    def _failed(self, error: BaseException) -> None:
        self.losses.add(1, "write", reason_of(error))
        if isinstance(error, OSError) and error.errno == EBADF:
            # Someone closed all descriptors, as a daemon does: go on in a new file.
            with self._lock:
                self._file, self._rows, self._schemas = None, {}, 0

    def _after_fork(self) -> None:
        """In a forked child: forget the parent's file; the next record opens one of the child's own."""
        self._lock = RLock()
        self.is_child = True
        self.losses = Losses()
        self.written = 0
        self._rows, self._schemas, self._first = {}, 0, []
        self._file, self._full = None, []


_open_writers: dict[int, Writer] = {}


def _after_fork_in_child() -> None:
    for writer in list(_open_writers.values()):
        writer._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
