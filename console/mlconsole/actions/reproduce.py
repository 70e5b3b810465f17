"""Running a run again as it was, and saying whether the same came of it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from mlconsole.actions import launch, virtual_env
from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.launch_data import declared, declared_models
from mlconsole.actions.launch_order import LaunchParams
from mlconsole.actions.recorded_data import changed_data
from mlconsole.actions.run_diff import compare, patch_of
from mlconsole.actions.sync import refresh
from mlconsole.actions.working_copy import Checkout, check_out
from mlconsole.catalog.lineage import put_edge, put_run
from mlconsole.domain.lineage import NodeKind, Way
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.reproduce import Obstacle, Reproduction, Verdict, is_identical, is_within
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.run_diff import Axis, Difference, packages_of, variables_of
from mlconsole.domain.runs import Run, State
from mlconsole.errors import ActionFailed, Interrupted, NotFound, UsageError
from mlconsole.recorder.redact import REDACTED
from mlconsole.records import record
from mlconsole.render.numbers import counted

POLL_S = 0.2
THING = "a run, a model as NAME@VERSION, or an environment"
NO_INPUT = (Axis.COMMAND, Axis.MACHINE)
"""Named at the end alone: the command's paths differ by design, and a machine is what it is."""


@record
class ReproduceParams:
    """What to run again, with what, and how alike is alike enough."""

    thing: str = param(help=THING, positional=True, cursor="run", metavar="RUN|MODEL@V|ENV")
    wheels: str | None = param(None, help="take packages from this folder of wheels and ask no index", metavar="DIR")
    python: str | None = param(None, help="use this interpreter if it has the same packages; build none", metavar="EXE")
    repo: str | None = param(None, help="take the commit from this repository", metavar="DIR")
    tolerance: float = param(1e-6, help="metrics are alike within this, relative to the larger", metavar="X")
    ignore: tuple[str, ...] = param((), help="leave out metrics of this name or pattern", metavar="METRIC")
    anyway: bool = param(False, help="run although data or packages are not what they were")
    keep: bool = param(False, help="keep the folder with the code")


def run_behind(ctx: Context, word: str) -> Run:
    """The run that a word means: a run, what registered a model's version, or what an environment's model came from.

    Raises:
        NotFound: there is none.
    """
    runs: tuple[Callable[[], Run], ...] = (
        lambda: ctx.catalog.runs.get(word),
        lambda: ctx.catalog.runs.get(ctx.catalog.models.get(word).run_id),
    )
    for look in runs:
        try:
            return look()
        except NotFound:
            continue
    return _run_above(ctx, word)


def _run_above(ctx: Context, word: str) -> Run:
    """The run that the model of a release, or of an environment's newest deployment, was registered from."""
    graph = ctx.catalog.lineage
    start = graph.newest_deployment(word)
    if start is None:
        start = graph.find(word)
    found = graph.closure(start, Way.UP, cancelled=ctx.cancelled.is_set)
    nodes = {node.number: node for node in found.nodes}
    for edge in found.edges:
        if edge.role == "registered" and nodes[edge.above].kind == NodeKind.RUN.value:
            return ctx.catalog.runs.get(nodes[edge.above].key.removeprefix("run:"))
    raise NotFound(f'No run led to "{word}".', "List runs and models: mlconsole run list, mlconsole model list")


def plan(ctx: Context, params: ReproduceParams) -> Plan:
    """What would be brought back, built and launched."""
    details = ctx.catalog.runs.details(run_behind(ctx, params.thing).id)
    run = details.run
    packages = len(packages_of(details.environment))
    where = params.python or (f"packages from {params.wheels}" if params.wheels else "packages from the index")
    data = [one.name for one in details.artifacts if one.kind == "dataset"]
    steps = (
        Step(
            f"check {counted(len(data), 'dataset')} against what was recorded: {', '.join(data[:3]) or 'none'}",
            run.id,
        ),
        Step(f"check out commit {(run.commit or 'unknown')[:12]} with its changes", params.repo or run.cwd),
        Step(f"have an interpreter with the {packages} recorded packages", where),
        Step(f"launch {shlex.join(run.command)}", "backend local"),
        Step("compare every metric and every file, bit by bit", run.id),
    )
    words = ["mlconsole", "reproduce", params.thing]
    return Plan("reproduce", Effect.WRITE, steps, command=shlex.join(words))


