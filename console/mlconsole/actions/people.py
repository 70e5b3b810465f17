"""Who sits here, as the operating system knows them."""

from __future__ import annotations

import os

from mlconsole.actions.context import Context
from mlconsole.domain.environments import Environment, may_move
from mlconsole.domain.runs import Run, State
from mlconsole.errors import ActionFailed


def groups() -> tuple[str, ...]:
    """The names of the groups that this process is in; a number where a group has no name."""
    import grp

    found = []
    for number in {os.getegid(), *os.getgroups()}:
        try:
            found.append(grp.getgrgid(number).gr_name)
        except KeyError:
            found.append(str(number))
    return tuple(sorted(found))


def why_not(environment: Environment, user: str) -> str:
    """Why someone may not move an environment; empty when they may."""
    if may_move(user, groups(), environment.allowed):
        return ""
    return f'{user} may not move "{environment.name}": {", ".join(environment.allowed)} may'


def refuse_processes_of_others(ctx: Context, run: Run) -> None:
    """A run that waits may be taken out of the line by whoever shares the catalog; a process is its owner's alone.

    Raises:
        ActionFailed: it runs on this machine as another user.
    """
    me, is_process = ctx.settings.user, run.state.is_live and run.state is not State.QUEUED
    if not is_process or run.backend is None or me in ("root", run.user) or run.host != ctx.settings.host:
        return
    from mlconsole.plugin_api import RunsHere  # 4 ms, where somebody wants to end another's run

    backend = ctx.backend(run.backend)
    if isinstance(backend, RunsHere) and backend.runs_here():
        raise ActionFailed(f'Run "{run.name}" is a process of {run.user}.', f"{run.user} or root can end it.")
