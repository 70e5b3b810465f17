"""Monitors: made, listed, shown, and taken away."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from mlconsole.actions import monitor_performance
from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.baseline import Needs, counted
from mlconsole.actions.context import Context
from mlconsole.actions.monitor_performance import predictions_of
from mlconsole.actions.monitor_performance import rule_of as performance_rule
from mlconsole.domain.drift import LEVEL, Histogram, Profile
from mlconsole.domain.monitors import MonitorPage, MonitorState, WindowKind, window_spec
from mlconsole.domain.performance import TASKS, PerformanceProfile, Predictions
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done, Listing
from mlconsole.domain.times import parse_duration
from mlconsole.errors import MlconsoleError, UsageError
from mlconsole.records import asdict, record

SHOWN_WINDOWS = 30


@record
class AddParams:
    """What is watched, against what, how."""

    name: str = param(help="name of the monitor", positional=True, metavar="NAME")
    baseline: str | None = param(
        None, help="what it should be like: a file, a pattern, a dataset, run:NAME, or window:MONITOR", metavar="DATA"
    )
    live: str | None = param(None, help="the live data: a file, a folder, or a pattern in quotes", metavar="GLOB")
    window: str = param("24h", help="rows:1000, 24h or last:5 (files)", metavar="WINDOW")
    time: str | None = param(None, help="column of moments that puts a row into its window", metavar="COLUMN")
    tests: str | None = param(None, help="tests by name, with commas; see drift tests", metavar="NAMES")
    columns: str | None = param(None, help="these columns alone, with commas", metavar="NAMES")
    slices: str | None = param(None, help="also within the most frequent values of these columns", metavar="NAMES")
    label: str | None = param(
        None, help="column of what was true: judge how good predictions are, and not drift", metavar="COLUMN"
    )
    prediction: str | None = param(None, help="column of what was predicted", metavar="COLUMN")
    score: str | None = param(None, help="column of the positive class's score", metavar="COLUMN")
    labels: str | None = param(None, help="labels that come later: a file or pattern, with --key", metavar="DATA")
    key: str | None = param(None, help="column that joins predictions with labels that come later", metavar="COLUMN")
    labels_within: str = param("7d", help="how long labels are waited for", metavar="TIME")
    positive: str | None = param(None, help="the positive class, where it is not 1 or true", metavar="VALUE")
    task: str | None = param(None, help="classes or numbers, where the labels do not tell", choices=TASKS)
    expect: str | None = param(None, help="expectations to check every window against first", metavar="FILE.toml")
    every: str = param("5m", help="how often the watcher looks at it", metavar="TIME")
    level: float = param(LEVEL, help="share of false discoveries that is put up with", metavar="SHARE")
    silence: str = param("usual", help="no new rows for so long is an alert; or usual, or never", metavar="TIME")
    floor: tuple[str, ...] = param(
        (), help="least effect that counts, as TEST=VALUE; may be given again", metavar="T=V"
    )
    opens: str = param("2/3", help="so many bad ones of so many windows open an alert", metavar="K/N")
    closes: int = param(2, help="so many clean windows in a row close it", metavar="M")


def _how(params: AddParams) -> tuple[dict[str, Any], float]:
    """How it is judged, as it is kept, and how often in seconds.

    Raises:
        UsageError: something of it is wrong.
    """
    from mlconsole.actions.drift import plan_of, rule_of
    from mlconsole.drift import tests

    if not params.name.strip() or params.name != params.name.strip():
        raise UsageError(f'"{params.name}" is no name for a monitor.')
    if params.baseline is None or params.live is None:
        raise UsageError("A monitor compares live data with a baseline.", "Say both: --baseline DATA --live GLOB")
    every = parse_duration(params.every)
    if every is None or not 1 <= every <= 30 * 86_400:
        raise UsageError(f'"{params.every}" is no time.', "Write --every 5m.")
    silence_s = _silence_s(params.silence)
    opens = re.fullmatch(r"(\d{1,2})/(\d{1,2})", params.opens)
    if opens is None or not 1 <= int(opens[1]) <= int(opens[2]) or not 1 <= params.closes <= 99:
        raise UsageError(f'"{params.opens}" is no number of windows.', "Write --opens 2/3 --closes 2.")
    if params.time and window_spec(params.window).kind is not WindowKind.TIME:
        raise UsageError("A column of moments is for windows of time.", "Write --window 24h --time COLUMN.")
    predictions = predictions_of(params)
    if predictions is not None:
        rule = performance_rule(params.level, params.floor)
        plan = plan_of(None, None, rule)
    else:
        plan = plan_of(params.tests, params.columns, rule_of(params.level, params.floor))
    of_rows = [name for name in plan.tests if tests.named(name).sample is not None]
    if of_rows:
        raise UsageError(f'"{of_rows[0]}" looks at rows, of which a monitor keeps none.', "Name it in drift compare.")
    return {
        "time": params.time or "",
        "tests": plan.tests,
        "columns": plan.columns,
        "slices": [word.strip() for word in (params.slices or "").split(",") if word.strip()],
        "expect": os.path.abspath(params.expect) if params.expect else "",
        "level": params.level,
        "floors": plan.rule.floors,
        "opens": (int(opens[1]), int(opens[2])),
        "closes": params.closes,
        "silence_s": silence_s,
        "predictions": None if predictions is None else asdict(predictions),
    }, every


def _silence_s(text: str) -> float | None:
    """For how long no new rows may come; None for what is usual, 0 for as long as they like.

    Raises:
        UsageError: it is no time.
    """
    if text in ("usual", "never"):
        return None if text == "usual" else 0.0
    seconds = parse_duration(text)
    if seconds is None or not 60 <= seconds <= 366 * 86_400:
        raise UsageError(f'"{text}" is no time without new rows.', "Write --silence 2h (a minute to a year), or never.")
    return seconds


def plan_add(ctx: Context, params: AddParams) -> Plan:
    """What would be read and kept."""
    _how(params)
    spec = window_spec(params.window)
    steps = (
        Step("count the baseline's columns, and keep the counts; no row is kept", str(params.baseline)),
        Step(f"compare every window ({spec.text}) of the live data with them", str(params.live)),
    )
    command = ["mlconsole", "monitor", "add", params.name]
    command += [f"--baseline={params.baseline}", f"--live={params.live}", f"--window={params.window}"]
    return Plan("monitor add", Effect.WRITE, steps, command=shlex.join(command))


def add(ctx: Context, params: AddParams) -> Done:
    """Make a monitor: count its baseline, and keep the counts.

    Raises:
        UsageError: something of it is wrong, or the baseline lacks a column that was named.
        ActionFailed: there is one of that name, or the baseline cannot be read.
    """
    from mlconsole.catalog.monitors import NewMonitor, put_monitor

    how, every = _how(params)
    spec = window_spec(params.window)
    if params.expect:
        from mlconsole.drift import expectations

        expectations.read(params.expect)
    assert params.baseline is not None and params.live is not None
    wanted = _wanted(params, how)
    told_more = ""
    baseline: Profile | PerformanceProfile
    if wanted is not None:
        baseline = monitor_performance.counted(ctx, params.baseline, wanted)
    else:
        needs = Needs(how["columns"], tuple(how["slices"]))
        baseline, told_more = counted(ctx, params.baseline, needs)
    live = os.path.abspath(os.path.expanduser(params.live))
    new = NewMonitor(params.name, baseline, live, spec.text, how, every, ctx.clock(), ctx.settings.user)
    ctx.write(lambda db: put_monitor(db, new), durable=True)
    fields = {"name": params.name, "rows": baseline.rows, "digest": baseline.digest}
    if isinstance(baseline, Profile):
        told_more += _lacking(live, baseline, how["columns"])
        fields["columns"] = len(how["columns"]) or len(baseline.columns)
        what = f"{fields['columns']} columns of {baseline.rows:,} rows"
    else:
        what = f"predictions of {baseline.task} in {baseline.labelled:,} labelled rows"
    told = f'Monitor "{params.name}": {what}, windows of {spec.text}.{told_more}'
    return Done("monitor", told, fields=fields)


def _lacking(live: str, baseline: Profile, columns: Sequence[str]) -> str:
    """Words on columns of the baseline that the live data lacks, as a label that is not known yet; empty for none."""
    from mlconsole.actions.live_data import skipping

    try:
        table = skipping(live, {}, lambda files: list(files)[-1:])
    except MlconsoleError:
        return ""
    watched = columns or [column.name for column in baseline.columns]
    gone = [name for name in watched if table is not None and name not in table.kinds]
    if not gone:
        return ""
    return f' The live data has no "{gone[0]}", and no window will be as expected: --columns names what is watched.'


def _wanted(params: AddParams, how: Mapping[str, Any]) -> monitor_performance.Wanted | None:
    predictions = how["predictions"]
    if predictions is None:
        return None
    asked = Predictions(**predictions)
    return monitor_performance.Wanted(asked, tuple(how["slices"]), params.positive, params.task)


def list_monitors(ctx: Context, params: NoParams) -> Listing[MonitorState]:
    """Every monitor, its state and its newest windows."""
    monitors = ctx.catalog.monitors
    return Listing("monitor", [monitors.state(monitor, SHOWN_WINDOWS) for monitor in monitors.all()])


@record
class MonitorParams:
    """Which one."""

    name: str = param(help="name of the monitor", positional=True, cursor="monitor", metavar="MONITOR")


def show(ctx: Context, params: MonitorParams) -> MonitorPage:
    """A monitor, its windows, and what the newest of them found."""
    return page(ctx, params.name)


def page(ctx: Context, name: str) -> MonitorPage:
    """A monitor with the counts of its baseline and of its newest window.

    Raises:
        NotFound: there is none of that name.
    """
    from mlconsole.catalog.profiles import window_profile

    monitors = ctx.catalog.monitors
    monitor = monitors.get(name)
    state = monitors.state(monitor, SHOWN_WINDOWS)
    baselines = monitors.baselines(monitor)
    newest = monitors.newest(monitor)
    if monitor.predictions is not None:
        return MonitorPage(state, newest.report if newest else None, baselines=baselines)
    if newest is None:
        return MonitorPage(state, None, monitors.profile(monitor.baseline.number), baselines=baselines)
    baseline = monitors.profile(newest.baseline)
    current = window_profile(baseline, newest.counts, newest.label, newest.rows)
    return MonitorPage(state, newest.report, baseline, current, baselines)


def histograms(found: MonitorPage, bins: int = 10) -> dict[str, Histogram]:
    """For every column of a monitor's newest window its shares in the baseline and now, in so many bins."""
    from mlconsole.drift.histograms import histogram

    if found.baseline is None or found.current is None:
        return {}
    pairs = [(column, found.current.column(column.name)) for column in found.baseline.columns]
    drawn = {column.name: histogram(column, other, bins) for column, other in pairs if other is not None}
    return {name: one for name, one in drawn.items() if one is not None}


