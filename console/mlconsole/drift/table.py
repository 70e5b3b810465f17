"""A table of several files as one: which columns it has, and its rows in pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mlconsole.domain.drift import Kind, SchemaFinding
from mlconsole.drift.files import TableFile
from mlconsole.drift.kinds import kinds_of
from mlconsole.drift.opening import begins_as_utf8, need_polars
from mlconsole.drift.reading import batches
from mlconsole.errors import ActionFailed, UsageError

if TYPE_CHECKING:
    import polars as pl

MOST_NOTES = 20
Skip = Callable[[TableFile, str], None]
"""Is told of a file that cannot be read, and why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Files that are read as one table.

    Attributes:
        source: what a person called it.
        files: in the order in which they are read.
        kinds: every column and what its values are read as.
        notes: where the files do not agree.
    """

    source: str
    files: tuple[TableFile, ...]
    kinds: Mapping[str, Kind]
    notes: tuple[str, ...] = ()

    def with_kinds(self, kinds: Mapping[str, Kind]) -> Table:
        """The same table with columns read as what they are elsewhere."""
        known = {name: kind for name, kind in kinds.items() if name in self.kinds and kind is not Kind.EMPTY}
        return dataclasses.replace(self, kinds={**self.kinds, **known})

    def only(self, columns: Sequence[str]) -> Table:
        """The same table with these columns alone.

        Raises:
            UsageError: it has no such column.
        """
        for name in columns:
            if name not in self.kinds:
                raise UsageError(f'"{self.source}" has no column "{name}".', f"It has: {', '.join(self.kinds)}.")
        return dataclasses.replace(self, kinds={name: self.kinds[name] for name in columns}) if columns else self

    def where_known(self, columns: Mapping[str, Kind]) -> Table:
        """The same table without the columns that are not among these."""
        return dataclasses.replace(self, kinds={name: kind for name, kind in self.kinds.items() if name in columns})

    def is_empty(self, name: str) -> bool:
        """True for a column of which no value was seen."""
        return self.kinds.get(name) is Kind.EMPTY

    def pieces(self, skip: Skip | None = None) -> Iterator[pl.DataFrame]:
        """The rows in order, in pieces of bounded size; a column that a file lacks is missing from its pieces.

        Args:
            skip: is told of files that cannot be read to their end, and why, and the others are read.

        Raises:
            ActionFailed: a file cannot be read.
        """
        for file in self.files:
            try:
                yield from batches(file, self.kinds)
            except (ActionFailed, UsageError) as error:
                if skip is None:
                    raise
                skip(file, error.message)


def table_of(source: str, files: Sequence[TableFile], skip: Skip | None = None) -> Table:
    """The table that files are together.

    The first file that has a column says what it is; where others do not agree stands in the notes, and their values
    that are of another kind are counted as invalid.

    Args:
        source: what a person called it.
        files: in order.
        skip: is told of files that cannot be read, and why, and the table is of the others.

    Raises:
        ActionFailed: a file cannot be read.
        UsageError: it has no columns.
    """
    need_polars()
    kinds: dict[str, Kind] = {}
    notes: list[str] = []
    read: list[TableFile] = []
    for file in files:
        try:
            own = kinds_of(file)
        except (ActionFailed, UsageError) as error:
            if skip is None:
                raise
            skip(file, error.message)
            continue
        read.append(file)
        if not begins_as_utf8(file):
            notes.append(f'"{file.path}" is not UTF-8: its letters beyond ASCII are read as one and the same')
        if len(read) > 1:
            notes += [f'"{file.path}" lacks the column "{name}"' for name in kinds if name not in own]
            notes += [f'"{file.path}" has a new column "{name}"' for name in own if name not in kinds]
        for name, kind in own.items():
            known = kinds.get(name, kind)
            kinds[name] = _wider(known, kind)
            if not known.fits(kind):
                notes.append(f'"{name}" is {known.value}, and {kind.value} in "{file.path}"')
    if not kinds and read:
        raise UsageError(f'"{source}" has no columns.')
    if len(notes) > MOST_NOTES:
        notes = [*notes[:MOST_NOTES], f"... and {len(notes) - MOST_NOTES} more places where the files do not agree"]
    return Table(source, tuple(read), kinds, tuple(notes))


def _wider(known: Kind, other: Kind) -> Kind:
    if known is Kind.EMPTY:
        return other
    return Kind.FLOAT if known is Kind.INT and other is Kind.FLOAT else known


def kind_notes(expected: Mapping[str, Kind], table: Table) -> list[SchemaFinding]:
    """Columns that are of another kind than expected, and can be compared all the same."""
    out = []
    for name, kind in table.kinds.items():
        known = expected.get(name, kind)
        if known is not kind and Kind.EMPTY not in (known, kind) and (known.fits(kind) or known is Kind.TEXT):
            message = f"the column was {known.value} and is {kind.value}"
            out.append(SchemaFinding(name, "note", message))
    return out
