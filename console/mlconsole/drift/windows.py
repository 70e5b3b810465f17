"""Cutting live data into windows: each one counted on the baseline's grid, none read into memory.

How far was read is a small document that is kept with the window it led to: a process that is killed in between reads
the same rows again and finds the window judged, or not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mlconsole.domain.drift import Profile, moment_words
from mlconsole.domain.monitors import WindowKind, WindowSpec
from mlconsole.domain.performance import PerformanceProfile
from mlconsole.drift.files import TableFile
from mlconsole.drift.reading import batches
from mlconsole.drift.table import Table
from mlconsole.drift.taken import Dated, Taken, begun, known
from mlconsole.errors import ActionFailed, UsageError

if TYPE_CHECKING:
    import polars as pl

DAY_S = 86_400


class Counts(Protocol):
    """What is counted of the rows of a window."""

    rows: int

    def add(self, piece: pl.DataFrame) -> None:
        """Count some rows."""
        ...

    def profile(
        self, source: str, *, digest: str = "", files: int = 1, notes: tuple[str, ...] = ()
    ) -> Profile | PerformanceProfile:
        """What was counted, to be judged and kept."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """A window of live data.

    Attributes:
        key: tells it from others of the same monitor.
        label: which rows, in words.
        began_s: when its data begins, seconds since 1970.
        ended_s: and ends.
        profile: its counts.
        progress: how far the live data is read once it is judged.
        is_whole: False for the rest that does not fill a window yet.
    """

    key: str
    label: str
    began_s: float
    ended_s: float
    profile: Profile | PerformanceProfile
    progress: Mapping[str, Any] = field(default_factory=dict)
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Past:
    """What of a monitor's live data was judged; see :class:`Cutting`."""

    spec: WindowSpec
    progress: Mapping[str, Any]
    judged: Mapping[str, int]
    time_column: str = ""

    def ahead(self, files: Sequence[TableFile]) -> list[TableFile]:
        """The files of which something is going to be read."""
        if self.spec.kind is WindowKind.LAST:
            newest = {file.path for file in _by_age(files)[-int(self.spec.size) :]}
            return [file for file in files if file.path in newest]
        return [file for file in files if not self._is_done(file)]

    def _is_done(self, file: TableFile) -> bool:
        if self.spec.kind is WindowKind.ROWS:
            kept = self.progress.get("files", {}).get(file.path)
            return kept is not None and Taken(*kept).is_done(file)
        if not self.time_column:
            return _key(int(file.mtime // self.spec.size), self.spec.size) in self.judged
        kept = self.progress.get("dated", {}).get(file.path)
        return kept is not None and Dated(*kept).is_done(file, self.judged)


@dataclass(slots=True)
class Feed:
    """What was learned of the files on the way.

    Attributes:
        newest_s: when the newest rows that were met were written, seconds since 1970; 0 where there were none.
        files: of files whose rows are dated one by one, in which windows those lie.
    """

    newest_s: float = 0.0
    files: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cutting:
    """What there is to cut, and what of it is done.

    Attributes:
        table: the live data.
        tally: begins to count a window.
        spec: how large a window is.
        progress: how far it was read.
        judged: how many rows each window had when it was judged.
        now_s: the time, seconds since 1970.
        time_column: which column says when a row was; empty where its file does.
        unread: why files are not read, or not whole.
        odd: what is to be said of rows that are in no window.
        feed: what was learned of the files.
    """

    table: Table
    tally: Callable[[], Counts]
    spec: WindowSpec
    progress: Mapping[str, Any]
    judged: Mapping[str, int]
    now_s: float
    time_column: str = ""
    unread: dict[str, str] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    feed: Feed = field(default_factory=Feed)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the files and the rows."""
        return (*self.table.notes, *(f"left out: {why}" for why in self.unread.values()), *self.odd)

    def pieces(self, file: TableFile) -> Iterator[pl.DataFrame]:
        """The rows of a file, as far as it can be read: one that is broken holds the others up no longer than that."""
        self.unread.pop(file.path, None)
        try:
            yield from batches(file, self.table.kinds)
        except (ActionFailed, UsageError) as error:
            self.unread[file.path] = error.message


def windows(cutting: Cutting) -> Iterator[Window]:
    """The windows that were not judged yet, and last what waits to become one."""
    if cutting.spec.kind is WindowKind.ROWS:
        yield from _by_rows(cutting)
    elif cutting.spec.kind is WindowKind.LAST:
        yield from _newest_files(cutting)
    else:
        yield from _by_time(cutting)


def _counted(cutting: Cutting, tally: Counts, label: str, files: int = 1) -> Profile | PerformanceProfile:
    return tally.profile(label, files=files, notes=cutting.notes)


def _by_rows(cutting: Cutting) -> Iterator[Window]:
    """Every so many rows, in the order of the files' names; of a file that grew those behind what was read."""
    size = int(cutting.spec.size)
    files = known(cutting.progress.get("files", {}), cutting.table.files)
    start = int(cutting.progress.get("rows", 0))
    tally = cutting.tally()
    began = 0.0
    parts: list[tuple[str, int, int]] = []
    for file in cutting.table.files:
        before = files.get(file.path, Taken())
        if before.is_done(file):
            continue
        done, own = before.rows, begun(file)
        for piece in _behind(file, cutting, done):
            cutting.feed.newest_s = max(cutting.feed.newest_s, file.mtime)
            place = 0
            while place < piece.height:
                began = began if tally.rows else file.mtime
                part = piece.slice(place, size - tally.rows)
                tally.add(part)
                parts.append((file.path, done, part.height))
                place += part.height
                done += part.height
                files[file.path] = own.to(done)
                if tally.rows == size:
                    taken = {path: one.document() for path, one in files.items()}
                    progress = {"rows": start + size, "files": taken, "parts": parts}
                    label = f"rows {start + 1:,} to {start + size:,}"
                    yield Window(f"rows {start}", label, began, file.mtime, _counted(cutting, tally, label), progress)
                    start += size
                    tally, parts = cutting.tally(), []
        files[file.path] = own.to(done, is_whole=file.path not in cutting.unread)
    label = f"{tally.rows:,} rows that wait"
    yield Window("", label, began, cutting.now_s, _counted(cutting, tally, label), is_whole=False)


def _behind(file: TableFile, cutting: Cutting, done: int) -> Iterator[pl.DataFrame]:
    """The rows of a file behind those that are done."""
    left = done
    for piece in cutting.pieces(file):
        if left < piece.height:
            yield piece.slice(left)
        left = max(0, left - piece.height)


def _newest_files(cutting: Cutting) -> Iterator[Window]:
    """The newest so many files, whenever they are others than before."""
    count = int(cutting.spec.size)
    files, key = _newest(cutting)
    is_whole = len(files) == count
    if is_whole and key in cutting.judged:
        return
    tally = cutting.tally()
    for file in files:
        for piece in cutting.pieces(file):
            cutting.feed.newest_s = max(cutting.feed.newest_s, file.mtime if piece.height else 0.0)
            tally.add(piece)
    label = f"{len(files)} files to {os.path.basename(files[-1].path)}"
    profile = _counted(cutting, tally, label, len(files))
    yield Window(key, label, files[0].mtime, files[-1].mtime, profile, {}, is_whole)


def _newest(cutting: Cutting) -> tuple[list[TableFile], str]:
    """The newest files, and what tells them from others."""
    files = _by_age(cutting.table.files)[-int(cutting.spec.size) :]
    named = "\n".join(f"{file.path}\0{file.size_bytes}\0{file.mtime}" for file in files)
    return files, hashlib.blake2b(named.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def _by_age(files: Sequence[TableFile]) -> list[TableFile]:
    return sorted(files, key=lambda file: (file.mtime, file.path))


def rows_again(cutting: Cutting, key: str) -> Iterator[pl.DataFrame]:
    """The rows of the newest window once more, as far as their files still hold them; whoever asks counts them."""
    if cutting.spec.kind is WindowKind.ROWS:
        files = {file.path: file for file in cutting.table.files}
        for path, first, count in cutting.progress.get("parts", ()):
            if path in files:
                yield from _some(files[path], cutting, int(first), int(count))
    elif cutting.spec.kind is WindowKind.LAST:
        newest, own = _newest(cutting)
        for file in newest if own == key else ():
            yield from cutting.pieces(file)
    else:
        for file in cutting.table.files:
            if _may_hold(file, cutting, key):
                for piece in cutting.pieces(file):
                    found = _parts(piece, file, cutting)
                    yield from (part for number, part in found if _key(number, cutting.spec.size) == key)


def _may_hold(file: TableFile, cutting: Cutting, key: str) -> bool:
    """False when a file is known to have no row in a window of time."""
    if not cutting.time_column:
        return _key(int(file.mtime // cutting.spec.size), cutting.spec.size) == key
    kept = cutting.progress.get("dated", {}).get(file.path)
    return kept is None or not (known := Dated(*kept)).is_of(file) or key in known.rows


def _some(file: TableFile, cutting: Cutting, first: int, count: int) -> Iterator[pl.DataFrame]:
    """So many rows of a file, from one on."""
    place = 0
    for piece in cutting.pieces(file):
        part = piece.slice(max(0, first - place), max(0, first + count - max(place, first)))
        if part.height:
            yield part
        place += piece.height
        if place >= first + count:
            return


def _by_time(cutting: Cutting) -> Iterator[Window]:
    """Every so long, from midnight UTC on 1 January 1970; a window is judged once its time is over."""
    size = cutting.spec.size
    tallies: dict[int, Counts] = {}
    files: dict[int, int] = {}
    again: dict[str, int] = {}
    undated = 0
    for file in cutting.table.files:
        if not cutting.time_column and _key(int(file.mtime // size), size) in cutting.judged:
            continue
        dated = _dated(file, cutting, tallies, files)
        undated += dated.undated
        for key, rows in dated.rows.items():
            if key in cutting.judged:
                again[key] = again.get(key, 0) + rows
        if dated.rows or dated.undated:
            cutting.feed.newest_s = max(cutting.feed.newest_s, file.mtime)
    cutting.odd.extend(_in_no_window(cutting, again, undated))
    waiting: Window | None = None
    for number in sorted(tallies):
        began, ended = number * size, (number + 1) * size
        label = _span(began, size)
        window = Window(
            _key(number, size),
            label,
            began,
            ended,
            _counted(cutting, tallies[number], label, files[number]),
            is_whole=ended <= cutting.now_s,
        )
        if window.is_whole:
            yield window
        else:
            waiting = window
    if waiting is not None:
        yield waiting


def _dated(file: TableFile, cutting: Cutting, tallies: dict[int, Counts], files: dict[int, int]) -> Dated:
    """Count the rows of a file in those of its windows that are not judged, and say where all of them lie."""
    size = cutting.spec.size
    kept = cutting.progress.get("dated", {}).get(file.path)
    if kept is not None and (known := Dated(*kept)).is_done(file, cutting.judged):
        cutting.feed.files[file.path] = kept
        return known
    rows: dict[str, int] = {}
    undated = 0
    for piece in cutting.pieces(file):
        undated += piece.height
        for number, part in _parts(piece, file, cutting):
            undated -= part.height
            key = _key(number, size)
            rows[key] = rows.get(key, 0) + part.height
            if key in cutting.judged:
                continue
            if number not in tallies:
                tallies[number] = cutting.tally()
            tallies[number].add(part)
            files[number] = files.get(number, 0) + 1
    dated = Dated(file.size_bytes, file.mtime, rows, undated)
    if cutting.time_column and file.path not in cutting.unread:
        cutting.feed.files[file.path] = dated.document()
    return dated


def _in_no_window(cutting: Cutting, again: Mapping[str, int], undated: int) -> Iterator[str]:
    """Words on rows that came when their window had been judged, and on those without a moment."""
    late = sum(max(0, rows - cutting.judged[key]) for key, rows in again.items())
    if late:
        yield f"{late:,} rows came after their window was judged, and are in none"
    if undated:
        yield f'{undated:,} rows have no moment in "{cutting.time_column}", and are in no window'


def _key(number: int, size: float) -> str:
    return f"{size:g}s {number}"


def _span(began_s: float, size: float) -> str:
    began, ended = moment_words(began_s), moment_words(began_s + size)
    return began[:10] if size == DAY_S else f"{began[:16]} to {ended[11:16] if size < DAY_S else ended[:10]}"


def _parts(piece: pl.DataFrame, file: TableFile, cutting: Cutting) -> Iterator[tuple[int, pl.DataFrame]]:
    size = cutting.spec.size
    if not cutting.time_column:
        yield int(file.mtime // size), piece
        return
    if cutting.time_column not in piece.columns:
        return
    numbers = (piece[cutting.time_column] / size).floor()
    for number in numbers.drop_nulls().unique().sort().to_list():
        yield int(number), piece.filter(numbers == number)
