"""On every engine: a console is stopped for minutes between intent and submit, others look on; one job starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.looking import reaching
from program import Program
from stalled import MOMENTS, Stalled, carried_on


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("backend", ["ssh", "slurm", "ray"])
def test_a_launch_that_stood_still_for_minutes_goes_on_and_starts_one_job(
    backend: str, moment: str, cli: Program, tmp_path: Path
) -> None:
    carried_on(Stalled(reaching(cli), backend, moment, tmp_path))
