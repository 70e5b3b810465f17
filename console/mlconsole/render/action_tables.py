"""What actions say of themselves and of the house: plans, results, the audit log, backends, findings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.audit import AuditRow
from mlconsole.domain.findings import Finding
from mlconsole.domain.jobs import BackendStatus
from mlconsole.domain.plans import Plan
from mlconsole.domain.results import Done
from mlconsole.domain.times import iso
from mlconsole.render.plan_lines import plan_lines
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table


def lines(result: object, now: datetime) -> list[str] | None:
    """The result as lines, None for what is not known here."""
    if isinstance(result, Done):
        return [clean(result.data or result.message, 4096)]
    if isinstance(result, Plan):
        return plan_lines(result)
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The things as lines, None for things that are not known here."""
    first = items[0]
    if isinstance(first, AuditRow):
        heads = ("#", "WHEN", "WHO", "ACTION", "PHASE", "TARGET", "RESULT")
        return table(heads, [_audit(row) for row in items if isinstance(row, AuditRow)], {0})
    if isinstance(first, BackendStatus):
        titles = ("BACKEND", "ANSWERS", "VERSION", "ABILITIES", "DETAIL")
        return table(titles, [_backend(row) for row in items if isinstance(row, BackendStatus)])
    if isinstance(first, Finding):
        return [line for row in items if isinstance(row, Finding) for line in _finding(row)]
    return None


def _audit(row: AuditRow) -> tuple[str, ...]:
    return (
        str(row.seq),
        iso(row.at) or "",
        f"{row.actor}@{row.host}",
        row.action,
        row.phase,
        row.target,
        row.result,
    )


def _backend(row: BackendStatus) -> tuple[str, ...]:
    abilities = ", ".join(ability.value for ability in row.abilities) or "-"
    return (row.name, "yes" if row.reachable else "no", row.version, abilities, row.detail)


def _finding(row: Finding) -> list[str]:
    out = [clean(f"{row.level:8} {row.subject}: {row.message}", 1000)]
    return out + ([clean(f"         {row.hint}", 1000)] if row.hint else [])
