"""Audit rows: who did what, when, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from mlconsole.records import record


@record
class AuditRow:
    """One row. ``phase`` is ``begin`` (with the first change) or ``end`` (with the result)."""

    seq: int
    at: datetime
    actor: str
    host: str
    action: str
    effect: str
    phase: str
    target: str
    params: Mapping[str, object]
    result: str
    chain: str
