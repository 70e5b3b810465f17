"""Findings of a check-up."""

from __future__ import annotations

from mlconsole.records import record


@record
class Finding:
    """One line of a check-up. ``level`` is ok, note, warning or failure; ``hint`` says what to do."""

    level: str
    subject: str
    message: str
    hint: str = ""
