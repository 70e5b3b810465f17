"""In a catalog of several users: one process for each who has runs in line, since nobody else's can start them.

Where there is one user, the supervisor of a run that ends starts the next one. Of several, the next one may be somebody
else's, whom that supervisor cannot wake.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mlconsole.actions.context import Context
from mlconsole.actions.sync import refresh
from mlconsole.config import launch_environment, python
from mlconsole.errors import MlconsoleError

EVERY_S = 2.0
#: Those that this process left behind and that have not ended, as far as it knows.
_left: list[int] = []


def leave_one(ctx: Context) -> None:
    """Leave a process behind that starts this user's runs when their turn comes, unless there is one."""
    for pid in list(_left):
        with suppress(OSError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                _left.remove(pid)
    if not _has_runs(ctx):
        return
    with _alone(ctx) as is_alone:
        if not is_alone:
            return
    null = (os.devnull, os.O_RDWR, 0)
    argv = [python(), "-P", "-m", "mlconsole", "--catalog", str(ctx.settings.home), "job", "start", "--stay"]
    files = [(os.POSIX_SPAWN_OPEN, stream, *null) for stream in range(3)]
    with suppress(OSError):
        _left.append(os.posix_spawn(argv[0], argv, launch_environment(), file_actions=files, setsid=True))


def stay(ctx: Context) -> None:
    """Start this user's runs as their turns come, until none waits; at once over where another process does so."""
    while _has_runs(ctx):  # Once more after letting go: who put a run in line meanwhile saw this process stay.
        with _alone(ctx) as is_alone:
            if not is_alone:
                return
            while _has_runs(ctx) and not ctx.cancelled.wait(EVERY_S):
                with suppress(MlconsoleError):
                    refresh(ctx)
        if ctx.cancelled.is_set():
            return


def _has_runs(ctx: Context) -> bool:
    return ctx.catalog.queue.waits_for(ctx.settings.host, ctx.settings.user)


@contextmanager
def _alone(ctx: Context) -> Iterator[bool]:
    """Whether no other process of this user stays; none does as long as this lasts."""
    path = ctx.settings.home / "queue" / f"stays-{os.getuid()}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
