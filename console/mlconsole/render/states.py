"""One glyph and one word for each state, the same on every screen, with an ASCII twin."""

from __future__ import annotations

from mlconsole.domain.runs import Reach, Run
from mlconsole.records import record


@record
class Mark:
    """How a state looks: a glyph, its ASCII twin, a word, and a theme token."""

    glyph: str
    ascii: str
    word: str
    token: str


MARKS: dict[str, Mark] = {
    "draft": Mark("·", ".", "draft", "state.idle"),
    "submitting": Mark("◌", "o", "submitting", "state.waiting"),
    "queued": Mark("◌", "o", "queued", "state.waiting"),
    "starting": Mark("◌", "o", "starting", "state.waiting"),
    "running": Mark("●", "*", "running", "state.running"),
    "stopping": Mark("◍", "%", "stopping", "state.waiting"),
    "succeeded": Mark("✔", "+", "succeeded", "state.good"),
    "failed": Mark("✖", "x", "failed", "state.bad"),
    "cancelled": Mark("■", "#", "cancelled", "state.idle"),
    "preempted": Mark("■", "#", "preempted", "state.waiting"),
    "timed_out": Mark("✖", "x", "timed out", "state.bad"),
    "oom": Mark("✖", "x", "out of memory", "state.bad"),
    "node_lost": Mark("✖", "x", "node lost", "state.bad"),
    "never_started": Mark("✖", "x", "never started", "state.bad"),
    "unknown": Mark("?", "?", "unknown", "state.unknown"),
    "unreachable": Mark("?", "?", "unreachable", "state.unknown"),
}
# For terminals that cannot show the glyphs; "…" stands where a text was cut.
_OTHER_TWINS = {"…": "...", "○": "o", "▲": "!", "△": "a"}
ASCII_TWINS = {ord(mark.glyph): mark.ascii for mark in MARKS.values()} | {ord(k): v for k, v in _OTHER_TWINS.items()}


def mark_of(run: Run) -> Mark:
    """The mark of a run: its outcome once it has ended, unreachable when it cannot be looked at, else its state."""
    if run.outcome is not None:
        return MARKS[run.outcome.value]
    if run.reach is Reach.UNREACHABLE:
        return MARKS["unreachable"]
    return MARKS[run.state.value]