def reproduce(ctx: Context, params: ReproduceParams) -> Reproduction:
    """Run it again and compare.

    Raises:
        NotFound: no such run.
        UsageError: a param makes no sense.
        ActionFailed: the run has not ended.
    """
    if not 0 <= params.tolerance < 1:
        raise UsageError(f'"{params.tolerance:g}" is no tolerance.', "Give 0 up to 1: 1e-6")
    refresh(ctx)
    details = ctx.catalog.runs.details(run_behind(ctx, params.thing).id)
    if details.run.state is not State.ENDED:
        raise ActionFailed(f'Run "{details.run.name}" has not ended.', "Wait for it, or stop it first.")
    folder = ctx.settings.home / "reproduced" / f"{details.run.id}-{os.urandom(3).hex()}"
    try:
        return _Attempt(ctx, params, details, folder).carry_out()
    except Obstacle as obstacle:
        words = "an input is not what it was"
        return Reproduction(details.run, None, Verdict.NOT_RUN, words, (obstacle.row,))
    finally:
        if not params.keep:
            shutil.rmtree(folder, ignore_errors=True)


@record
class _Attempt:
    ctx: Context
    params: ReproduceParams
    details: RunDetails
    folder: Path

    def carry_out(self) -> Reproduction:
        run = self.details.run
        if not run.command or any(REDACTED in word for word in run.command):
            held = "held a secret, which is never kept" if run.command else "is not known"
            raise Obstacle(Difference(Axis.COMMAND, "command", shlex.join(run.command), held))
        self._must_agree(changed_data(self.ctx, self.details))
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        patch = patch_of(self.ctx, self.details)
        code = check_out(self.details, patch, self.folder, self.params.repo)
        again = self._launched(code, self._python())
        return self._compared(self.ctx.catalog.runs.details(again.id), code)

    def _must_agree(self, rows: list[Difference]) -> None:
        if rows and not self.params.anyway:
            raise Obstacle(rows[0])

    def _python(self) -> str:
        wanted = packages_of(self.details.environment)
        if not wanted:
            raise Obstacle(Difference(Axis.PACKAGES, "packages", "not recorded", ""))
        if (given := self.params.python) is not None:
            python = os.path.abspath(given) if os.sep in given else given  # The run begins in another folder.
            self._must_agree(virtual_env.unlike(wanted, virtual_env.probed(python)))
            return python
        from hashlib import sha256  # 5 ms: it loads OpenSSL

        name = sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
        folder = self.ctx.settings.home / "reproduced" / "environments" / name
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return virtual_env.build(wanted, self.params.wheels, folder)

    def _launched(self, code: Checkout, python: str) -> Run:
        run = self.details.run
        kept = {k: v for k, v in run.params.items() if isinstance(v, (str, int, float)) and v != REDACTED}
        again = launch.run(
            self.ctx,
            LaunchParams(
                command=(self._program(run.command[0], python, code), *(code.moved(word) for word in run.command[1:])),
                experiment=run.experiment,
                name=f"{run.name} again",
                env=tuple(f"{k}={v}" for k, v in self._variables().items()),
                cwd=code.cwd,
                tag=(f"reproduces={run.id}",),
                backend="local",
                gpus=run.gpus,
                data=() if self.params.anyway else declared(self.details.artifacts),
                model=() if self.params.anyway else declared_models(self.details.artifacts),
                param=tuple(f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in kept.items()),
            ),
        )
        self.ctx.say(f"running again as {again.id}")
        mine, theirs = again.number, run.number
        self.ctx.write(lambda db: put_edge(db, put_run(db, mine), put_run(db, theirs), "reproduces"))
        while self.ctx.catalog.runs.get(again.id).state is not State.ENDED:
            if self.ctx.cancelled.wait(POLL_S):
                raise Interrupted(f"Interrupted; the run {again.id} goes on.")
            refresh(self.ctx)
        refresh(self.ctx)
        return again

    def _variables(self) -> dict[str, str]:
        found = variables_of(self.details.environment)
        if self.details.run.gpus:
            found.pop("CUDA_VISIBLE_DEVICES", None)
        return found

    def _program(self, word: str, python: str, code: Checkout) -> str:
        """The first word: an interpreter is the one that was built, a program beside it the one of the same name."""
        name = os.path.basename(word)
        if name.startswith("python") and not name.endswith(".py"):
            return python
        beside = os.path.join(os.path.dirname(python), name)
        return beside if os.path.exists(beside) and not word.startswith(".") else code.moved(word)

    def _compared(self, again: RunDetails, code: Checkout) -> Reproduction:
        rows = compare(self.ctx, self.details, again).rows
        inputs = [row for row in rows if row.axis.is_input and row.axis not in NO_INPUT and self._counts(row, code)]
        machine = [row for row in rows if row.axis is Axis.MACHINE]
        outputs = [row for row in rows if row.axis in (Axis.OUTCOME, Axis.FILES)] + self._metrics(again)
        verdict, words = self._verdict(again, outputs)
        return Reproduction(
            self.details.run, again.run, verdict, words, (*inputs, *machine), tuple(outputs), code.notes
        )

    def _counts(self, row: Difference, code: Checkout) -> bool:
        if row.axis is Axis.PACKAGES and row.key in virtual_env.BYSTANDERS - {"python"}:
            return False
        return row.axis is Axis.CODE or code.back(row.after) != row.before

    def _metrics(self, again: RunDetails) -> list[Difference]:
        rows: list[Difference] = []
        old, new = self.details.run, again.run
        for key in sorted(old.metrics.keys() | new.metrics.keys()):
            if any(fnmatchcase(key, pattern) for pattern in self.params.ignore):
                continue
            if key not in old.metrics or key not in new.metrics:
                sides = ("logged" if key in one.metrics else "" for one in (old, new))
                rows.append(Difference(Axis.METRICS, key, *sides))
                continue
            before, after = (self.ctx.catalog.metrics.history(one.number, one.id, key) for one in (old, new))
            if not is_identical(before, after):
                within = " (within)" if is_within(before, after, self.params.tolerance) else ""
                histories = before, after
                pairs = zip(*(zip(one.steps, one.values, strict=True) for one in histories), strict=False)
                first = next((pair for pair in pairs if repr(pair[0]) != repr(pair[1])), None)
                count = (f"{len(one.steps)} points" for one in histories)
                sides = (f"{v!r} at step {s}{within}" for s, v in first) if first else count
                rows.append(Difference(Axis.METRICS, key, *sides))
        return rows

    def _verdict(self, again: RunDetails, outputs: list[Difference]) -> tuple[Verdict, str]:
        if any(row.axis is Axis.OUTCOME for row in outputs):
            return Verdict.DIVERGED, f"it ended otherwise: {again.run.why or again.run.outcome}"
        run = self.details.run
        files = sum(one.kind in ("model", "artifact") and bool(one.digest) for one in self.details.artifacts)
        if not run.metrics and not files:
            return Verdict.NOT_RUN, "it ended as it did, and there is nothing to compare: no metrics, no files"
        what = f"{counted(len(run.metrics), 'metric')} in every point, {counted(files, 'file')}"
        if not outputs:
            return Verdict.IDENTICAL, what
        metrics = [row for row in outputs if row.axis is Axis.METRICS]
        if run.metrics and all(row.after.endswith("(within)") for row in metrics):
            others = len(outputs) - len(metrics)
            return Verdict.WITHIN, f"every metric within {self.params.tolerance:g}; {others} files differ"
        return Verdict.DIVERGED, f"{len(outputs)} of {what} differ"


REPRODUCE = Action(
    "reproduce",
    "Run a run again as it was and compare bit by bit",
    ReproduceParams,
    Effect.WRITE,
    reproduce,
    plan,
    target=lambda p: p.thing,
    examples=(
        "mlconsole reproduce train-8rb3 --wheels wheels",
        "mlconsole reproduce digits@2 --python .venv/bin/python",
    ),
)
