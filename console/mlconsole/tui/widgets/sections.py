"""The tabs of a page as spans of its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlconsole.tui.widgets.line import Span


def section_spans(names: Sequence[str], shown: str, width: int, short: Mapping[str, str] | None = None) -> list[Span]:
    """Every section with its digit, the one that is shown under the cursor; short words where room is short."""
    words = {name: name for name in names}
    gap = "  "
    if sum(len(name) + 4 for name in names) > width:
        gap = " "
        words.update(short or {})
    spans: list[Span] = []
    for i, name in enumerate(names, 1):
        spans += [(f"{i} {words[name]}", "cursor" if name == shown else "dim"), (gap, "value")]
    return spans
