"""The tables that words name: files, folders, patterns, datasets of the catalog, or ``run:NAME``, what a run used."""

from __future__ import annotations

import os

from mlconsole.actions.context import Context
from mlconsole.domain.datasets import DatasetVersion
from mlconsole.drift.files import MAGIC, TableFile, table_files
from mlconsole.drift.table import Skip, Table, table_of
from mlconsole.errors import ActionFailed, NotFound, UsageError

RUN = "run:"


def files_of(ctx: Context, word: str) -> tuple[list[TableFile], str]:
    """The files that a word means, and the id of the dataset version if it names one.

    What exists as a file goes before a dataset of that name.

    Raises:
        UsageError: there is neither.
        ActionFailed: no copy of the dataset is on this host.
    """
    version = None if _is_path(word) else _dataset(ctx, word)
    if version is None:
        return table_files(word), ""
    host = ctx.settings.host
    here = [place.source for place in version.places if place.host == host]
    if not here:
        raise ActionFailed(f'No copy of "{version.label}" is known on this host.', "Name its files.")
    return table_files(here[0]), version.id


def _used(ctx: Context, word: str) -> str:
    """The id of the dataset that a run used.

    Raises:
        NotFound: there is no such run.
        UsageError: it used none, or several.
    """
    run = ctx.catalog.runs.get(word)
    if len(run.dataset_ids) != 1:
        told = "several datasets" if run.dataset_ids else "no dataset that is known here"
        raise UsageError(f'The run "{run.name}" used {told}.', f"Name one: mlconsole lineage up run:{run.id}")
    return run.dataset_ids[0]


def _is_path(word: str) -> bool:
    return os.path.exists(os.path.expanduser(word)) or bool(MAGIC & set(word)) or "/" in word


def _dataset(ctx: Context, word: str) -> DatasetVersion | None:
    if ctx.has_catalog:
        if word.startswith(RUN) and len(word) > len(RUN):
            return ctx.catalog.datasets.get(_used(ctx, word.removeprefix(RUN)))
        try:
            return ctx.catalog.datasets.get(word)
        except NotFound:
            pass
    raise UsageError(f'"{word}" is neither a file, a folder, a pattern nor a dataset.', "mlconsole dataset list")


def table_named(ctx: Context, word: str, skip: Skip | None = None) -> tuple[Table, str]:
    """The table that a word names, and the id of the dataset version if it is one.

    Args:
        ctx: the session.
        word: a path, a pattern, a dataset or ``run:NAME``.
        skip: is told of files that cannot be read; without it they are an error.
    """
    files, digest = files_of(ctx, word)
    return table_of(word, files, skip), digest


def digest_of(word: str) -> str:
    """The id that files would have as a dataset: the digest of their names and bytes."""
    from mlconsole.content.hashing import Hasher
    from mlconsole.content.tree import find, measure, source_of

    return measure(find(source_of(word, os.getcwd())), Hasher()).digest
