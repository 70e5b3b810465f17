"""Sweeps, ranks and snapshots: what a launch on this machine can be beyond one process in one folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from program import Program, wait_until

WHO = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
GLOO = """
import os, time
import torch, torch.distributed as dist

dist.init_process_group("gloo")
rank, attempt = dist.get_rank(), os.environ.get("MLCONSOLE_ATTEMPT", "1")
saved = os.path.join(os.environ["MLCONSOLE_CHECKPOINTS"], "step")
done = int(open(saved).read()) if os.path.exists(saved) else 0
print("attempt", attempt, "from step", done, "pid", os.getpid(), flush=True)
for step in range(done, 4):
    total = torch.tensor([float(rank + 1)])
    dist.all_reduce(total)
    if rank == 0:
        with open(saved + ".part", "w") as file:
            file.write(str(step + 1))
        os.replace(saved + ".part", saved)
    dist.barrier()
    if attempt == "1" and step == 1:
        time.sleep(60)
print("sum", total.item(), flush=True)
dist.barrier()
dist.destroy_process_group()  # or a rank may abort as it ends, when the other has gone first
"""


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *WHO, *words], cwd=folder, check=True, capture_output=True)


def test_a_grid_is_a_run_for_each_point_and_one_row_that_unfolds(cli: Program) -> None:
    program = replace(cli, env={**cli.env, "MLCONSOLE_CPU_SLOTS": "1"})
    program.json("host", "drain")
    words = ("--grid", "lr=0.1,0.01", "--grid", "seed=1,2,3", "--", "echo", "rate={lr}", "of {lr}")
    sweep = program.json("launch", "-n", "s", *words)

    assert [(run["point"]["lr"], run["point"]["seed"]) for run in sweep["runs"]] == [
        ("0.1", "1"), ("0.1", "2"), ("0.1", "3"), ("0.01", "1"), ("0.01", "2"), ("0.01", "3"),
    ]  # fmt: skip
    (row,) = program.json("job", "list")["items"]
    assert (row["name"], row["runs"], row["sweep"]) == ("s", "6 queued", sweep["id"])
    assert len(program.json("job", "list", "--all")["items"]) == 6
    program.json("host", "resume")
    wait_until(lambda: program("run", "list", "outcome:succeeded").out.count("s [lr=") == 6, "all to end")
    assert program("run", "logs", "s [lr=0.01 seed=2]").out == "rate=0.01 of 0.01 --seed 2\n"
    assert "6 succeeded" in program("sweep", "show", "s").out


def test_a_sweep_is_held_released_and_stopped_as_one(cli: Program) -> None:
    cli.json("host", "drain")
    sweep = cli.json("launch", "-n", "s", "--grid", "seed=1,2,3", "--", "true")
    cli.json("run", "stop", "s [seed=2]", "--yes")

    assert len(cli.json("run", "hold", sweep["id"])["items"]) == 2
    assert {each["why"].partition(" by ")[0] for each in cli.json("job", "list", "--all")["items"]} == {"held"}
    assert len(cli.json("run", "release", "s")["items"]) == 2
    steps = cli.json("run", "stop", "s", "--dry-run")["steps"]
    assert len(steps) == 2 and all("out of the line" in str(each) for each in steps)
    assert len(cli.json("run", "stop", "s", "--yes")["items"]) == 2
    assert cli.json("job", "list")["items"] == []
    again = cli("run", "stop", sweep["id"], "--yes")
    assert again.code == 1 and 'No run of sweep "s" is left to stop' in again.err
    assert cli("run", "move", sweep["id"]).code == 4


def test_a_sweep_goes_before_a_run_whose_id_begins_like_its_name(cli: Program) -> None:
    cli.json("host", "drain")
    other = cli.json("launch", "-n", "other", "--", "true")
    cli.json("launch", "-n", other["id"][0], "--grid", "seed=1,2", "--", "true")

    held = cli.json("run", "hold", other["id"][0])["items"]

    assert len(held) == 2 and other["id"] not in {each["id"] for each in held}


def test_the_plan_of_a_sweep_says_how_many_runs_and_the_command_again(cli: Program) -> None:
    (cli.cwd / "train").touch()
    plan = cli.json("launch", "--grid", "lr=1,2", "--nproc", "2", "--snapshot", "--dry-run", "--", "train", "{lr}")

    assert plan["steps"][0]["text"].startswith("2 runs")
    assert plan["command"] == "mlconsole launch --grid lr=1,2 --nproc 2 --snapshot -- train '{lr}'"
    assert not cli.home.exists()


@pytest.mark.parametrize("wrong", ["lr", "lr=", "=1", "lr=1,,2", "a b=1"])
def test_a_wrong_grid_is_refused_and_nothing_is_launched(cli: Program, wrong: str) -> None:
    done = cli("launch", "--grid", wrong, "--", "true")

    assert (done.code, cli.home.exists()) == (2, False)
    assert wrong.partition("=")[0] in done.err


def test_a_run_of_a_snapshot_does_not_see_later_edits(cli: Program) -> None:
    (cli.cwd / "part.txt").write_text("old")
    cli("launch", "-n", "s", "--snapshot", "--hold", "--", "cat", "part.txt")
    (cli.cwd / "part.txt").write_text("new")
    cli("run", "release", "s")
    cli.ended("s")

    assert cli("run", "logs", "s").out == "old"
    assert cli.json("run", "show", "s")["tags"]["snapshot"]


def test_a_snapshot_has_the_code_of_submodules_and_of_other_repositories_in_it(cli: Program) -> None:
    git(cli.cwd, "init")
    git(cli.cwd, "init", "vendored")
    (cli.cwd / "vendored" / "part.txt").write_text("inside\n")
    git(cli.cwd / "vendored", "add", ".")
    git(cli.cwd / "vendored", "commit", "-m", "x")
    git(cli.cwd, "add", "vendored")  # as a submodule's commit
    git(cli.cwd, "init", "beside")
    (cli.cwd / "beside" / "part.txt").write_text("beside\n")
    cli("launch", "-n", "s", "--snapshot", "--", "cat", "vendored/part.txt", "beside/part.txt")
    cli.ended("s")

    assert cli("run", "logs", "s").out == "inside\nbeside\n"


@pytest.mark.parametrize("repository", [True, False])
def test_a_snapshot_leaves_out_what_is_no_file(cli: Program, repository: bool) -> None:
    if repository:
        git(cli.cwd, "init")
    os.mkfifo(cli.cwd / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(cli.cwd / "socket"))
    (cli.cwd / "part.txt").write_text("here\n")
    cli("launch", "-n", "s", "--snapshot", "--", "sh", "-c", "ls; cat part.txt")
    cli.ended("s")

    assert cli("run", "logs", "s").out == "part.txt\nhere\n"


def test_ranks_get_torchruns_environment_and_are_read_apart_and_together(cli: Program) -> None:
    show = 'echo "$RANK of $WORLD_SIZE at $MASTER_ADDR, local $LOCAL_RANK of $LOCAL_WORLD_SIZE"'
    cli("launch", "-n", "r", "--nproc", "2", "--", "sh", "-c", show)
    cli.ended("r")

    assert cli("run", "logs", "r", "--rank", "1").out == "1 of 2 at 127.0.0.1, local 1 of 2\n"
    assert sorted(cli("run", "logs", "r").out.splitlines()) == [
        f"[{rank}] {rank} of 2 at 127.0.0.1, local {rank} of 2" for rank in (0, 1)
    ]


def test_when_a_rank_fails_the_others_end_and_the_run_fails_as_it_did(cli: Program) -> None:
    code = 'if [ "$RANK" = 1 ]; then exit 7; fi; sleep 60'
    cli("launch", "-n", "r", "--nproc", "3", "--", "sh", "-c", code)

    assert cli.ended("r")["exit_code"] == 7
    assert "rank 1 ended with exit code 7" in cli("run", "logs", "r").out


def test_a_gloo_rank_that_is_killed_is_tried_again_and_resumes_from_the_checkpoint(cli: Program) -> None:
    pytest.importorskip("torch")
    (cli.cwd / "gloo.py").write_text(GLOO)
    cli("launch", "-n", "g", "--nproc", "2", "--retry", "failed=1", "--", sys.executable, "gloo.py")
    saved = cli.home / "runs" / cli.json("run", "show", "g")["id"] / "checkpoints" / "step"
    wait_until(lambda: saved.exists() and saved.read_text() == "2", "two steps", deadline_s=90)

    os.kill(int(cli("run", "logs", "g", "--rank", "1").out.split()[-1]), signal.SIGKILL)

    wait_until(lambda: cli.json("run", "show", "g")["outcome"] == "succeeded", "the second attempt", deadline_s=90)
    lines = cli("run", "logs", "g", "--rank", "1").out.splitlines()
    assert lines[0].startswith("attempt 2 from step 2") and lines[1] == "sum 3.0"
    assert cli.json("run", "show", "g")["exit_code"] == 0


def test_what_a_launch_was_given_is_given_again(cli: Program, tmp_path: Path) -> None:
    cli("launch", "-n", "r", "--nproc", "2", "--", "sh", "-c", "echo $WORLD_SIZE")
    cli.ended("r")

    cli("run", "relaunch", "r", "--name", "again")

    cli.ended("again")
    assert cli("run", "logs", "again", "--rank", "0").out == "2\n"
