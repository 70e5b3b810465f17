"""The first picture, drawn before Textual is imported: the same lines that the runs screen will show.

Plain ECMA-48 sequences on the alternate screen; the app then sends what differs from it, without clearing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from mlconsole.actions.context import Context
from mlconsole.domain.query import parse
from mlconsole.errors import MlconsoleError
from mlconsole.records import record
from mlconsole.render.sanitise import clean, fit
from mlconsole.render.width import middle
from mlconsole.tui import twins
from mlconsole.tui.places import Location
from mlconsole.tui.sources import RunsSource, column_keys, columns
from mlconsole.tui.widgets.columns import lay_out
from mlconsole.tui.widgets.rows import Direction, Row

ALTERNATE = "\x1b[?1049h\x1b[2J\x1b[?25l\x1b[H"
STYLES = {"": "", "bold": "\x1b[1m", "dim": "\x1b[2m"}
PLAIN = "\x1b[0m"
COUNTS_WIDTH = 32
"""About what the mode and the counts take, which are not read yet."""
Lines = list[tuple[str, str]]
"""Text and style of each line."""


@record
class Picture:
    """What is on the terminal before the app begins: its lines, the rows they show, the size of the terminal."""

    lines: Lines
    rows: Sequence[Row]
    size: tuple[int, int]


def paint(ctx: Context, location: Location, chosen: Sequence[str] = (), usual: Sequence[str] = ()) -> Picture:
    """Draw the first frame of a place.

    Nothing is drawn when the catalog cannot be read: the app then says why. ``chosen`` are the columns of a line that
    names none, ``usual`` the metrics and params that stand there before any were chosen.
    """
    found = os.get_terminal_size(sys.stdout.fileno())
    size = (found.columns, found.lines)
    rows: Sequence[Row] = ()
    lines: Lines = []
    try:
        keys = column_keys(parse(location.line), chosen, usual)
        rows = first_rows(ctx, location, keys, max(1, found.lines - 4))
        lines = frame(ctx, location, rows, keys, size)
    except MlconsoleError:
        pass
    sys.stdout.write(ALTERNATE + "\r\n".join(_sequence(text.rstrip(), style) for text, style in lines))
    sys.stdout.flush()
    return Picture(lines, rows, size)


def _sequence(text: str, style: str) -> str:
    """A line for the terminal, which is blank: a long gap is stepped over, not written."""
    short = re.sub(" {5,}", lambda gap: f"\x1b[{len(gap.group())}C", text)
    return f"{STYLES[style]}{short}{PLAIN}" if style else short


def first_rows(ctx: Context, location: Location, keys: Sequence[str], limit: int) -> Sequence[Row]:
    """The first runs of the place; none for a place that does not list runs."""
    if location.place != "runs":
        return ()
    query = parse(location.line)
    return RunsSource(ctx.catalog, query, ctx.clock, keys).page(None, Direction.FORWARD, limit)


def frame(ctx: Context, location: Location, rows: Sequence[Row], keys: Sequence[str], size: tuple[int, int]) -> Lines:
    """The lines of the first screen; of a place other than the runs, only the head."""
    settings, (width, height) = ctx.settings, size
    head = clean(f"mlconsole  {settings.user}@{settings.host}  ")
    head += middle(clean(str(settings.home)), max(8, width - len(head) - COUNTS_WIDTH))
    title = clean(f"{location.place.capitalize()}  {location.line}").rstrip()
    lines: Lines = [(fit(head, width, cut="end"), ""), (fit(title, width, cut="end"), "bold")]
    if location.place == "runs":
        lines += _table(rows, keys, width)
    shown = lines[: height - 1]
    return [(twins.line(text), style) for text, style in shown] if settings.ascii else shown


def _table(rows: Sequence[Row], keys: Sequence[str], width: int) -> Lines:
    placed = lay_out(columns(keys), keys, width).placed
    out: Lines = [(_line([(p.x, p.width, p.column.title, p.column.right) for p in placed], width), "dim")]
    for row in rows:
        cells = [(p.x, p.width, clean(row.cells[p.cell][0]), p.column.right) for p in placed]
        out.append((_line(cells, width), ""))
    return out


def _line(cells: list[tuple[int, int, str, bool]], width: int) -> str:
    text = ""
    at = 0
    for x, size, content, right in cells:
        text += " " * (x - at) + fit(content, size, "right" if right else "left", "end" if right else "middle")
        at = x + size
    return text + " " * max(0, width - at)
