"""Looks at jobs whose engine may be away: what is unreachable is an answer, not a reason to ask again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from engines.fleet import Fleet
from jobkit import Jobs, until
from mlconsole.plugin_api import Handle, Observation, State
from program import Program


def reaching(cli: Program) -> Program:
    """The program with the settings that lead it to the engines."""
    names = ("MLCONSOLE_CONFIG", "SLURM_CONF", "RAY_AUTH_TOKEN")
    return replace(cli, env={**cli.env, **{name: os.environ[name] for name in names if name in os.environ}})


@contextmanager
def mended(fleet: Fleet) -> Iterator[Fleet]:
    """The hosts; afterwards every link and every sshd is as it was."""
    yield fleet
    for name in fleet.names:
        fleet.mend(name)
        if not fleet.daemons.is_up(name):
            fleet.serve(name)


def glance(jobs: Jobs, handle: Handle) -> Observation:
    """What one look shows, whatever it shows."""
    (seen,) = jobs.backend.observe([handle])
    return seen


def ended(jobs: Jobs, handle: Handle, within_s: float = 60.0) -> Observation:
    """How a job ended, however long its engine is away."""
    return until(lambda: seen if (seen := glance(jobs, handle)).state is State.ENDED else None, within_s)
