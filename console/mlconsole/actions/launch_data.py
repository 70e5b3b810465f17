"""The datasets that a launch says its run learns from: looked at before it starts, and written into its lineage."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from mlconsole.actions.context import Context
from mlconsole.catalog.datasets import keep_digests
from mlconsole.catalog.events import NewArtifact, put_artifact
from mlconsole.content.hashing import Hasher
from mlconsole.content.tree import Source, find, measure, source_from, source_of
from mlconsole.domain.datasets import DatasetVersion
from mlconsole.domain.plans import Step
from mlconsole.domain.run_details import Artifact
from mlconsole.errors import ActionFailed, NotFound, UsageError


@dataclass(frozen=True, slots=True)
class Given:
    """A dataset that a run is given; ``source`` is where it was looked at, None where no copy is known here."""

    version: DatasetVersion
    source: Source | None

    def step(self) -> Step:
        """The step of a plan."""
        seen = "not looked at: no copy is known on this host" if self.source is None else "which is as it was added"
        return Step(f"record that it learns from {self.version.label}, {seen}", self.version.id)

    def artifact(self, at: datetime) -> NewArtifact:
        """It as a run's record has it."""
        path, is_pattern = ("", False) if self.source is None else (self.source.text, bool(self.source.pattern))
        metadata = {"declared": True, "checked": self.source is not None, "pattern": is_pattern}
        version = self.version
        return NewArtifact("dataset", version.name, path, version.size_bytes, version.id, at, metadata)


def given(ctx: Context, words: Iterable[str], folder: str) -> list[Given]:
    """The datasets that words mean: names, ids, or paths as seen from a folder. What was touched is read again.

    Raises:
        NotFound: a word is neither a dataset nor a path whose bytes are one.
        ActionFailed: a dataset is not what it was.
    """
    found = [_given(ctx, word, folder) for word in words]
    return list({one.version.id: one for one in found}.values())


def _given(ctx: Context, word: str, folder: str) -> Given:
    try:
        version = ctx.catalog.datasets.get(word)
    except NotFound:
        return _at_path(ctx, word, folder)
    here = [place for place in version.places if place.host == ctx.settings.host]
    if not here:
        return Given(version, None)
    source = source_from(here[0].source, here[0].is_pattern)
    if _digest(ctx, source) != version.id:
        hint = f"See what changed: mlconsole dataset verify {version.label}; or add it as it is now: dataset add"
        raise ActionFailed(f'"{source.text}" is not what {version.label} was; nothing was launched.', hint)
    return Given(version, source)


def _at_path(ctx: Context, word: str, folder: str) -> Given:
    try:
        source = source_of(word, folder)
    except UsageError as error:
        raise NotFound(f'"{word}" is neither a dataset nor a path.', "List them: mlconsole dataset list") from error
    try:
        return Given(ctx.catalog.datasets.get(_digest(ctx, source)), source)
    except NotFound as error:
        hint = f"Add it: mlconsole dataset add {word} --name NAME"
        raise NotFound(f'No dataset in this catalog has the bytes of "{word}".', hint) from error


def _digest(ctx: Context, source: Source) -> str:
    if not os.path.lexists(source.root):
        raise ActionFailed(f'Nothing is at "{source.text}" any more; nothing was launched.')
    found = find(source)
    hasher = Hasher(ctx.catalog.datasets.known(one.key for one in found), cancelled=ctx.cancelled.is_set)
    digest = measure(found, hasher).digest
    if hasher.learned and not ctx.settings.read_only:
        ctx.catalog.write(lambda db: keep_digests(db, hasher.learned))
    return digest


def record(db: Connection, run: int, datasets: Iterable[Given], at: datetime) -> None:
    """Write them into a run's record and its lineage. For a write transaction."""
    for one in datasets:
        put_artifact(db, run, one.artifact(at))


def declared(artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """The ids of the datasets that a launch was given, by the record of its run."""
    return tuple(one.digest for one in artifacts if one.kind == "dataset" and one.metadata.get("declared") is True)
