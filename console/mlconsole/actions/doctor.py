"""The check-up: what is sound, what is not, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta

from mlconsole import backends, notifiers, targets
from mlconsole.actions.base import Action, NoParams
from mlconsole.actions.context import Context
from mlconsole.actions.launchers import is_launching
from mlconsole.catalog import health
from mlconsole.domain.findings import Finding
from mlconsole.domain.plans import Effect
from mlconsole.domain.results import Listing
from mlconsole.domain.times import to_us
from mlconsole.errors import MlconsoleError
from mlconsole.version import __version__

LITTLE_SPACE_BYTES = 512 << 20
LONG_WAL_BYTES = 64 << 20
CLOCK_SLACK = timedelta(minutes=5)
FOREIGN_SQLITE = ("pysqlite3", "sqlean")
RESTORE = "Put a backup in its place: mlconsole restore FILE"


def doctor(ctx: Context, params: NoParams) -> Listing[Finding]:
    """Every finding of a check-up, in the order of the checks; changes nothing."""
    checks = (_program, _sqlite, _place, _structure, _files, _runs, _backends)
    found = [finding for check in checks for finding in _without_failing(check, ctx)]
    return Listing("doctor", found, failed=any(finding.level == "failure" for finding in found))


def _without_failing(check: Callable[[Context], Iterator[Finding]], ctx: Context) -> list[Finding]:
    """The findings of one check; an error of its own is a finding too."""
    subject = check.__name__.strip("_")
    found: list[Finding] = []
    try:
        for finding in check(ctx):
            found.append(finding)
    except MlconsoleError as error:
        found.append(Finding("failure", subject, error.message, error.hint))
    except OSError as error:
        found.append(Finding("failure", subject, f"Cannot look: {error.strerror}."))
    return found


def _program(ctx: Context) -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("ok", "program", f"mlconsole {__version__} on Python {python}, user {ctx.settings.user}.")


def _sqlite(ctx: Context) -> Iterator[Finding]:
    version, module, has_bug = health.sqlite_facts()
    if has_bug:
        message = f"SQLite {version} has the WAL-reset bug: two processes that checkpoint at once may lose a change."
        yield Finding(
            "note", "sqlite", message, "Here one process at a time checkpoints; 3.51.3 and later are free of it."
        )
    else:
        yield Finding("ok", "sqlite", f"SQLite {version}.")
    present = [name for name in FOREIGN_SQLITE if _is_importable(name)]
    if present or not module.endswith(("sqlite3/__init__.py", "built in")):
        named = ", ".join(present) or module
        message = f"Another SQLite is installed beside Python's own: {named}. This program does not use it."
        hint = f"Programs that do must not open the catalog in the same process: pip uninstall {named}"
        yield Finding("warning", "sqlite", message, hint)


def _is_importable(name: str) -> bool:
    from importlib.util import find_spec

    return name in sys.modules or find_spec(name) is not None


def _place(ctx: Context) -> Iterator[Finding]:
    home = ctx.settings.home
    if home.exists() and not home.is_dir():
        yield Finding("failure", "place", f'"{home}" is no directory.', "Choose another: --catalog DIR.")
        return
    place = health.place_of(ctx.settings.database)
    where = f"{home} on {place.kind} at {place.mount}"
    if place.is_network and not ctx.settings.network_home:
        hint = "Choose a local disk: --catalog DIR or MLCONSOLE_HOME."
        yield Finding("failure", "place", f"{where}: locks fail on a network file system.", hint)
    elif place.is_network:
        yield Finding("warning", "place", f"{where}, a network file system: one process at a time.")
    else:
        yield Finding("ok", "place", f"{where}.")
    if not place.may_write:
        yield Finding("warning", "place", "You may read the catalog and not write it.", "Ask its owner for the right.")
    if place.free_bytes < LITTLE_SPACE_BYTES:
        free = f"{place.free_bytes / (1 << 20):,.0f} MiB"
        yield Finding("warning", "space", f"{free} are left on the catalog's disk.", "Free some space.")
    else:
        yield Finding("ok", "space", f"{place.free_bytes / (1 << 30):,.1f} GiB are free.")


def _structure(ctx: Context) -> Iterator[Finding]:
    path = ctx.settings.database
    if not path.exists():
        if any(path.parent.glob("catalog-set-aside-*.db")) or path.with_name("audit-heads").exists():
            yield Finding("failure", "catalog", f'"{path}" is gone, though there was one.', RESTORE)
        else:
            yield Finding("note", "catalog", "There is none yet.", "Make one: mlconsole launch -- CMD")
        return
    found = health.structure_of(path)
    if found.fault is not None:
        yield Finding("failure", "catalog", f"Its structure is damaged: {found.fault}.", RESTORE)
    if found.version > found.known_version:
        message = f"Written by a newer mlconsole: version {found.version}, this one knows {found.known_version}."
        yield Finding("failure", "catalog", message, "Update mlconsole.")
    elif found.version < found.known_version:
        message = f"Version {found.version} of {found.known_version}: the next command that may write updates it."
        yield Finding("note", "catalog", message)
    elif found.fault is None:
        size = path.stat().st_size / (1 << 20)
        yield Finding("ok", "catalog", f"Version {found.version}, {size:,.1f} MiB, structure sound.")


def _files(ctx: Context) -> Iterator[Finding]:
    path = ctx.settings.database
    if not path.exists():
        return
    size = health.wal_bytes(path)
    if size > LONG_WAL_BYTES:
        message = f"The write-ahead log has grown to {size >> 20} MiB: something reads for a long time."
        yield Finding("warning", "wal", message, f'Find it: lsof "{path}"')
    if not health.has_reserve(path):
        message = "The space held back for a full disk is gone: an ending may go unrecorded."
        yield Finding("warning", "reserve", message, "Free some space; the next command holds it back again.")


def _runs(ctx: Context) -> Iterator[Finding]:
    settings = ctx.settings
    if not settings.database.exists():
        return
    from mlconsole.catalog import Catalog

    catalog = Catalog(settings.home, read_only=True, on_network=settings.network_home)
    try:
        count, some = health.damaged_logs(catalog.store)
        if count:
            many = "1 run log is" if count == 1 else f"{count} run logs are"
            message = f"{many} damaged; the rest of them is kept: {', '.join(some)}."
            yield Finding("warning", "run logs", message, "See the places: mlconsole run show RUN")
        if stale := health.stale_markers(settings.live):
            many = "1 writer" if len(stale) == 1 else f"{len(stale)} writers"
            message = f"{many} ended without saying so; the first: {stale[0]}."
            yield Finding("note", "run logs", message, "The next command that may write takes their logs in.")
        if forgotten := health.forgotten_logs(catalog.store, settings.runs, settings.live):
            many = "1 run" if len(forgotten) == 1 else f"{len(forgotten)} runs"
            message = f"The logs of {many} hold more than the catalog; the first: {forgotten[0]}."
            yield Finding("warning", "run logs", message, "mlconsole restore reads all logs again.")
        if nobodys := [each for each in health.ownerless(catalog.store, settings.runs) if not is_launching(str(each))]:
            many = "1 folder belongs" if len(nobodys) == 1 else f"{len(nobodys)} folders belong"
            message = f'{many} to no run; the first: "{nobodys[0]}".'
            hint = "A launch was killed before it was recorded, and nothing was started from there: it may be removed."
            yield Finding("note", "runs", message, hint)
        future = health.run_from_the_future(catalog.store, to_us(ctx.clock() + CLOCK_SLACK))
        if future is not None:
            message = f'Run "{future}" was made in the future: this clock, or that of its host, is wrong.'
            yield Finding("warning", "clock", message, "See: timedatectl")
        if unbalanced := catalog.ledger.unbalanced():
            many = "1 interval" if len(unbalanced) == 1 else f"{len(unbalanced)} intervals"
            message = f"Of {many} of machine time the parts are not what the time cost."
            yield Finding("failure", "ledger", message, RESTORE)
        if (bad := catalog.audit.first_bad()) is not None:
            yield Finding("failure", "audit", f"The audit log is broken at row {bad}.", "Compare with a backup.")
    finally:
        catalog.close()


def _backends(ctx: Context) -> Iterator[Finding]:
    for broken in backends.broken():
        message = f'Backend "{broken.name}" does not load: {broken.reason}.'
        yield Finding("failure", "backends", message, "Its runs may well be alive; mend or uninstall the plugin.")
    names = [name for name in backends.names() if name not in {broken.name for broken in backends.broken()}]
    yield Finding("ok", "backends", f"Installed: {', '.join(names) or 'none'}.")
    for broken in notifiers.broken():
        message = f'Notifier "{broken.name}" does not load: {broken.reason}.'
        yield Finding("failure", "notifiers", message, "Nobody is told by it; mend or uninstall the plugin.")
    installed = notifiers.names()
    for name, options in ctx.settings.notify.items():
        if options["kind"] not in installed:
            message = f'"notify.{name}" is of kind "{options["kind"]}", which is not installed.'
            yield Finding("failure", "notifiers", message, f"Installed: {', '.join(installed)}.")
    for broken in targets.broken():
        message = f'Target "{broken.name}" does not load: {broken.reason}.'
        yield Finding("failure", "targets", message, "What it serves goes on as it is; mend or uninstall the plugin.")


DOCTOR = Action("doctor", "Check the catalog, its place and the plugins", NoParams, Effect.READ, doctor)
