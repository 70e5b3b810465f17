"""The first picture, drawn before Textual is imported: the same lines that the runs screen will show.

Plain ECMA-48 sequences on the alternate screen; the app then sends what differs from it, without clearing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Container, Mapping, Sequence

from mlconsole.actions.context import Context
from mlconsole.domain.query import parse
from mlconsole.errors import MlconsoleError
from mlconsole.records import record
from mlconsole.render.sanitise import clean, fit
from mlconsole.render.width import middle
from mlconsole.tui.palettes import sequence_of, words_of
from mlconsole.tui.places import Location
from mlconsole.tui.sources import RunsSource, column_keys, columns
from mlconsole.tui.widgets.columns import GUTTER, Placed, lay_out
from mlconsole.tui.widgets.rows import Cell, Direction, Row

ALTERNATE = "\x1b[?1049h\x1b[2J\x1b[?25l\x1b[H"
PLAIN = "\x1b[0m"
LINES = frozenset({"reverse", "underline"})
PROGRAM = "mlconsole"
COUNTS_WIDTH = 32
"""About what the mode and the counts take, which are not read yet."""
Line = list[tuple[str, str]]
"""Text and token of its pieces."""


@record
class Picture:
    """What is on the terminal before the app begins.

    Attributes:
        lines: text and style of each line's pieces.
        rows: the rows that they show.
        size: columns and lines of the terminal.
        is_coloured: colours of the 256 were sent, too.
    """

    lines: list[Line]
    rows: Sequence[Row]
    size: tuple[int, int]
    is_coloured: bool = False


def paint(
    ctx: Context, location: Location, chosen: Sequence[str] = (), usual: Sequence[str] = (), palette: str = "mono"
) -> Picture:
    """Draw the first frame of a place.

    Nothing is drawn when the catalog cannot be read: the app then says why. ``chosen`` are the columns of a line that
    names none, ``usual`` the metrics and params that stand there before any were chosen.
    """
    found = os.get_terminal_size(sys.stdout.fileno())
    size = (found.columns, found.lines)
    rows: Sequence[Row] = ()
    lines: list[Line] = []
    try:
        keys = column_keys(parse(location.line), chosen, usual)
        rows = first_rows(ctx, location, keys, max(1, found.lines - 4))
        lines = frame(ctx, location, rows, keys, size)
    except MlconsoleError:
        pass
    is_coloured = ctx.settings.color and _has_256_colours(ctx.settings.terminal)
    styles = {token: words_of(palette, token) for line in lines for _, token in line}
    sequences = {token: sequence_of(words, is_coloured=is_coloured) for token, words in styles.items()}
    lined = {token for token, words in styles.items() if not LINES.isdisjoint(words.split())}
    sys.stdout.write(ALTERNATE + "\r\n".join(_sent(line, sequences, lined) for line in lines))
    sys.stdout.flush()
    return Picture([[(text, styles[token]) for text, token in line] for line in lines], rows, size, is_coloured)


def _has_256_colours(terminal: Mapping[str, str]) -> bool:
    """As rich looks for them; what has fewer gets its colours from the app, which knows how to come near."""
    return terminal.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit") or terminal.get("TERM", "").endswith(
        ("-256color", "-kitty")
    )


def _sent(line: Line, sequences: Mapping[str, str], lined: Container[str]) -> str:
    """A line for the terminal, which is blank: a long gap is stepped over, blanks at the end are left out.

    Blanks keep the look before them, unless one of both is ``lined`` and would be seen on blanks.
    """
    out, before = "", ""
    for text, token in _without_end(line, lined):
        is_seen = text.strip() or token in lined or before in lined
        if is_seen and sequences[token] != sequences.get(before, ""):
            out += (PLAIN if sequences.get(before) else "") + sequences[token]
        before = token if is_seen else before
        out += text if token in lined else re.sub(" {5,}", lambda gap: f"\x1b[{len(gap.group())}C", text)
    return out + (PLAIN if sequences.get(before) else "")


def _without_end(line: Line, lined: Container[str]) -> Line:
    left = list(line)
    while left and left[-1][1] not in lined:
        text, token = left.pop()
        if text.strip():
            return [*left, (text.rstrip(), token)]
    return left


def first_rows(ctx: Context, location: Location, keys: Sequence[str], limit: int) -> Sequence[Row]:
    """The first runs of the place; none for a place that does not list runs."""
    if location.place != "runs":
        return ()
    query = parse(location.line)
    return RunsSource(ctx.catalog, query, ctx.clock, keys).page(None, Direction.FORWARD, limit)


def frame(
    ctx: Context, location: Location, rows: Sequence[Row], keys: Sequence[str], size: tuple[int, int]
) -> list[Line]:
    """The lines of the first screen; of a place other than the runs, only the head."""
    settings, (width, height) = ctx.settings, size
    who = clean(f"  {settings.user}@{settings.host}  ")
    room = width - len(who) - len(PROGRAM)
    path = middle(clean(str(settings.home)), max(8, room - COUNTS_WIDTH))
    title = clean(f"{location.place.capitalize()}  {location.line}").rstrip()
    lines: list[Line] = [
        [(PROGRAM, "accent"), (who, "value"), (fit(path, max(0, room), cut="end"), "dim")],
        [(fit(title, width, cut="end"), "strong")],
    ]
    if location.place == "runs":
        lines += _table(rows, keys, width)
    shown = lines[: height - 1]
    if not settings.ascii:
        return shown
    from mlconsole.tui import twins  # 0.5 ms, where there is no UTF-8

    return [[(twins.line(text), token) for text, token in line] for line in shown]


def _table(rows: Sequence[Row], keys: Sequence[str], width: int) -> list[Line]:
    placed = lay_out(columns(keys), keys, width).placed
    titles = [(each.column.title, "header") for each in placed]
    cells = [[row.cells[each.cell] for each in placed] for row in rows]
    return [_line(placed, each, width) for each in (titles, *cells)]


def _line(placed: Sequence[Placed], cells: Sequence[Cell], width: int) -> Line:
    """Cells with the blanks behind them, as the table draws them."""
    ends = [*(each.x for each in placed[1:]), width]
    line: Line = [(" " * GUTTER, "")]
    for each, (text, token), end in zip(placed, cells, ends, strict=True):
        side, cut = ("right", "end") if each.column.right else ("left", "middle")
        line.append((fit(clean(text), each.width, side, cut) + " " * (end - each.x - each.width), token))
    return line
