"""Registered models: registering what a run made, moving aliases, listing, showing, comparing, and model cards."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from sqlite3 import Connection

from mlconsole.actions.base import Action, NoParams, param
from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.catalog.lineage import put_edge, put_node, put_run
from mlconsole.catalog.models import AliasChange, NewModel, move_alias, put_model
from mlconsole.content.hashing import Hasher
from mlconsole.content.manifest import manifest_of
from mlconsole.content.tree import Source, entry_of, find
from mlconsole.domain.datasets import Entry, EntryKind
from mlconsole.domain.lineage import NodeKind, Way
from mlconsole.domain.models import ModelDiff, ModelFile, ModelPage, ModelVersion, compare_models
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done, Listing, TextChunk
from mlconsole.domain.run_details import Artifact, RunDetails
from mlconsole.domain.runs import Run
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, NotFound, UsageError
from mlconsole.records import record


@record
class RegisterParams:
    """Which run's model, under which name."""

    run: str = param(help="id, unique prefix of an id, or name", positional=True, cursor="run", metavar="RUN")
    name: str | None = param(None, help="name of the model", metavar="NAME")
    artifact: str | None = param(
        None, help="only this artifact of the run, whatever kind it was logged as", metavar="NAME"
    )


def _named(name: str | None) -> str:
    if not name or not name.strip():
        raise UsageError("What is the model called?", "Say it: --name NAME")
    if "@" in name:
        raise UsageError(f'"{name}" is no name for a model.', "An @ stands before a version.")
    return name.strip()


def _chosen(details: RunDetails, params: RegisterParams) -> list[Artifact]:
    """The artifacts to register, of several of one name the last."""
    fits = {one.name: one for one in details.artifacts if params.artifact in (None, one.name)}
    found = [one for one in fits.values() if params.artifact or one.kind == "model"]
    if not found:
        what = f'artifact "{params.artifact}"' if params.artifact else "model"
        raise NotFound(f'The run "{details.run.name}" has no {what}.', "See: mlconsole run show RUN")
    return found


def plan_register(ctx: Context, params: RegisterParams) -> Plan:
    """What would be read and kept."""
    name = _named(params.name)
    details = ctx.catalog.runs.details(params.run)
    steps = [Step(f'read "{one.name}" and its header; load and execute nothing', one.path)
             for one in _chosen(details, params)]  # fmt: skip
    steps.append(Step(f'keep it as a version of "{name}", unless it is one already', details.run.id))
    words = ["mlconsole", "model", "register", details.run.id, f"--name={name}"]
    words += [f"--artifact={params.artifact}"] if params.artifact else []
    return Plan("model register", Effect.WRITE, tuple(steps), command=shlex.join(words))


def register(ctx: Context, params: RegisterParams) -> ModelVersion:
    """Register what a run made as a version of a model; the same bytes of the same run are the version they were.

    Raises:
        NotFound: the run has no model.
        ActionFailed: its files are gone, changed, or not where they may be.
    """
    name = _named(params.name)
    refresh(ctx)
    details = ctx.catalog.runs.details(params.run)
    run = details.run
    entries, files = _files(ctx, run, _chosen(details, params))
    digest = manifest_of(entries).digest
    metrics = {key: summary.last for key, summary in run.metrics.items()}
    at = ctx.clock()
    new = NewModel(name, digest, run.id, run.user or ctx.settings.user, files, metrics, at)

    def keep(db: Connection) -> int:
        version, _ = put_model(db, new)
        key = put_node(db, NodeKind.MODEL, f"version:{name}@{version}", f"{name}@{version}", to_us(at))
        put_edge(db, key, put_run(db, run.number), "registered")
        return version

    version = ctx.write(keep, durable=True)
    return ctx.catalog.models.get(f"{name}@{version}")


def _files(ctx: Context, run: Run, artifacts: list[Artifact]) -> tuple[list[Entry], list[ModelFile]]:
    from mlconsole.content.signatures import signature_of  # 12 ms with zipfile, where a model is registered

    hasher = Hasher(cancelled=ctx.cancelled.is_set)
    entries: list[Entry] = []
    files: list[ModelFile] = []
    for artifact in artifacts:
        root = _root(ctx, run, artifact)
        for one in find(Source(root)):
            entry = entry_of(one, hasher)
            if entry.kind is not EntryKind.FILE:
                continue
            path = f"{artifact.name}/{entry.path}" if entry.path else artifact.name
            entries.append(entry._replace(path=path))
            files.append(ModelFile(path, entry.size_bytes, entry.digest, signature_of(one.full)))
        _check_digest(artifact, root)
    return entries, files


def _root(ctx: Context, run: Run, artifact: Artifact) -> str:
    """Where an artifact's bytes are: below the run's own folder, or where the run said that it left them.

    Raises:
        ActionFailed: the path leads out of the run's folder, through a link or otherwise.
    """
    if os.path.isabs(artifact.path):
        return artifact.path
    folder = os.path.realpath(ctx.catalog.run_directory(run.id) / "artifacts")
    full = os.path.join(folder, artifact.path)
    if not artifact.path or os.path.realpath(full) != full or not full.startswith(folder + "/"):
        raise ActionFailed(f'The artifact "{artifact.name}" is not in its run\'s folder: "{artifact.path}".')
    return full


