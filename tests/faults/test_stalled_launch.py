"""A console is stopped for minutes between intent and submit, others look meanwhile: one job, or certainly none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from program import Program
from stalled import MOMENTS, Stalled, carried_on, given_up


@pytest.fixture
def program(cli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    config = tmp_path / "config.toml"
    config.write_text(f'[backends.fake]\ndirectory = "{tmp_path}/fake"\n')
    monkeypatch.setenv("MLCONSOLE_CONFIG", str(config))
    return replace(cli, env={**cli.env, "MLCONSOLE_CONFIG": str(config)})


@pytest.mark.parametrize("backend", ["local", "fake"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_launch_that_stood_still_for_minutes_goes_on_and_starts_one_job(
    backend: str, moment: str, program: Program, tmp_path: Path
) -> None:
    carried_on(Stalled(program, backend, moment, tmp_path))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_launch_that_is_killed_where_it_stands_is_given_up(moment: str, program: Program, tmp_path: Path) -> None:
    given_up(Stalled(program, "fake", moment, tmp_path))
