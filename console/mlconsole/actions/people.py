"""Who sits here, as the operating system knows them."""

from __future__ import annotations

import os

from mlconsole.domain.environments import Environment, may_move


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