def _check_digest(artifact: Artifact, root: str) -> None:
    """Refuse bytes that are no longer those that the run logged."""
    from mlconsole.recorder.artifacts import describe  # 1 ms; the digest as the run computed it

    if not artifact.digest.startswith("sha256:"):
        return
    found = describe(root).digest
    if found.startswith("sha256:") and found != artifact.digest:
        raise ActionFailed(f'"{artifact.name}" is not what the run logged: its bytes have changed.')


@record
class AliasParams:
    """Which alias, and where to."""

    model: str = param(help="name of the model", positional=True, cursor="model_name", metavar="NAME")
    alias: str = param(help="the alias, as in champion", positional=True, metavar="ALIAS")
    version: str = param(
        help="the version that it shall point to", positional=True, cursor="model_version", metavar="VERSION"
    )
    expect: int | None = param(None, help="only if it points there now; 0 for nowhere", metavar="VERSION")


def _version(params: AliasParams) -> int:
    """The version that an alias shall point to.

    Raises:
        UsageError: the alias or the version is none.
    """
    if not params.alias.strip() or "@" in params.alias or params.alias.isdecimal():
        raise UsageError(f'"{params.alias}" is no name for an alias.', "Use a word, not a number.")
    if not (params.version.isascii() and params.version.isdecimal() and 0 < len(params.version) < 18):
        raise UsageError(f'"{params.version}" is no version.', "Give its number: mlconsole model list")
    return int(params.version)


def plan_alias(ctx: Context, params: AliasParams) -> Plan:
    """What would point where."""
    version = _version(params)
    ctx.catalog.models.get(f"{params.model}@{version}")
    words = ["mlconsole", "model", "alias", params.model, params.alias, str(version)]
    words += [] if params.expect is None else [f"--expect={params.expect}"]
    condition = "" if params.expect is None else f", if it points to {params.expect or 'nothing'} now"
    step = Step(f'point "{params.alias}" of "{params.model}" to version {version}{condition}', params.model)
    return Plan("model alias", Effect.WRITE, (step,), command=shlex.join(words))


def alias(ctx: Context, params: AliasParams) -> Done:
    """Point an alias to a version, by compare-and-swap where it is said what it must point to now."""
    version = _version(params)
    by, at = ctx.settings.user, ctx.clock()
    change = AliasChange(params.model, params.alias, version, params.expect, by, at)
    before = ctx.write(lambda db: move_alias(db, change), durable=True)
    was = f" (was {before})" if before else ""
    text = f'"{params.alias}" of "{params.model}" points to version {version}{was}.'
    fields = {"name": params.model, "alias": params.alias, "version": version, "before": before}
    return Done("alias", text, fields=fields)


def list_models(ctx: Context, params: NoParams) -> Listing[ModelVersion]:
    """Every version of every model."""
    return Listing("model", ctx.catalog.models.all())


@record
class ModelParams:
    """One version."""

    model: str = param(help="NAME, NAME@VERSION or NAME@ALIAS", positional=True, metavar="MODEL")


def show(ctx: Context, params: ModelParams) -> ModelPage:
    """A version, its files with their signatures, and how aliases moved."""
    return ctx.catalog.models.page(params.model)


@record
class DiffParams:
    """Two versions."""

    before: str = param(help="NAME, NAME@VERSION or NAME@ALIAS", positional=True, metavar="MODEL")
    after: str = param(help="the other one", positional=True, metavar="MODEL")


def diff(ctx: Context, params: DiffParams) -> ModelDiff:
    """The files, tensors and metrics that two versions do not have in common."""
    return compare_models(ctx.catalog.models.page(params.before), ctx.catalog.models.page(params.after))


def card(ctx: Context, params: ModelParams) -> Iterator[TextChunk]:
    """A version as a page of Markdown, with the data and code that it was made from."""
    from mlconsole.render.model_card import card_of  # 3 ms, for a card

    page = ctx.catalog.models.page(params.model)
    node = ctx.catalog.lineage.find(f"version:{page.version.label}")
    past = ctx.catalog.lineage.closure(node, Way.UP, cancelled=ctx.cancelled.is_set)
    yield TextChunk(card_of(page, past).encode("utf-8", "backslashreplace"), "file")


REGISTER = Action(
    "model register",
    "Register what a run made as a model's version",
    RegisterParams,
    Effect.WRITE,
    register,
    plan_register,
    target=lambda p: p.name or "",
    examples=("mlconsole model register train-8rb3 --name digits",),
)
ALIAS = Action(
    "model alias",
    "Point an alias to a version of a model",
    AliasParams,
    Effect.WRITE,
    alias,
    plan_alias,
    target=lambda p: f"{p.model}@{p.alias}",
    key="a",
    examples=("mlconsole model alias digits champion 2 --expect 1",),
)
LIST = Action("model list", "List models and their versions", NoParams, Effect.READ, list_models)
SHOW = Action("model show", "Show a model's version and its files", ModelParams, Effect.READ, show)
DIFF = Action("model diff", "Compare two versions of models", DiffParams, Effect.READ, diff)
CARD = Action("model card", "Print a model's version as Markdown", ModelParams, Effect.READ, card, streams=True)