def plan_remove(ctx: Context, params: MonitorParams) -> Plan:
    """What would be gone."""
    state = ctx.catalog.monitors.state(ctx.catalog.monitors.get(params.name), 1)
    step = Step(f'take the monitor "{params.name}" away, with {state.total:,} judged windows', params.name)
    command = shlex.join(["mlconsole", "monitor", "remove", params.name, "--yes"])
    irreversible = ("Its windows cannot be judged again where their data is gone.",)
    return Plan("monitor remove", Effect.DESTROY, (step,), irreversible=irreversible, command=command)


def remove(ctx: Context, params: MonitorParams) -> Done:
    """Take a monitor and its windows away."""
    from mlconsole.catalog.monitors import remove_monitor

    monitor = ctx.catalog.monitors.get(params.name)
    user = ctx.settings.user
    ctx.write(lambda db: remove_monitor(db, monitor, ctx.clock(), user), durable=True)
    return Done("monitor", f'The monitor "{params.name}" is gone.', fields={"name": params.name})


ADD = Action(
    "monitor add",
    "Watch live data: compare every window with a baseline",
    AddParams,
    Effect.WRITE,
    add,
    plan_add,
    target=lambda p: p.name,
    examples=("mlconsole monitor add scores --baseline train.parquet --live 'live/*.csv' --window 1000",),
)
LIST = Action("monitor list", "List monitors and how they stand", NoParams, Effect.READ, list_monitors)
SHOW = Action("monitor show", "Show a monitor and what its newest window found", MonitorParams, Effect.READ, show)
REMOVE = Action(
    "monitor remove",
    "Take a monitor and its judged windows away",
    MonitorParams,
    Effect.DESTROY,
    remove,
    plan_remove,
    target=lambda p: p.name,
)
