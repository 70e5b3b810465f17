"""Who judges the windows of a monitor: whether columns have moved, or whether predictions have got worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mlconsole.actions.context import Context
from mlconsole.actions.live_data import cutting, cutting_of, live_table, skipping
from mlconsole.domain.drift import DriftReport, Profile, SchemaFinding, judged, overall
from mlconsole.domain.monitors import Monitor
from mlconsole.domain.performance import PerformanceProfile, Predictions
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import replace
from mlconsole.render.numbers import duration

if TYPE_CHECKING:
    from mlconsole.drift.windows import Cutting, Window

RIPE = 0.95
"""A window of predictions is judged once this share of its rows has labels, or they were waited for long enough."""


class Judge(Protocol):
    """What is done with the windows of one monitor."""

    def cutting(self) -> Cutting | None:
        """What there is to cut; None where there is no live data yet."""
        ...

    def waits(self, window: Window) -> str:
        """What a window waits for that is whole; empty when it can be judged."""
        ...

    def report(self, window: Window) -> DriftReport:
        """What a window is like."""
        ...

    def counts(self, window: Window) -> bytes:
        """What is kept of a window."""
        ...

    def expected(self) -> list[tuple[str, int]]:
        """What will be judged, and of how many values the baseline is."""
        ...


def judge_of(ctx: Context, monitor: Monitor) -> Judge:
    """Who judges a monitor's windows."""
    if monitor.predictions is None:
        return DriftJudge(ctx, monitor)
    return PerformanceJudge(ctx, monitor, monitor.predictions)


class DriftJudge:
    """Compares columns with a profile."""

    def __init__(self, ctx: Context, monitor: Monitor) -> None:
        self._ctx, self._monitor = ctx, monitor
        self._baseline = ctx.catalog.monitors.profile(monitor.baseline.number)

    def cutting(self) -> Cutting | None:
        """The columns that are watched."""
        return cutting_of(self._ctx, self._monitor, self._baseline)

    def waits(self, window: Window) -> str:
        """Nothing."""
        return ""

    def report(self, window: Window) -> DriftReport:
        """What moved; columns that fail a check are one cause, and not called drift as well."""
        from mlconsole.drift.compare import Plan as Tests
        from mlconsole.drift.compare import compare

        assert isinstance(window.profile, Profile)
        monitor = self._monitor
        plan = Tests(monitor.tests, monitor.columns, monitor.rule)
        failed = self._failed_checks(window.profile)
        report = compare(self._baseline, window.profile, plan, [one.column for one in failed], failed)
        named = replace(report, reference=monitor.baseline.source, current=monitor.live)
        return replace(named, monitor=monitor.name, window=window.label)

    def _failed_checks(self, profile: Profile) -> list[SchemaFinding]:
        """What of the monitor's expectations does not hold."""
        if not self._monitor.expect:
            return []
        from mlconsole.drift import expectations
        from mlconsole.drift.checks import check_profile

        found = check_profile(profile, expectations.read(self._monitor.expect))
        return [SchemaFinding(one.column, "failure", f"{one.check}: {one.message}") for one in found]

    def counts(self, window: Window) -> bytes:
        """The counts of its columns."""
        from mlconsole.catalog.profiles import window_counts

        assert isinstance(window.profile, Profile)
        return window_counts(self._baseline, window.profile)

    def expected(self) -> list[tuple[str, int]]:
        """The columns that are watched."""
        wanted = self._monitor.columns
        return [(one.name, one.values) for one in self._baseline.columns if not wanted or one.name in wanted]


class PerformanceJudge:
    """Compares metrics of predictions with those of a baseline, once labels are known."""

    def __init__(self, ctx: Context, monitor: Monitor, asked: Predictions) -> None:
        self._ctx, self._monitor, self._asked = ctx, monitor, asked
        self._baseline = ctx.catalog.monitors.performance(monitor.baseline.number)

    def cutting(self) -> Cutting | None:
        """The rows with their labels, as far as these have come.

        Raises:
            ActionFailed: nothing can be read, or a column is missing.
        """
        from mlconsole.actions.monitor_performance import question_of
        from mlconsole.drift.labelled import Counted, as_asked, labels_of

        unread: dict[str, str] = {}
        live = live_table(self._ctx, self._monitor, unread)
        if live is None:
            return None
        question = question_of(self._asked, self._baseline, self._monitor.slices)
        try:
            late = self._asked.labels if self._asked.label not in live.kinds else ""
            table = as_asked(live, question.columns, has_late=bool(late), time=self._monitor.time_column)
            found = skipping(late, unread) if late else None
            labels = None if not late else labels_of(found, question.columns)
        except UsageError as error:
            raise ActionFailed(error.message, error.hint) from error
        return cutting(self._ctx, self._monitor, table, lambda: Counted(question, labels), unread)

    def waits(self, window: Window) -> str:
        """Labels, until most are there or it has taken long enough."""
        assert isinstance(window.profile, PerformanceProfile)
        rows, labelled = window.profile.rows, window.profile.labelled
        age_s = self._ctx.clock().timestamp() - window.ended_s
        if not self._asked.labels or labelled >= RIPE * rows or age_s >= self._asked.within_s:
            return ""
        within = duration(self._asked.within_s)
        return f"{window.label}: {labelled:,} of {rows:,} rows have labels; they are waited for {within}"

    def report(self, window: Window) -> DriftReport:
        """What got worse."""
        from mlconsole.drift.labelled import metrics_of

        now, before, monitor = window.profile, self._baseline, self._monitor
        assert isinstance(now, PerformanceProfile)
        metrics = tuple(judged(metrics_of(before, now, monitor.rule), monitor.rule))
        lacking = now.rows - now.labelled
        notes = (*before.notes, *now.notes, *([f"{lacking:,} of {now.rows:,} rows have no label"] if lacking else []))
        head = (monitor.baseline.source, monitor.live, overall(metrics, ()), before.rows, now.rows, metrics)
        return DriftReport(*head, (), notes, monitor.rule.level, monitor.name, window.label)

    def counts(self, window: Window) -> bytes:
        """How often predictions were right and wrong, and how scores are spread."""
        from mlconsole.catalog.performance_counts import window_counts

        assert isinstance(window.profile, PerformanceProfile)
        return window_counts(window.profile)

    def expected(self) -> list[tuple[str, int]]:
        """The metrics."""
        from mlconsole.drift.labelled import metrics_of

        found = metrics_of(self._baseline, self._baseline, self._monitor.rule)
        return [(one.column, one.n_reference) for one in found if not one.slice]
