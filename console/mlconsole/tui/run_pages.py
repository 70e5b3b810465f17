"""What the pages of a run say, as lines of spans."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import ParamValue, Run
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.columns import spent_text
from mlconsole.render.sanitise import clean
from mlconsole.render.states import MARKS, mark_of
from mlconsole.render.width import cell_width, fit, middle
from mlconsole.tui.explorer import View
from mlconsole.tui.widgets.line import Span

Lines = list[list[Span]]
MOST_LABEL, MOST_LINES = 44, 2000
LABEL = 12
NOTHING_WHEN_EMPTY = ("dirty", "untracked", "untracked_count")


def summary(details: RunDetails, now: datetime) -> Lines:
    """The head of a run: what it is, how it stands, and why."""
    run = details.run
    mark = mark_of(run)
    state: list[Span] = [(f"{mark.glyph} {mark.word}", mark.token)]
    if run.exit_code is not None and "exit code" not in run.reason:
        state.append((f"  exit code {run.exit_code}", "dim"))
    if run.why:
        state.append((f"  {run.why}", "value"))
    times = ""
    if run.started_at:
        ago = numbers.ago(run.started_at, now)
        times = f"{run.started_at:%Y-%m-%d %H:%M:%S}Z ({ago}), for {numbers.duration(run.duration_s(now))}"
    rows: list[tuple[str, list[Span]]] = [
        ("state", state),
        ("started", [(times, "value")]),
        ("cost", [(spent_text(run), "value")]),
        ("command", [(_brief(run.command), "value")]),
        ("where", [(f"{run.user}@{run.host}:{run.cwd}", "value"), (f"  {run.backend or 'not launched here'}", "dim")]),
        ("tags", [(" ".join(k if not v else f"{k}={v}" for k, v in run.tags.items()), "accent")]),
        ("cleanup", [(run.cleanup, "warn")]),
    ]
    return [_row(label, spans) for label, spans in rows if any(text for text, _ in spans)]


def _brief(command: Sequence[str]) -> str:
    """A command line; of the interpreter the name is enough, the environment tells its path."""
    program, *rest = command or ("",)
    name = program.rpartition("/")[2]
    return shlex.join([name if name.startswith("python") else program, *rest]) if command else ""


def _row(label: str, spans: list[Span]) -> list[Span]:
    return [(f"{label:{LABEL}}", "label"), *spans]


def params(details: RunDetails, now: datetime) -> Lines:
    """Params, then metrics with their extremes."""
    run = details.run
    out: Lines = []
    if run.params:
        out += [[("Params", "strong")], *mapping_lines(run.params), []]
    if run.metrics:
        out += [[("Metrics", "strong")], *_metrics(run), []]
    if not run.params and not run.metrics:
        out += [[("This run has logged nothing yet: import mlconsole; mlconsole.log({...})", "dim")]]
    return out


def _metrics(run: Run) -> Lines:
    width = max(len(key) for key in run.metrics)
    head = f"  {'':{width}}  {'last':>10} {'min':>10} {'max':>10} {'step':>10} {'points':>10}"
    out: Lines = [[(head, "dim")]]
    for key, m in run.metrics.items():
        figures = [*map(numbers.measured, (m.last, m.min, m.max)), f"{m.step:,}", f"{m.count:,}"]
        out.append([(f"  {key:{width}}  ", "accent"), (" ".join(f"{text:>10}" for text in figures), "value")])
    return out


def mapping_lines(mapping: Mapping[str, ParamValue], indent: int = 2) -> Lines:
    """A mapping, one key a line; nested mappings are indented."""
    if not mapping:
        return []
    width = min(32, max(len(str(key)) for key in mapping))
    out: Lines = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            out.append([(" " * indent + str(key), "accent")])
            out += mapping_lines(value, indent + 2)
        else:
            text = value if value and isinstance(value, str) else json.dumps(value)
            out.append([(" " * indent + f"{key!s:{width}}  ", "accent"), (text, "value")])
    return out


def environment(details: RunDetails, now: datetime) -> Lines:
    """What was captured of the machine and the interpreter."""
    if not details.environment:
        return [[("Nothing captured: the program did not import mlconsole, or has only just begun.", "dim")]]
    return mapping_lines(details.environment)


def code(details: RunDetails, diff: str) -> Lines:
    """Commit, branch, untracked files, and the diff of tracked ones."""
    if not details.code:
        return [[("No code captured: the program did not import mlconsole, or ran outside a git repository.", "dim")]]
    told = {key: value for key, value in details.code.items() if value or key not in NOTHING_WHEN_EMPTY}
    out = [*mapping_lines(told), []]
    if not diff and details.code.get("dirty") is False:
        out.append([("  Nothing differed from the commit.", "dim")])
    return out + [[(line, _diff_token(line))] for line in diff.splitlines()]


def _diff_token(line: str) -> str:
    if line.startswith("@@"):
        return "accent"
    if line.startswith(("+++", "---", "diff ", "index ")):
        return "dim"
    return "good" if line.startswith("+") else "bad" if line.startswith("-") else "value"


def artifacts(details: RunDetails, now: datetime) -> Lines:
    """Files, datasets and models."""
    if not details.artifacts:
        return [[("No artifacts: mlconsole.log_artifact(path), log_dataset(...), log_model(...)", "dim")]]
    out: Lines = []
    for a in details.artifacts:
        out.append([(f"  {a.kind:9}", "label"), (a.name, "accent"), (f"  {numbers.size(a.size_bytes)}", "value")])
        out.append([("           ", "dim"), (a.path, "dim"), (f"  {a.digest[:20]}", "dim")])
    return out


def timeline(details: RunDetails, now: datetime) -> Lines:
    """States with when, how long after the one before, and the evidence; then what failed."""
    out: Lines = []
    before: datetime | None = None
    for change in details.timeline:
        mark = MARKS[change.outcome.value if change.outcome else change.state.value]
        after = "" if before is None else _pause((change.at - before).total_seconds())
        state: Span = (f"{mark.glyph} {mark.word:13} ", mark.token)
        out.append([(f"  {iso(change.at)}  {after:>7}  ", "dim"), state, (change.evidence, "value")])
        before = change.at
    if details.traceback:
        out += [[], [("Traceback", "strong")], *_ends(details.traceback.splitlines())]
    return out + [[(f"damaged: {text}", "error")] for text in details.damage]


def _pause(seconds: float) -> str:
    """A length between two moments, which a clock that was set may have put in the other order."""
    size = abs(seconds)
    return f"{'-' if seconds < 0 else '+'}{f'{size:.1f}s' if size < 10 else numbers.duration(size)}"


def _ends(lines: Sequence[str]) -> Lines:
    """The lines, of very many the first and the last ones: what failed stands at the end."""
    if len(lines) <= MOST_LINES:
        return [[(line, "value")] for line in lines]
    head, tail = lines[: MOST_LINES // 4], lines[-MOST_LINES // 2 :]
    left_out = len(lines) - len(head) - len(tail)
    cut: list[Span] = [(f"... {left_out:,} lines are left out here", "dim")]
    return [*([(line, "value")] for line in head), cut, *([(line, "value")] for line in tail)]


def lineage(view: View | None, word: str) -> Lines:
    """The lanes around a thing, two steps each way; ``word`` is what the whole of it is asked for by."""
    if view is None:
        return [[("Nothing is known of its past: it logged no data, no model and no code.", "dim")]]
    roles = view.roles()
    labels = {number: middle(clean(node.label), MOST_LABEL) for number, node in view.nodes.items()}
    things = [row for row in view.rows if row.node not in view.folds]
    wide = max(len(row.text()) + cell_width(labels[row.node]) for row in things)
    out: Lines = []
    for row in view.rows:
        if (fold := view.folds.get(row.node)) is not None:
            out.append([(f"  {row.text('▸')} {fold.words}", "dim")])
            continue
        node = view.nodes[row.node]
        is_start = row.node == view.start.number
        lanes = row.text("◆" if is_start else "○")
        label = fit(labels[row.node], wide - len(lanes))
        name: list[Span] = [(f"  {lanes} ", "dim"), (label, "strong" if is_start else "value")]
        out.append([*name, (f"  {node.kind:<11}", "label"), (f"  {roles.get(row.node, '')}", "dim")])
    return [*out, [], [(f"  All of it: :lineage {word}", "dim")]]


def main_metric(run: Run, among: Collection[str] | None = None) -> str | None:
    """The metric that tells most: a validation loss, any loss, an accuracy, or the first there is of ``among``."""
    keys = [key for key in run.metrics if among is None or key in among]
    for words in (("val", "loss"), ("loss",), ("acc",)):
        for key in keys:
            if all(word in key.lower() for word in words):
                return key
    return next(iter(keys), None)
