"""Whether the data that a run used is still what it was, by manifest where there is one."""

from __future__ import annotations

import os

from mlconsole.actions.context import Context
from mlconsole.actions.run_diff import known_as
from mlconsole.content.hashing import Hasher
from mlconsole.content.manifest import manifest_of
from mlconsole.content.tree import entry_of, find, source_from
from mlconsole.domain.datasets import differences
from mlconsole.domain.run_details import Artifact, RunDetails
from mlconsole.domain.run_diff import Axis, Difference
from mlconsole.errors import ActionFailed, NotFound
from mlconsole.recorder.artifacts import describe, measure
from mlconsole.records import replace


def changed_data(ctx: Context, details: RunDetails) -> list[Difference]:
    """What is not as the run recorded it, the file named where the catalog knows the manifest."""
    found = [row for one in details.artifacts if one.kind == "dataset" for row in _changes(ctx, one)]
    return found + [row for one in details.artifacts if one.kind == "used_model" for row in _other_model(one)]


def _other_model(artifact: Artifact) -> list[Difference]:
    """What a run began from, where its file is not what it was; one that was only named is not looked at."""
    if not artifact.path or not artifact.digest.startswith("sha256"):
        return []
    try:
        there = measure(artifact.path).digest
    except (OSError, ValueError) as error:
        there = str(error)
    if there == artifact.digest:
        return []
    return [Difference(Axis.DATA, artifact.name, artifact.digest, there)]


def _changes(ctx: Context, artifact: Artifact) -> list[Difference]:
    if not artifact.path or not artifact.digest.startswith(("sha256", "blake3:")):
        return []  # Only named: there is nothing to look at.
    source = source_from(artifact.path, artifact.metadata.get("pattern") is True)
    if not os.path.lexists(source.root):
        return [Difference(Axis.DATA, artifact.name, artifact.digest, f"nothing is at {artifact.path}")]
    try:
        version = ctx.catalog.datasets.get(known_as(ctx, artifact.digest))
    except NotFound:
        return _by_digest(artifact)
    hasher = Hasher(cancelled=ctx.cancelled.is_set)
    try:
        there = [entry_of(one, hasher) for one in find(replace(source, root=os.path.realpath(source.root)))]
    except ActionFailed as error:
        return [Difference(Axis.DATA, artifact.name, version.label, str(error))]
    if manifest_of(there).digest == version.id:
        return []
    changes = differences(ctx.catalog.datasets.entries(version), there)
    name = os.path.basename(artifact.path)
    return [
        Difference(
            Axis.DATA,
            f"{artifact.name}: {change.path or name}",
            change.before.digest[:12] if change.before else "",
            change.after.digest[:12] if change.after else "gone",
        )
        for change in changes
    ]


def _by_digest(artifact: Artifact) -> list[Difference]:
    try:
        found = describe(artifact.path).digest
    except (OSError, ValueError) as error:
        return [Difference(Axis.DATA, artifact.name, artifact.digest, str(error))]
    return [] if found == artifact.digest else [Difference(Axis.DATA, artifact.name, artifact.digest, found)]
