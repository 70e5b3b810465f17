"""What two runs do not have in common: what went into them, and what came out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import zip_longest

from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import MetricSummary, Run
from mlconsole.records import record

MOST_LINES = 200
LONGEST = 200
HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)")
DECIDING = ("CUBLAS_*", "CUDA_*", "MKL_*", "NCCL_*", "OMP_*", "OPENBLAS_*", "PYTHONHASHSEED", "PYTORCH_*", "TORCH*")
"""Variables that can change what a training comes to."""


class Axis(StrEnum):
    """In the order in which a cause is looked for; metrics and files are what came out."""

    CODE = "code"
    DATA = "data"
    PARAMS = "params"
    COMMAND = "command"
    PACKAGES = "packages"
    VARIABLES = "variables"
    MACHINE = "machine"
    OUTCOME = "outcome"
    METRICS = "metrics"
    FILES = "files"

    @property
    def is_input(self) -> bool:
        """Whether it went in."""
        return self not in (Axis.OUTCOME, Axis.METRICS, Axis.FILES)


@record
class Difference:
    """One thing that differs; a side that lacks it is empty."""

    axis: Axis
    key: str
    before: str
    after: str


@record
class RunDiff:
    """Everything that differs between two runs, causes first."""

    before: Run
    after: Run
    rows: tuple[Difference, ...]

    @property
    def first_input(self) -> Difference | None:
        """The first thing that went in and differs."""
        return next((row for row in self.rows if row.axis.is_input), None)


@record
class LineChange:
    """A line that a patch replaces: its number in the new file, and its text before and after; None for no line."""

    path: str
    line: int
    removed: str | None
    added: str | None


def line_changes(patch: str) -> list[LineChange]:
    """The lines that a unified diff changes, in its order."""
    found: list[LineChange] = []
    path, at, in_hunk = "", 0, False
    removed, added = list[str](), list[str]()
    for text in [*patch.splitlines(), "diff "]:
        if in_hunk and text.startswith("-"):
            removed.append(text[1:])
            continue
        if in_hunk and text.startswith("+"):
            added.append(text[1:])
            continue
        pairs = enumerate(zip_longest(removed, added))
        found += [LineChange(path, at + index, was, now) for index, (was, now) in pairs]
        at += len(added)
        removed, added = [], []
        if text.startswith("diff "):
            in_hunk = False
        elif hunk := HUNK.match(text):
            in_hunk, at = True, int(hunk.group(1))
        elif in_hunk:
            at += not text.startswith("\\")
        elif text.startswith(("--- a/", "+++ b/")):
            path = text[6:]
    return found


def code_differences(
    before: RunDetails, after: RunDetails, patches: tuple[str, str], between: str = ""
) -> list[Difference]:
    """How the code differs: by commit, and line by line as far as the patches tell.

    Args:
        before: one run.
        after: the other.
        patches: the changes beyond its commit that each had.
        between: the patch from one commit to the other, where it is known.
    """
    rows: list[Difference] = []
    old, new = (str(one.code.get("commit") or "") for one in (before, after))
    if old != new:
        rows.append(Difference(Axis.CODE, "commit", old[:12], new[:12]))
        rows += [_of_line(change) for change in line_changes(between)]
    left, right = (line_changes(patch) for patch in patches)
    if old != new or left == right:
        if patches[0] != patches[1] and not rows:
            rows.append(Difference(Axis.CODE, "uncommitted changes", f"{len(left)} lines", f"{len(right)} lines"))
        return rows[:MOST_LINES]
    was = {(one.path, one.removed): one for one in left if one not in right}
    for change in (one for one in right if one not in left):
        same = was.pop((change.path, change.removed), None)
        rows.append(_of_line(change, None if same is None else same.added or ""))
    for one in was.values():
        rows.append(Difference(Axis.CODE, f"{one.path}:{one.line}", _cut(one.added), _cut(one.removed)))
    return rows[:MOST_LINES]


def _of_line(change: LineChange, before: str | None = None) -> Difference:
    was = change.removed if before is None else before
    return Difference(Axis.CODE, f"{change.path}:{change.line}", _cut(was), _cut(change.added))


def _cut(text: str | None) -> str:
    return (text or "").strip()[:LONGEST]


def differences(before: RunDetails, after: RunDetails) -> list[Difference]:
    """Everything but the code that differs between two runs."""
    old, new = before.environment, after.environment
    return [
        *_each(Axis.DATA, _digests(before, "dataset", "used_model"), _digests(after, "dataset", "used_model")),
        *_each(Axis.PARAMS, _values(before.run.params), _values(after.run.params)),
        *_each(Axis.COMMAND, {"command": " ".join(before.run.command)}, {"command": " ".join(after.run.command)}),
        *_each(Axis.PACKAGES, packages_of(old), packages_of(new)),
        *_each(Axis.VARIABLES, variables_of(old), variables_of(new)),
        *_each(Axis.MACHINE, _machine(before), _machine(after)),
        *_each(Axis.OUTCOME, {"outcome": _outcome(before.run)}, {"outcome": _outcome(after.run)}),
        *_each(Axis.METRICS, _metrics(before.run.metrics), _metrics(after.run.metrics)),
        *_each(Axis.FILES, _digests(before, "model", "artifact"), _digests(after, "model", "artifact")),
    ]


def _each(axis: Axis, before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    keys = sorted(before.keys() | after.keys())
    return [Difference(axis, k, before.get(k, ""), after.get(k, "")) for k in keys if before.get(k) != after.get(k)]


def _digests(details: RunDetails, *kinds: str) -> dict[str, str]:
    return {one.name: one.digest or one.path for one in details.artifacts if one.kind in kinds}


def _values(params: Mapping[str, object]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in params.items()
    }


def packages_of(environment: Mapping[str, object]) -> dict[str, str]:
    """The interpreter and the packages of a recorded environment."""
    python, packages = environment.get("python"), environment.get("packages")
    found = {str(k): str(v) for k, v in packages.items()} if isinstance(packages, Mapping) else {}
    if isinstance(python, Mapping):
        found["python"] = f"{python.get('version')} {python.get('implementation')}"
    return found


def variables_of(environment: Mapping[str, object]) -> dict[str, str]:
    """The recorded variables that can change what a training comes to."""
    env = environment.get("env")
    pairs = env.items() if isinstance(env, Mapping) else ()
    return {str(k): str(v) for k, v in pairs if any(fnmatchcase(str(k), pattern) for pattern in DECIDING)}


def _machine(details: RunDetails) -> dict[str, str]:
    env = details.environment
    gpus = env.get("gpus")
    models = [str(gpu.get("model")) for gpu in gpus if isinstance(gpu, Mapping)] if isinstance(gpus, list) else []
    found = {key: str(env.get(key) or "") for key in ("architecture", "driver", "os")}
    return {**found, "gpus": ", ".join(models)}


def _outcome(run: Run) -> str:
    return run.outcome.value if run.outcome else run.state.value


def _metrics(metrics: Mapping[str, MetricSummary]) -> dict[str, str]:
    return {key: f"{one.last!r} at step {one.step} of {one.count}" for key, one in metrics.items()}
