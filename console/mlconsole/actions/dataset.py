"""Datasets by content: taking a version in, listing, showing, verifying and comparing versions."""

from __future__ import annotations

import os
import shlex
from sqlite3 import Connection

from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.catalog.datasets import NewDataset, keep_digests, put_dataset
from mlconsole.catalog.lineage import put_edge, put_node
from mlconsole.content.hashing import Hasher
from mlconsole.content.manifest import manifest_of
from mlconsole.content.tables import schema_of
from mlconsole.content.tree import Source, find, measure, source_from, source_of
from mlconsole.domain.datasets import (
    DatasetDiff,
    DatasetPage,
    DatasetVersion,
    EntryKind,
    FileChange,
    column_changes,
    differences,
)
from mlconsole.domain.lineage import NodeKind
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Listing
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record
from mlconsole.render.numbers import counted


@record
class AddParams:
    """What, and under which name."""

    path: str = param(help="a file, a folder, or a glob pattern in quotes", positional=True, metavar="PATH|GLOB")
    name: str | None = param(None, help="name of the dataset", metavar="NAME")


def _named(params: AddParams) -> str:
    name = (params.name or "").strip()
    if not name:
        raise UsageError("What is the dataset called?", "Say it: --name NAME")
    if "@" in name:
        raise UsageError(f'"{name}" is no name for a dataset.', "An @ stands before a version.")
    if name.startswith("blake3:"):
        raise UsageError(f'"{name}" is no name for a dataset.', "It reads as an id.")
    return name


def plan_add(ctx: Context, params: AddParams) -> Plan:
    """What would be read and kept."""
    name = _named(params)
    source = source_of(params.path, os.getcwd())
    found = find(source)
    size = sum(one.key.size for one in found)
    command = shlex.join(["mlconsole", "dataset", "add", params.path, f"--name={name}"])
    steps = (
        Step(
            f"read what was touched since the last time of {counted(len(found), 'file')}, {size:,} bytes",
            source.text,
        ),
        Step(f'keep their manifest as a version of "{name}", unless that content is one already; copy nothing', name),
    )
    return Plan("dataset add", Effect.WRITE, steps, command=command)


def add(ctx: Context, params: AddParams) -> DatasetVersion:
    """Take a version of a dataset in; the same content under the same name is the version it was.

    Raises:
        UsageError: there is nothing of that name, or no name was given.
        ActionFailed: something cannot be read, or is neither file nor folder nor link.
    """
    name = _named(params)
    source = source_of(params.path, os.getcwd())
    found = find(source)
    hasher = Hasher(ctx.catalog.datasets.known(one.key for one in found), cancelled=ctx.cancelled.is_set)
    manifest = measure(found, hasher)
    entries = {entry.path: entry for entry in manifest.entries}
    regular = sorted(one.path for one in found if entries[one.path].kind is EntryKind.FILE)
    schema = schema_of([os.path.join(source.root, path) if path else source.root for path in regular])
    settings, at = ctx.settings, ctx.clock()
    where = (source.text, bool(source.pattern), settings.host)
    new = NewDataset(name, manifest, schema, *where, settings.user, at)
    recorded = _as_recorded(source)

    def keep(db: Connection) -> None:
        keep_digests(db, hasher.learned)
        put_dataset(db, new)
        key = put_node(db, NodeKind.DATASET, manifest.digest, name, to_us(at))
        for digest, role in recorded:
            put_edge(db, put_node(db, NodeKind.DATASET, digest, name, to_us(at)), key, role)

    ctx.write(keep, durable=True)
    versions = [one for one in ctx.catalog.datasets.versions(name) if one.id == manifest.digest]
    return ctx.catalog.datasets.get(versions[0].label)


def _as_recorded(source: Source) -> list[tuple[str, str]]:
    """The digest by which a run that logs this data knows it, and how far that proves that it is the same."""
    if source.pattern:
        return []
    from mlconsole.recorder.artifacts import describe  # 1 ms; what log_dataset() computes

    try:
        digest = describe(source.root).digest
    except (OSError, ValueError):
        return []
    how = digest.partition(":")[0]
    return [(digest, "same bytes" if how in ("sha256", "sha256-tree") else "looks the same")] if digest else []


