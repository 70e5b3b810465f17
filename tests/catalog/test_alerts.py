"""Looks become incidents in the catalog: one a cause, every change with who, when and why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalogkit import NOW
from mlconsole.catalog import Catalog
from mlconsole.catalog.alerts import answer, tell, wake_due
from mlconsole.domain.alerts import AlertRules, AlertState, AlertStep, Part, Severity, Signal, Verdict
from mlconsole.errors import NotFound

RULES = AlertRules(k=2, n=3, m=2, cool_down_s=0.0)


def look(verdict: Verdict, parts: int = 0, rules: AlertRules = RULES, opens: str = "drift.opened") -> Signal:
    columns = tuple(Part(f"column {n}", f"moved by {n}", n / 10) for n in range(parts))
    title = f"{parts} of 20 columns have moved"
    return Signal("monitor:churn", "monitor", "monitor:churn", verdict, title, Severity.WARNING, columns,
                  {"monitor": "churn"}, rules, opens)  # fmt: skip


def kinds(catalog: Catalog) -> list[str]:
    return [event.kind for event in catalog.events.after(0)]


def test_an_incident_over_twenty_columns_and_ten_windows_is_one_incident_and_one_resolve(catalog: Catalog) -> None:
    at = NOW
    for verdict in [Verdict.BAD] * 10 + [Verdict.CLEAN] * 10:
        catalog.write(lambda db, verdict=verdict, at=at: tell(db, look(verdict, 20), at))
        at += timedelta(hours=1)

    (alert,) = catalog.alerts.listed(tuple(AlertState))
    assert alert.state is AlertState.RESOLVED and len(alert.parts) == 20 and alert.parts[0].name == "column 19"
    assert kinds(catalog) == ["alert.pending", "alert.opened", "drift.opened", "alert.resolved"]
    changes = catalog.alerts.changes(alert.number)
    assert [change.state.value for change in changes] == ["pending", "firing", "resolved"]
    assert all(change.who == "watcher" and change.why for change in changes)


def test_the_next_time_is_another_incident(catalog: Catalog) -> None:
    for verdict in [Verdict.BAD, Verdict.BAD, Verdict.CLEAN, Verdict.CLEAN] * 2:
        catalog.write(lambda db, verdict=verdict: tell(db, look(verdict), NOW))

    assert len(catalog.alerts.listed(tuple(AlertState))) == 2


def test_what_is_clean_leaves_no_row(catalog: Catalog) -> None:
    for verdict in (Verdict.CLEAN, Verdict.BETWEEN):
        catalog.write(lambda db, verdict=verdict: tell(db, look(verdict), NOW))

    assert catalog.alerts.listed(tuple(AlertState)) == [] and kinds(catalog) == []


def test_an_answer_is_an_event_with_who_and_why(catalog: Catalog) -> None:
    for _ in range(2):
        catalog.write(lambda db: tell(db, look(Verdict.BAD), NOW))
    (alert,) = catalog.alerts.listed()
    step = AlertStep(AlertState.SNOOZED, "until lunch")
    until = NOW + timedelta(hours=1)

    catalog.write(lambda db: answer(db, alert, step, NOW, "ann", until))
    catalog.write(lambda db: tell(db, look(Verdict.BAD), NOW))
    assert catalog.alerts.get(alert.id).state is AlertState.SNOOZED
    assert catalog.events.after(0)[-1].data["who"] == "ann"
    catalog.write(lambda db: wake_due(db, until))

    assert catalog.alerts.get(alert.id[:3]).state is AlertState.FIRING
    assert kinds(catalog) == ["alert.pending", "alert.opened", "drift.opened", "alert.snoozed", "alert.opened"]


def test_an_alert_that_is_over_cannot_be_answered(catalog: Catalog) -> None:
    for verdict in (Verdict.BAD, Verdict.BAD, Verdict.CLEAN, Verdict.CLEAN):
        catalog.write(lambda db, verdict=verdict: tell(db, look(verdict), NOW))
    (alert,) = catalog.alerts.listed(tuple(AlertState))

    with pytest.raises(NotFound):
        catalog.write(lambda db: answer(db, alert, AlertStep(AlertState.ACKED, ""), NOW, "ann", None))


def test_hostile_names_are_kept_as_they_are(catalog: Catalog) -> None:
    name = "\x1b[2J[/]\udcff\n" * 10
    signal = Signal(f"x:{name}", "run", f"run:{name}", Verdict.BAD, name, parts=(Part(name, name),))
    catalog.write(lambda db: tell(db, signal, NOW))

    (alert,) = catalog.alerts.listed()
    assert alert.title == name.replace("\udcff", "\\udcff") == alert.parts[0].name
