"""Backups of the catalog: make one, put one in its place."""

from __future__ import annotations

import os
import shlex
from datetime import datetime
from pathlib import Path

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.catalog import backups
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.results import Done
from mlconsole.domain.times import iso
from mlconsole.errors import ActionFailed, CatalogError, NotFound
from mlconsole.records import record
from mlconsole.render.numbers import counted


@record
class BackupParams:
    """Where the backup goes and how much it holds."""

    file: str | None = param(
        None, help="file to write; below the catalog's directory when left out", positional=True, metavar="FILE"
    )
    with_files: bool = param(False, help="also the runs' logs and artifacts, as FILE.runs.tar beside it")


def _target(ctx: Context, params: BackupParams) -> Path:
    if params.file is not None:
        return Path(os.path.abspath(params.file))
    return ctx.settings.home / "backups" / f"catalog-{ctx.clock():%Y%m%dT%H%M%SZ}.db"


def plan_backup(ctx: Context, params: BackupParams) -> Plan:
    """What a backup writes."""
    target = _target(ctx, params)
    steps = [Step(f'copy "{ctx.settings.database}" as it is at one moment, and check the copy', str(target))]
    if params.with_files:
        steps.append(Step(f'pack "{ctx.settings.runs}"', str(_tar(target))))
    words = [shlex.quote(params.file)] if params.file else []
    words += ["--with-files"] if params.with_files else []
    return Plan("backup", Effect.WRITE, tuple(steps), command=" ".join(["mlconsole backup", *words]))


def backup(ctx: Context, params: BackupParams) -> Done:
    """Write a checked copy of the catalog; others may go on writing.

    Raises:
        NotFound: there is no catalog.
        ActionFailed: the file is there already.
        DiskFull: the disk does not take it.
    """
    if not ctx.settings.database.exists():
        raise NotFound(f'There is no catalog at "{ctx.settings.home}".', "Make one: mlconsole launch -- CMD")
    target = _target(ctx, params)
    if params.with_files and _tar(target).exists():
        raise ActionFailed(f'"{_tar(target)}" is there already.', "Choose another name.")
    found = backups.make(ctx.settings.database, target)
    message = (
        f'Backed up {counted(found.runs, "run")} to "{target}"; their logs and artifacts are not in it (--with-files).'
    )
    fields: dict[str, object] = {"file": str(target), "runs": found.runs, "size_bytes": found.size_bytes}
    if params.with_files:
        _pack(ctx.settings.runs, _tar(target))
        message = f'Backed up {counted(found.runs, "run")} to "{target}", and their files to "{_tar(target)}".'
        fields["files"] = str(_tar(target))
    return Done("backup", message, fields=fields)


def _tar(target: Path) -> Path:
    return target.with_name(f"{target.name}.runs.tar")


def _pack(runs: Path, target: Path) -> None:
    """Pack the runs' folders; a file that is still being written is packed as far as it has come."""
    import tarfile  # 9 ms, for backups with files

    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with tarfile.open(draft, "w") as tar:
            if runs.exists():
                tar.add(runs, "runs")
        os.rename(draft, target)
    except OSError as error:
        raise ActionFailed(
            f'Cannot write "{target}": {error.strerror}.', "The backup of the catalog is whole."
        ) from error
    finally:
        draft.unlink(missing_ok=True)


@record
class RestoreParams:
    """Which backup."""

    file: str = param(help="a file that mlconsole backup made", positional=True, metavar="FILE")


def _judged(params: RestoreParams) -> tuple[Path, backups.Contents]:
    source = Path(os.path.abspath(params.file))
    return source, backups.judge(source)


def plan_restore(ctx: Context, params: RestoreParams) -> Plan:
    """What a restore replaces, and by what."""
    source, found = _judged(params)
    path = ctx.settings.database
    _refuse_itself(source, path)
    newest = f", the newest of {iso(found.newest_at)}" if found.newest_at else ""
    steps = [Step(f'check and copy "{source}": {counted(found.runs, "run")}{newest}', str(ctx.settings.home))]
    if path.exists():
        steps.append(
            Step(f"set the present catalog aside ({_present(ctx)})", f"{path.parent}/catalog-set-aside-TIME.db")
        )
    steps.append(Step("put the copy in its place", str(path)))
    steps.append(Step("take in again what the runs' logs hold beyond it", str(ctx.settings.runs)))
    lost = "What was changed by hand since the backup (tags, names) stays in the catalog that is set aside."
    command = f"mlconsole restore {shlex.quote(params.file)} --yes"
    return Plan("restore", Effect.DESTROY, tuple(steps), irreversible=(lost,), confirm="restore", command=command)


def _present(ctx: Context) -> str:
    try:
        found = backups.judge(ctx.settings.database)
    except CatalogError as error:
        return error.message
    return f"{counted(found.runs, 'run')}"


def _refuse_itself(source: Path, path: Path) -> None:
    if path.exists() and os.path.samefile(source, path):
        raise ActionFailed(f'"{source}" is the catalog itself.', "Give a backup of it.")


def restore(ctx: Context, params: RestoreParams) -> Done:
    """Put a backup in the catalog's place, and read the run logs again; the present file is set aside.

    Raises:
        CatalogDamaged: the file is no sound catalog.
        CatalogNewer: the file was written by a newer mlconsole.
        ActionFailed: another process has the catalog open.
    """
    source, found = _judged(params)
    _refuse_itself(source, ctx.settings.database)
    ctx.let_go()
    now: datetime = ctx.clock()
    aside = backups.put_in_place(ctx.settings.database, source, now)
    taken_in = ctx.catalog.ingest.rescan(now)
    message = f'Restored {counted(found.runs, "run")} from "{source}".'
    if aside is not None:
        message += f' What was there is now "{aside}".'
    fields = {"runs": found.runs, "set_aside": None if aside is None else str(aside), "log_bytes": taken_in}
    return Done("restore", message, fields=fields)


BACKUP = Action(
    "backup",
    "Copy the catalog to a file, while it is in use",
    BackupParams,
    Effect.WRITE,
    backup,
    plan_backup,
    target=lambda params: params.file or "",
)
RESTORE = Action(
    "restore",
    "Put a backup in the catalog's place",
    RestoreParams,
    Effect.DESTROY,
    restore,
    plan_restore,
    target=lambda params: params.file,
)
