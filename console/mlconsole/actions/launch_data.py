"""What a launch says that its run learns from, looked at before it starts and written into its lineage.

Datasets are said by a flag. Configuration files are those that the command names; in the lineage they are the same
things as those of releases, by their content.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from sqlite3 import Connection

from mlconsole.actions.context import Context
from mlconsole.catalog.datasets import keep_digests
from mlconsole.catalog.events import NewArtifact, put_artifact
from mlconsole.catalog.lineage import put_edge, put_node, put_run
from mlconsole.content.hashing import Hasher
from mlconsole.content.kept import read
from mlconsole.content.tree import Source, find, measure, source_from, source_of
from mlconsole.domain.datasets import DatasetVersion
from mlconsole.domain.lineage import NodeKind
from mlconsole.domain.models import ModelVersion
from mlconsole.domain.plans import Step
from mlconsole.domain.run_details import Artifact
from mlconsole.domain.times import to_us
from mlconsole.errors import ActionFailed, NotFound, UsageError
from mlconsole.records import record

LARGEST_CONFIGURATION = 1 << 20


@record
class Given:
    """A dataset that a run is given; ``source`` is where it was looked at, None where no copy is known here."""

    version: DatasetVersion
    source: Source | None

    def step(self) -> Step:
        """The step of a plan."""
        seen = "not looked at: no copy is known on this host" if self.source is None else "which is as it was added"
        return Step(f"record that it learns from {self.version.label}, {seen}", self.version.id)

    def record(self, db: Connection, run: int, at: datetime) -> None:
        """Write it into a run's record and its lineage. For a write transaction."""
        path, is_pattern = ("", False) if self.source is None else (self.source.text, bool(self.source.pattern))
        metadata = {"declared": True, "checked": self.source is not None, "pattern": is_pattern}
        version = self.version
        found = NewArtifact("dataset", version.name, path, version.size_bytes, version.id, at, metadata)
        put_artifact(db, run, found)


@record
class Base:
    """A registered model that a run begins from."""

    version: ModelVersion

    def step(self) -> Step:
        """The step of a plan."""
        return Step(f"record that it begins from {self.version.label}", self.version.digest)

    def record(self, db: Connection, run: int, at: datetime) -> None:
        """Write it into a run's record and its lineage. For a write transaction."""
        found = NewArtifact("used_model", self.version.label, "", self.version.size_bytes, "", at, {"declared": True})
        put_artifact(db, run, found)


def bases(ctx: Context, words: Iterable[str]) -> list[Base]:
    """The registered models that words mean; an alias is the version that it points to now.

    Raises:
        NotFound: a word is none.
    """
    found = [ctx.catalog.models.get(word) for word in words]
    return [Base(one) for one in {one.label: one for one in found}.values()]


@record
class Configuration:
    """A configuration file that a run's command names, by its content."""

    name: str
    digest: str

    def record(self, db: Connection, run: int, at: datetime) -> None:
        """Write it into a run's lineage. For a write transaction."""
        put_edge(db, put_run(db, run), put_node(db, NodeKind.CONFIG, self.digest, self.name, to_us(at)), "config")


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


def configurations(words: Iterable[str], folder: str) -> list[Configuration]:
    """The files that words mean, as seen from a folder; what is no small file there is left out."""
    found: dict[str, Configuration] = {}
    for word in words:
        full = os.path.realpath(os.path.join(folder, os.path.expanduser(word)))
        try:
            if os.path.isfile(full) and os.path.getsize(full) <= LARGEST_CONFIGURATION:
                digest = read(full, Hasher())[0]
                found[digest] = Configuration(os.path.basename(full), digest)
        except (OSError, ValueError, ActionFailed):
            continue
    return list(found.values())


def declared(artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """The ids of the datasets that a launch was given, by the record of its run."""
    return tuple(one.digest for one in artifacts if one.kind == "dataset" and one.metadata.get("declared") is True)


def declared_models(artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """The models that a launch said its run begins from, as ``NAME@VERSION``."""
    return tuple(one.name for one in artifacts if one.kind == "used_model" and one.metadata.get("declared") is True)
