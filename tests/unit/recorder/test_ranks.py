"""Processes of one distributed job agree on a run without talking, and those of two jobs do not."""

from __future__ import annotations

import pytest
from recorded import RUN_ID

from mlconsole.recorder.ranks import Place

TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "0",
}
SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "8"}


@pytest.mark.parametrize(
    ("environ", "rank", "world_size"),
    [
        ({}, 0, 1),
        (TORCHRUN, 1, 4),
        (SLURM, 3, 8),
        ({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, 0, 1),
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3"}, 2, 3),
        ({"RANK": "9", "WORLD_SIZE": "2"}, 1, 2),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}, 1, 2),
        ({"RANK": "-1", "WORLD_SIZE": "many"}, 0, 1),
    ],
)
def test_the_rank_is_told_by_the_environment(environ: dict[str, str], rank: int, world_size: int) -> None:
    place = Place(environ)
    assert (place.rank, place.world_size) == (rank, world_size)


@pytest.mark.parametrize("job", [TORCHRUN, SLURM])
def test_all_ranks_of_a_job_agree_on_each_run(job: dict[str, str]) -> None:
    ranks = [{**job, "RANK": str(rank), "LOCAL_RANK": str(rank), "SLURM_PROCID": str(rank)} for rank in range(4)]
    for ordinal in range(2):
        assert len({Place(environ).shared_id(ordinal) for environ in ranks}) == 1
    assert Place(job).shared_id(0) != Place(job).shared_id(1)


@pytest.mark.parametrize(
    ("job", "change"),
    [
        (TORCHRUN, {"MASTER_PORT": "29501"}),
        (TORCHRUN, {"TORCHELASTIC_RUN_ID": "other"}),
        (TORCHRUN, {"MASTER_ADDR": "node2"}),
        (SLURM, {"SLURM_JOB_ID": "8"}),
        (SLURM, {"SLURM_STEP_ID": "1"}),
    ],
)
def test_two_jobs_get_two_runs(job: dict[str, str], change: dict[str, str]) -> None:
    assert Place(job).shared_id(0) != Place({**job, **change}).shared_id(0)


def test_a_process_that_is_alone_has_nobody_to_agree_with() -> None:
    assert Place({}).shared_id(0) is None
    assert Place({"MLCONSOLE_RUN_ID": RUN_ID}).shared_id(0) is None
    assert Place({"RANK": "0", "WORLD_SIZE": "2"}).shared_id(0) is None


def test_the_launched_run_is_known_and_made_safe() -> None:
    assert Place({"MLCONSOLE_RUN_ID": RUN_ID}).launched == RUN_ID
    assert Place({"MLCONSOLE_RUN_ID": "../../x"}).launched not in (None, "../../x")
    assert Place({"MLCONSOLE_RUN_ID": ""}).launched is None
