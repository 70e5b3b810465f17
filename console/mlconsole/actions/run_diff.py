"""Two runs: what went into one and not the other, and what came of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.config import launch_environment
from mlconsole.domain.datasets import differences as manifest_differences
from mlconsole.domain.plans import Effect
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.run_diff import Axis, Difference, RunDiff, code_differences, differences
from mlconsole.errors import NotFound
from mlconsole.records import record

LARGEST_PATCH = 16 << 20
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@record
class DiffParams:
    """Which two."""

    before: str = param(help="id, unique prefix of an id, or name", positional=True, metavar="RUN")
    after: str = param(help="the other one", positional=True, metavar="RUN")


def diff(ctx: Context, params: DiffParams) -> RunDiff:
    """Code, data, params, packages and metrics that two runs do not have in common, causes first."""
    refresh(ctx)
    return compare(ctx, ctx.catalog.runs.details(params.before), ctx.catalog.runs.details(params.after))


def compare(ctx: Context, before: RunDetails, after: RunDetails) -> RunDiff:
    """The same of two runs that were read."""
    patches = patch_of(ctx, before), patch_of(ctx, after)
    rows = code_differences(before, after, patches, _between(before, after))
    for row in differences(before, after):
        rows += [row, *(_files_of(ctx, row) if row.axis is Axis.DATA else [])]
    return RunDiff(before.run, after.run, tuple(rows))


def patch_of(ctx: Context, details: RunDetails) -> str:
    """The changes beyond its commit that a run had; empty where there were none or they were not kept."""
    name = details.code.get("diff_path")
    if not isinstance(name, str):
        return ""
    path = ctx.catalog.run_directory(details.run.id) / "code" / Path(name).name
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(LARGEST_PATCH).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _between(before: RunDetails, after: RunDetails) -> str:
    """The patch from one commit to the other, from the repository that one of them was run in."""
    commits = [str(one.code.get("commit") or "") for one in (before, after)]
    if commits[0] == commits[1] or not all(COMMIT.fullmatch(commit) for commit in commits):
        return ""
    from mlconsole.recorder import git  # 2 ms, where commits differ

    program = git.executable(launch_environment())
    for details in (after, before):
        root = details.code.get("root")
        if program is not None and isinstance(root, str) and os.path.isdir(root):
            answer = git.Repository(program, root).between(commits[0], commits[1])
            if answer.complete and answer.data:
                return answer.data.decode("utf-8", "surrogateescape")
    return ""


def _files_of(ctx: Context, row: Difference) -> list[Difference]:
    """The files that differ between two versions of a dataset, where the catalog has both manifests."""
    datasets = ctx.catalog.datasets
    try:
        old, new = (datasets.get(known_as(ctx, digest)) for digest in (row.before, row.after))
    except NotFound:
        return []
    return [
        Difference(
            Axis.DATA,
            f"{row.key}/{change.path}".rstrip("/"),
            change.before.digest[:12] if change.before else "",
            change.after.digest[:12] if change.after else "",
        )
        for change in manifest_differences(datasets.entries(old), datasets.entries(new))
    ]


def known_as(ctx: Context, digest: str) -> str:
    """The id of the dataset version that has the same bytes as what a run logged under this digest.

    Raises:
        NotFound: there is none.
    """
    from mlconsole.domain.lineage import NodeKind, Way  # 2 ms, where data differs

    graph = ctx.catalog.lineage
    found = graph.closure(graph.find(digest), Way.UP, depth=1)
    above = {edge.above for edge in found.edges if edge.role in ("same bytes", "looks the same")}
    if digest.startswith("blake3:"):
        above.add(found.start.number)
    for node in found.nodes:
        if node.number in above and node.kind == NodeKind.DATASET.value:
            return node.key
    raise NotFound(f'No dataset version has the bytes "{digest}".', "Add it: mlconsole dataset add PATH --name NAME")


DIFF = Action("run diff", "Show what went into two runs and what came of it", DiffParams, Effect.READ, diff)
