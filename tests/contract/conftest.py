"""Every test here runs once for each installed backend that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkit import Jobs, jobs_of
from mlconsole import backends
from mlconsole.plugin_api import Backend


@pytest.fixture(params=backends.names())
def backend(request: pytest.FixtureRequest) -> Backend:
    found = backends.one(request.param)
    probe = found.probe()
    if not probe.reachable:
        pytest.skip(f"backend {request.param} does not answer here: {probe.detail}")
    return found


@pytest.fixture
def jobs(backend: Backend, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(backend, tmp_path) as found:
        yield found
