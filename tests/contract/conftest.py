"""Every test here runs once for each installed backend that answers; the fake one answers honestly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkit import Jobs, jobs_of
from mlconsole import backends
from mlconsole.plugin_api import Backend


def set_up_fake(monkeypatch: pytest.MonkeyPatch, folder: Path, *lies: str) -> Backend:
    """The fake backend, with these lies, for this process and those that it starts."""
    config = folder / "fake.toml"
    config.write_text(f'[backends.fake]\ndirectory = "{folder}/fake"\nlies = {list(lies)}\n'.replace("'", '"'))
    monkeypatch.setenv("MLCONSOLE_CONFIG", str(config))
    return backends.one("fake")


@pytest.fixture(params=backends.names())
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Backend:
    found = set_up_fake(monkeypatch, tmp_path) if request.param == "fake" else backends.one(request.param)
    probe = found.probe()
    if not probe.reachable:
        pytest.skip(f"backend {request.param} does not answer here: {probe.detail}")
    return found


@pytest.fixture
def jobs(backend: Backend, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(backend, tmp_path) as found:
        yield found
