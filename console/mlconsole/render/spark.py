"""Small drawings that fit in a table's cell: a sparkline and a bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from mlconsole.render.raster import Dots, Raster

_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.-~=+*#"
_GAP = "×"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def sparkline(
    values: Sequence[float], width: int, *, is_ascii: bool = False, least: float | None = None, top: float | None = None
) -> str:
    """The course of values in ``width`` cells; each cell is the highest of its share, a gap shows as ``×``.

    It is drawn between the smallest and the largest value, or from ``least``, or at least up to ``top``.
    """
    if not values or width <= 0:
        return " " * max(0, width)
    levels = _ASCII_LEVELS if is_ascii else _LEVELS
    width_used = min(width, len(values))
    shares = [values[i * len(values) // width_used : (i + 1) * len(values) // width_used] for i in range(width_used)]
    peaks = [max((value for value in share if math.isfinite(value)), default=math.nan) for share in shares]
    finite = [peak for peak in peaks if math.isfinite(peak)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    low, high = low if least is None else least, high if top is None else max(high, top)
    drawn = [_level(peak, low, high, levels) if math.isfinite(peak) else ("x" if is_ascii else _GAP) for peak in peaks]
    return "".join(drawn).ljust(width)


def _level(value: float, low: float, high: float, levels: str) -> str:
    if high <= low:
        return levels[0]
    return levels[min(len(levels) - 1, int((value - low) / (high - low) * len(levels)))]


def gauge(values: Sequence[float], width: int, *, top: float = 100.0, is_ascii: bool = False) -> str:
    """The last ``width`` values on a scale from 0 to ``top``, the newest at the right; a gap shows as ``×``."""
    levels = _ASCII_LEVELS if is_ascii else _LEVELS
    gap = "x" if is_ascii else _GAP
    drawn = [_level(min(value, top), 0.0, top, levels) if math.isfinite(value) else gap for value in values[-width:]]
    return "".join(drawn).rjust(width)


def course(values: Sequence[float], width: int, *, is_ascii: bool = False) -> str:
    """The course of values as a line of dots, two across and four down in each of ``width`` cells.

    A dot column spans what is in its share and reaches to the one before, so that no spike is lost; a cell of gaps
    alone shows as ``×``. In ASCII it is a sparkline.
    """
    finite = [value for value in values if math.isfinite(value)]
    if is_ascii or not finite:
        return sparkline(values, width, is_ascii=is_ascii)
    values = _with_middles(values) if len(values) <= width else values
    low, high = min(finite), max(finite)
    count = min(2 * width, len(values))
    raster = Raster(width, 1, Dots.BRAILLE)
    before: int | None = None
    for column in range(count):
        share = values[column * len(values) // count : (column + 1) * len(values) // count]
        rows = [_dot(value, low, high) for value in share if math.isfinite(value)]
        if rows:
            reach = rows if before is None else [*rows, before + (rows[0] > before) - (rows[0] < before)]
            raster.column(column, min(reach), max(reach), 0)
        before = rows[-1] if rows else None
    drawn = {x: char for x, _, char, _ in raster.cells()}
    return "".join(drawn.get(x, _GAP) for x in range((count + 1) // 2)).ljust(width)


def _with_middles(values: Sequence[float]) -> Sequence[float]:
    """A value and the middle to the next one, so that few values fill a cell each."""
    return [part for one, other in pairwise([*values, values[-1]]) for part in (one, (one + other) / 2)]


def _dot(value: float, low: float, high: float) -> int:
    """The dot of a cell that a value stands at, counted from the top."""
    return 3 if high <= low else 3 - round((value - low) / (high - low) * 3)


def bar(fraction: float, width: int, *, is_ascii: bool = False, track: str = " ") -> str:
    """A bar filled by a fraction from 0 to 1, exact to an eighth of a cell; not a number is an empty bar.

    ``track`` stands where nothing is filled, the bar then in whole cells; in ASCII it is always to be seen.
    """
    if not math.isfinite(fraction):
        fraction = 0.0
    fraction = min(1.0, max(0.0, fraction))
    if is_ascii:
        return ("#" * round(fraction * width)).ljust(width, ".")
    if track != " ":
        return ("█" * round(fraction * width)).ljust(width, track)
    eighths = round(fraction * width * 8)
    whole, rest = divmod(eighths, 8)
    return (_EIGHTHS[8] * whole + (_EIGHTHS[rest] if rest else "")).ljust(width, track)


def columns(shares: Sequence[float], top: float, *, is_ascii: bool = False) -> str:
    """Shares as columns of a small histogram, a cell each, scaled to ``top``; nothing at all is a blank."""
    levels = _ASCII_LEVELS if is_ascii else _LEVELS
    return "".join(" " if share <= 0 or top <= 0 else _level(share, 0.0, top, levels) for share in shares)
