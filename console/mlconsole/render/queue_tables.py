"""The queue and the machines as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.jobs import HostStatus
from mlconsole.domain.promises import Verdict
from mlconsole.domain.queue_rows import JobLine
from mlconsole.domain.sweeps import Sweep
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.states import mark_of
from mlconsole.render.tables import table


def lines(result: object, now: datetime) -> list[str] | None:
    """The result as lines, None for what is not known here."""
    if isinstance(result, Sweep):
        return [f"{clean(result.id)}  {clean(result.name)}  {clean(states(result))}", *_points(result, now)]
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The things as lines, None for things that are not known here."""
    if isinstance(items[0], JobLine):
        titles = ("TURN", "ID", "NAME", "USER", "BACKEND", "STATE", "FOR", "PRI", "CPU", "GPU", "TRY", "WHY")
        rows = [_job(item, now) for item in items if isinstance(item, JobLine)]
        return table(titles, rows, {0, 6, 7, 8, 9, 10})
    if isinstance(items[0], Verdict):
        promised = [(each.verdict, each.name, each.claim, each.detail) for each in items if isinstance(each, Verdict)]
        return table(("VERDICT", "PROMISE", "CLAIM", "WHY"), promised)
    if isinstance(items[0], Sweep):
        rows = [_sweep(item, now) for item in items if isinstance(item, Sweep)]
        return table(("ID", "NAME", "USER", "BEGUN", "RUNS", "GRID"), rows)
    if isinstance(items[0], HostStatus):
        heads = ("BACKEND", "HOST", "STATE", "CPUS FREE", "GPUS FREE", "JOBS", "SEEN", "WHY")
        machines = [_host(item) for item in items if isinstance(item, HostStatus)]
        return table(heads, machines, {3, 4, 5})
    return None


def states(sweep: Sweep) -> str:
    """How the runs of a sweep stand, in words."""
    words = [mark_of(run).word for run in sweep.runs]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)) or "no runs are left"


def metrics_of(sweep: Sweep, most: int = 3) -> list[str]:
    """The metrics that the runs of a sweep are compared by: those that most of them have."""
    counts = Counter(key for run in sweep.runs for key in run.metrics)
    return [key for key, _ in counts.most_common(most)]


def _points(sweep: Sweep, now: datetime) -> list[str]:
    names, metrics = list(sweep.grid), metrics_of(sweep)
    titles = ("ID", *(name.upper() for name in names), "STATE", "TIME", *metrics)
    rows = []
    for run in sweep.runs:
        values = [numbers.measured(run.metrics[key].last) if key in run.metrics else "-" for key in metrics]
        point = [str(run.params.get(name, "?")) for name in names]
        rows.append((run.id, *point, mark_of(run).word, numbers.duration(run.duration_s(now)), *values))
    return table([clean(title) for title in titles], rows, set(range(2 + len(names), len(titles))))


def _sweep(sweep: Sweep, now: datetime) -> tuple[str, ...]:
    grid = " ".join(f"{name}={','.join(values)}" for name, values in sweep.grid.items())
    return (sweep.id, sweep.name, sweep.user, numbers.ago(sweep.created_at, now), states(sweep), grid)


def _job(line: JobLine, now: datetime) -> tuple[str, ...]:
    return (
        "" if line.turn is None else str(line.turn),
        line.id,
        line.name,
        line.user,
        line.backend,
        line.runs or line.state,
        numbers.duration(max(0.0, (now - line.since).total_seconds())),
        str(line.priority),
        "-" if line.cpus is None else str(line.cpus),
        str(line.gpus),
        str(line.attempt),
        line.why or (silence(line) if line.is_stalled else ""),
    )


def silence(line: JobLine) -> str:
    """For how long a run has written nothing."""
    return f"silent for {numbers.duration(line.silent_s)}: no output, no metric, no checkpoint"


def _host(host: HostStatus) -> tuple[str, ...]:
    seen = "now" if host.age_s < 2 else f"{numbers.duration(host.age_s)} ago"
    jobs = "?" if host.jobs is None else str(host.jobs)
    cpus, gpus = share(host.cpus_free, host.cpus), share(host.gpus_free, host.gpus)
    return (host.backend, host.name, host.state, cpus, gpus, jobs, seen, host.reason)


def share(free: int | None, count: int | None) -> str:
    """What is free of how many: ``3 of 8``; ``any`` where there is no limit."""
    if count is None:
        return "any"
    return f"{'?' if free is None else free} of {count}"
