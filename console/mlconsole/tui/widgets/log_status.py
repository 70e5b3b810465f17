"""The line under a log: whether it is followed, what is searched for and left out, and where we are."""

from __future__ import annotations

from mlconsole.render import numbers
from mlconsole.render.numbers import counted
from mlconsole.tui.logs.frame import Frame, Hunt, Source
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.look import Look


def status(frame: Frame, look: Look, column: int = 0, *, is_ended: bool = False) -> tuple[list[Span], list[Span]]:
    """The left and the right part of the line.

    Args:
        frame: what is to be seen.
        look: how it is drawn.
        column: cells that are scrolled out of sight to the left.
        is_ended: the program has ended, so that nothing more will come.
    """
    if frame.source is not Source.LINES:
        return [], []
    left = [*_following(frame, look, is_ended), *_filtered(frame.filtered), *_search(frame.search)]
    if frame.progress is not None:
        what, share = frame.progress
        left.append((f"  {what} {share:.0%}", "dim"))
    if frame.notice:
        left.append((f"  {frame.notice}", "warn"))
    return left, [*_layout(frame, column), *_position(frame)]


def _following(frame: Frame, look: Look, is_ended: bool) -> list[Span]:
    if is_ended and not frame.unread:
        return [("ended", "dim")]
    if frame.is_following:
        return [(f"{look.glyph('▾', 'v')} following", "state.running")]
    spans: list[Span] = [(f"{look.glyph('║', '|')} paused", "warn")]
    if frame.unread:
        spans += [(f"  {counted(frame.unread, 'new line')}", "strong"), ("  F follows", "dim")]
    return spans


def _filtered(hunt: Hunt | None) -> list[Span]:
    if hunt is None:
        return []
    words = "without" if hunt.is_inverted else "only"
    count = "" if hunt.total is None else f" {counted(hunt.total, 'line')}"
    return [(f"  {words} ", "dim"), (hunt.pattern.label, "accent"), (count, "dim")]


def _search(hunt: Hunt | None) -> list[Span]:
    if hunt is None:
        return []
    total = "" if hunt.total is None else f"{hunt.total:,}"
    rank = "" if hunt.rank is None else f"{hunt.rank:,}"
    count = f" {rank} of {total}" if rank and total else f" {rank}{total and f'{total} found'}"
    return [("  ", "dim"), (hunt.pattern.label, "found"), (count.rstrip(), "dim")]


def _layout(frame: Frame, column: int) -> list[Span]:
    if frame.is_wrapped:
        return [("wrapped  ", "dim")]
    return [(f"column {column + 1:,}  ", "dim")] if column else []


def _position(frame: Frame) -> list[Span]:
    known = [row.number for row in frame.rows if row.number is not None]
    where = f"{known[0]:,}-{known[-1]:,}" if known else ""
    total = "" if frame.lines is None else f" of {counted(frame.lines, 'line')}"
    return [(f"{numbers.size(frame.size)}  ", "dim"), (f"{where}{total}".strip(), "value")]