def list_datasets(ctx: Context, params: NoParams) -> Listing[DatasetVersion]:
    """The newest version of every dataset."""
    return Listing("dataset", ctx.catalog.datasets.all())


@record
class DatasetParams:
    """One version."""

    dataset: str = param(help="NAME, NAME@VERSION, or the start of an id", positional=True, metavar="DATASET")


def show(ctx: Context, params: DatasetParams) -> DatasetPage:
    """A version and its manifest."""
    version = ctx.catalog.datasets.get(params.dataset)
    return DatasetPage(version, tuple(ctx.catalog.datasets.entries(version)))


@record
class VerifyParams:
    """Which version, and where."""

    dataset: str = param(help="NAME, NAME@VERSION, or the start of an id", positional=True, metavar="DATASET")
    at: str | None = param(None, help="the copy to look at, instead of where it was added", metavar="PATH|GLOB")


def verify(ctx: Context, params: VerifyParams) -> Listing[FileChange]:
    """Read every byte again and list the files that are not as the version says; trusts no cache.

    Raises:
        ActionFailed: it is not known where the data is on this host, or it cannot be read.
    """
    version = ctx.catalog.datasets.get(params.dataset)
    source = source_of(params.at, os.getcwd()) if params.at else _place(ctx, version)
    hasher = Hasher(cancelled=ctx.cancelled.is_set)
    there = list(measure(find(source), hasher).entries) if os.path.lexists(source.root) else []
    before = ctx.catalog.datasets.entries(version)
    if manifest_of(there).digest == version.id:
        return Listing("file", [])
    found = [_with_name(change, source) for change in differences(before, there)]
    ctx.say(f'What is at "{source.text}" is not {version.label}.')
    return Listing("file", found, failed=True)


def _with_name(change: FileChange, source: Source) -> FileChange:
    """A dataset of one file has no path within itself: the file is called by its own name."""
    if change.path:
        return change
    return FileChange(os.path.basename(source.root), change.change, change.before, change.after)


def _place(ctx: Context, version: DatasetVersion) -> Source:
    host = ctx.settings.host
    here = [place for place in version.places if place.host == host]
    if not here:
        raise ActionFailed(f'No copy of "{version.label}" is known on this host.', "Name one: --at PATH")
    return source_from(here[0].source, here[0].is_pattern)


@record
class DiffParams:
    """Two versions."""

    before: str = param(help="NAME, NAME@VERSION, or the start of an id", positional=True, metavar="DATASET")
    after: str = param(help="the other one", positional=True, metavar="DATASET")


def diff(ctx: Context, params: DiffParams) -> DatasetDiff:
    """What two versions do not have in common."""
    datasets = ctx.catalog.datasets
    before, after = datasets.get(params.before), datasets.get(params.after)
    files = () if before.id == after.id else differences(datasets.entries(before), datasets.entries(after))
    return DatasetDiff(before, after, tuple(files), column_changes(before.schema, after.schema))


ADD = Action(
    "dataset add",
    "Take a version of a dataset in by its content",
    AddParams,
    Effect.WRITE,
    add,
    plan_add,
    target=lambda p: p.name or "",
    examples=(
        "mlconsole dataset add data --name digits",
        "mlconsole dataset add 'live/2026-11-*.csv' --name november",
    ),
)
LIST = Action("dataset list", "List datasets", NoParams, Effect.READ, list_datasets)
SHOW = Action("dataset show", "Show a dataset and its files", DatasetParams, Effect.READ, show)
VERIFY = Action("dataset verify", "Read a dataset again and name what changed", VerifyParams, Effect.READ, verify)
DIFF = Action("dataset diff", "Compare two versions of datasets", DiffParams, Effect.READ, diff)
