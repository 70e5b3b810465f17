"""More runs than slots: they wait their turn, start by themselves, and can be held, moved, stopped and tried again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from gpukit import PRINT, devices, on_gpus, uuid

from mlconsole.actions import turns
from mlconsole.actions.context import Context, utc_now
from mlconsole.actions.sync import refresh
from mlconsole.catalog import queue
from mlconsole.catalog.observations import apply_observation, set_handle
from mlconsole.config import load
from mlconsole.plugin_api import Handle, Observation, Outcome, State
from program import Program, wait_until

NOTE = ("sh", "-c", 'echo "$0" >> "$1"; sleep "$2"')


@pytest.fixture
def one_slot(cli: Program) -> Program:
    """A machine with one CPU slot."""
    return replace(cli, env={**cli.env, "MLCONSOLE_CPU_SLOTS": "1"})


@pytest.fixture
def order(tmp_path: Path) -> Path:
    return tmp_path / "order"


def noted(program: Program, order: Path, name: str, *flags: str, for_s: str = "0.2", **env: str) -> str:
    """Launch a run that writes its name when it starts."""
    words = ("launch", "--name", name, *flags, "--", *NOTE, name, str(order), for_s)
    return str(program.json(*words, **env)["id"])


def states(program: Program) -> dict[str, str]:
    return {item["name"]: item["state"] for item in program.json("run", "list")["items"]}


def told(order: Path) -> list[str]:
    return order.read_text().split() if order.exists() else []


def why(program: Program, name: str) -> str:
    return next(item["why"] for item in program.json("job", "list")["items"] if item["name"] == name)


def blocker(program: Program, gate: Path) -> str:
    """A run that goes on until the gate is there."""
    words = ("sh", "-c", 'until [ -e "$0" ]; do sleep 0.02; done', str(gate))
    return str(program.json("launch", "--name", "blocker", "--", *words)["id"])


def test_runs_beyond_the_slots_wait_and_start_one_after_the_other_while_nobody_looks(
    one_slot: Program, order: Path
) -> None:
    for name in ("a", "b", "c"):
        noted(one_slot, order, name)

    wait_until(lambda: told(order) == ["a", "b", "c"], "all three to run in their order")


def test_a_waiting_run_is_queued_and_says_why(one_slot: Program, order: Path, tmp_path: Path) -> None:
    blocker(one_slot, tmp_path / "gate")
    noted(one_slot, order, "b")

    assert states(one_slot)["b"] == "queued"
    assert why(one_slot, "b") == "waits for 1 CPU slot, 0 of 1 free"
    assert told(order) == []


def test_priority_goes_before_order(one_slot: Program, order: Path, tmp_path: Path) -> None:
    blocker(one_slot, tmp_path / "gate")
    noted(one_slot, order, "low")
    noted(one_slot, order, "high", "--priority", "5")
    (tmp_path / "gate").touch()

    wait_until(lambda: told(order) == ["high", "low"], "both to run")


def test_a_moved_run_goes_first(one_slot: Program, order: Path, tmp_path: Path) -> None:
    blocker(one_slot, tmp_path / "gate")
    for name in ("a", "b", "c"):
        noted(one_slot, order, name)
    one_slot.json("run", "move", "c")
    one_slot.json("run", "move", "b", "--before", "a")
    (tmp_path / "gate").touch()

    wait_until(lambda: len(told(order)) == 3, "all to run")
    assert told(order) == ["c", "b", "a"]


def test_a_held_run_waits_until_it_is_released(cli: Program, order: Path) -> None:
    noted(cli, order, "kept", "--hold")
    assert why(cli, "kept").startswith("held by ")

    cli.json("run", "release", "kept")

    wait_until(lambda: told(order) == ["kept"], "the run to start")


def test_a_run_comes_after_another_that_succeeds(cli: Program, order: Path, tmp_path: Path) -> None:
    blocker(cli, tmp_path / "gate")
    noted(cli, order, "later", "--after", "blocker")
    assert why(cli, "later") == 'comes after "blocker", which is running'
    (tmp_path / "gate").touch()

    wait_until(lambda: told(order) == ["later"], "the second run")


def test_after_a_failure_it_waits_and_says_so_unless_any_end_will_do(cli: Program, order: Path) -> None:
    cli("launch", "--name", "bad", "--hold", "--", "false")
    noted(cli, order, "strict", "--after", "bad")
    noted(cli, order, "any", "--after-any", "bad")
    cli.json("run", "release", "bad")

    wait_until(lambda: told(order) == ["any"], "the run that any end will do for")
    assert why(cli, "strict") == 'comes after "bad", which ended as failed: release or stop it'


def test_a_drained_machine_starts_nothing_until_it_is_resumed(cli: Program, order: Path) -> None:
    cli.json("host", "drain", "--reason", "new disk")
    noted(cli, order, "a")
    assert "drained: new disk" in why(cli, "a")
    (only,) = cli.json("host", "list")["items"]  # A backend that nobody has set up has no machines.
    assert only["state"] == "drained"

    cli.json("host", "resume")

    wait_until(lambda: told(order) == ["a"], "the run to start")


def test_a_waiting_run_is_stopped_torn_down_and_deleted_without_a_start(
    one_slot: Program, order: Path, tmp_path: Path
) -> None:
    blocker(one_slot, tmp_path / "gate")
    noted(one_slot, order, "stopped")
    noted(one_slot, order, "torn")

    assert one_slot.json("run", "stop", "stopped", "--yes")["outcome"] == "cancelled"
    assert one_slot("teardown", "torn", "--yes").code == 0
    assert one_slot("run", "delete", "stopped", "--yes").code == 0
    (tmp_path / "gate").touch()
    one_slot.ended("blocker")
    assert one_slot.json("run", "show", "torn")["outcome"] == "cancelled"
    assert told(order) == []


def test_now_refuses_instead_of_waiting(one_slot: Program, tmp_path: Path) -> None:
    blocker(one_slot, tmp_path / "gate")

    done = one_slot("launch", "--now", "--", "true")

    assert (done.code, len(states(one_slot))) == (1, 1)
    assert "0 of 1 are free" in done.err


def test_a_run_starts_in_the_environment_and_folder_that_it_was_launched_in(one_slot: Program, tmp_path: Path) -> None:
    blocker(one_slot, tmp_path / "gate")
    words = ("sh", "-c", "echo $MINE $ADDED $HF_TOKEN $MLCONSOLE_ATTEMPT")
    one_slot("launch", "-n", "b", "--env", "ADDED=2", "--", *words, MINE="1", HF_TOKEN="s3cret-t0ken")
    kept = b"".join(path.read_bytes() for path in one_slot.home.rglob("*") if path.is_file())
    (tmp_path / "gate").touch()

    one_slot.ended("b")

    assert one_slot("run", "logs", "b").out == "1 2 s3cret-t0ken 1\n"
    assert b"s3cret-t0ken" not in kept
    assert not list(Path("/dev/shm", f"mlconsole-{os.getuid()}").glob("*s3cret*"))


def test_a_failed_run_is_tried_again_as_often_as_it_was_told(cli: Program, tmp_path: Path) -> None:
    code = 'echo x >> "$0"; [ $(wc -l < "$0") -ge 3 ]'
    cli("launch", "-n", "flaky", "--retry", "failed=5", "--", "sh", "-c", code, str(tmp_path / "tries"))

    wait_until(lambda: cli.json("run", "show", "flaky")["outcome"] == "succeeded", "the third try")

    assert (tmp_path / "tries").read_text() == "x\n" * 3


def test_a_run_that_fails_more_often_than_that_has_failed(cli: Program, tmp_path: Path) -> None:
    cli("launch", "-n", "bad", "--retry", "1", "--", "sh", "-c", 'echo x >> "$0"; exit 3', str(tmp_path / "tries"))

    assert cli.ended("bad")["exit_code"] == 3
    assert (tmp_path / "tries").read_text() == "x\n" * 2


def test_a_run_that_writes_nothing_for_long_is_said_to_be_silent(cli: Program, tmp_path: Path) -> None:
    run = blocker(cli, tmp_path / "gate")
    assert "silent" not in cli("job", "list").out

    for path in (cli.home / "runs" / run).rglob("*"):
        os.utime(path, (1e9, 1e9))

    assert "silent for" in cli("job", "list").out
    assert cli.json("job", "list")["items"][0]["silent_s"] > 1e8


def test_a_stopped_run_is_not_tried_again(cli: Program) -> None:
    cli("launch", "-n", "long", "--retry", "5", "--", "sleep", "60")

    assert cli.json("run", "stop", "long", "--yes")["outcome"] == "cancelled"
    assert states(cli) == {"long": "ended"}


def test_an_ended_run_is_put_in_line_again_as_its_next_attempt(cli: Program) -> None:
    cli("launch", "-n", "again", "--", "sh", "-c", "echo attempt ${MLCONSOLE_ATTEMPT:-1}; exit 1")
    cli.ended("again")

    cli.json("run", "requeue", "again")

    cli.ended("again")
    assert cli("run", "logs", "again").out == "attempt 2\n"


def test_a_run_that_waits_for_a_gpu_gets_the_one_that_is_given_back(cli: Program, tmp_path: Path) -> None:
    program, _ = on_gpus(cli, tmp_path, 1)
    first = str(program.json("launch", "--gpus", "1", "-n", "first", "--", *PRINT)["id"])
    second = str(program.json("launch", "--gpus", "1", "-n", "second", "--", *PRINT)["id"])
    assert states(program)["second"] == "queued"
    assert f'leased by run "first" ({first})' in why(program, "second")

    program("run", "stop", "first", "--grace", "0", "--yes")

    wait_until(lambda: program("run", "logs", second).out != "", "the second run to start")
    assert devices(program, second) == uuid(0)


def test_a_gpu_that_a_strangers_process_holds_is_waited_for(cli: Program, tmp_path: Path) -> None:
    program, driver = on_gpus(cli, tmp_path, 1)
    driver.write(f"process 0 C {os.getpid()} 4000 50 -1")
    program("launch", "--gpus", "1", "-n", "one", "--", *PRINT)
    program("job", "start")
    assert f"held by process {os.getpid()}" in why(program, "one")

    driver.only()
    program("job", "start")

    wait_until(lambda: states(program)["one"] == "running", "the run to start")


@pytest.mark.parametrize("lookers", [8])
def test_of_many_that_look_at_once_one_starts_the_run(cli: Program, order: Path, lookers: int) -> None:
    cli.json("host", "drain")
    for number in range(5):
        noted(cli, order, f"r{number}", for_s="0")
    resumed = [cli.start("host", "resume"), *(cli.start("job", "start") for _ in range(lookers))]
    assert [process.communicate(timeout=60) and process.returncode for process in resumed] == [0] * (lookers + 1)

    wait_until(lambda: set(states(cli).values()) == {"ended"}, "all to end")
    assert sorted(told(order)) == [f"r{number}" for number in range(5)]


KILLER = """
import os, signal, sys
left = int(sys.argv[1])
sys.argv[1:] = sys.argv[2:]
WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.link", "os.posix_spawn", "sqlite3.connect"}
def step(event, arguments):
    global left
    if event in WATCHED and not (event == "open" and str(arguments[0]).endswith((".py", ".pyc", ".so"))):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(step)
from mlconsole.__main__ import main
sys.exit(main())
"""


def test_whoever_starts_a_run_may_be_killed_at_any_step_and_it_starts_once(cli: Program, order: Path) -> None:
    steps = range(20, 90, 2 if os.environ.get("MLCONSOLE_FAULTS") == "full" else 14)
    cli.json("host", "drain")
    for step in steps:
        noted(cli, order, f"r{step}", "--hold", for_s="0")
    cli.json("host", "resume")
    for step in steps:
        words = [sys.executable, "-P", "-c", KILLER, str(step), "run", "release", f"r{step}"]
        done = subprocess.run(words, cwd=cli.cwd, env=cli.environment(), capture_output=True, timeout=60)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
    for step in steps:
        if states(cli)[f"r{step}"] == "queued":
            cli("run", "release", f"r{step}")

    wait_until(lambda: set(states(cli).values()) == {"ended"}, "all to end")
    assert sorted(told(order)) == sorted(f"r{step}" for step in steps)
    assert {item["outcome"] for item in cli.json("run", "list")["items"]} == {"succeeded"}


def test_a_run_that_waited_long_is_not_given_up_while_its_turn_is_being_taken(cli: Program) -> None:
    run = str(cli.json("launch", "-n", "r", "--hold", "--retry", "1", "--", "true")["id"])
    later = Context(load({"MLCONSOLE_HOME": str(cli.home)}), clock=lambda: utc_now() + timedelta(minutes=5))
    number = later.catalog.runs.get(run).number
    me = turns.this_process() | {"pid": os.getppid(), "ticks": ticks_of(os.getppid()), "leased": {}}
    later.catalog.write(lambda db: queue.claim(db, number, me, later.clock()))

    refresh(later)

    assert later.catalog.runs.get(run).state is State.SUBMITTING
    later.catalog.close()


def test_a_late_look_at_an_earlier_attempt_changes_nothing(cli: Program) -> None:
    cli("launch", "-n", "r", "--", "false")
    cli.ended("r")
    ctx = Context(load({"MLCONSOLE_HOME": str(cli.home)}))
    run = ctx.catalog.runs.get("r")
    seen = Observation(f"{run.id}.1", State.ENDED, Outcome.FAILED, exit_code=1)
    ctx.catalog.write(lambda db: queue.begin_attempt(db, run.number, ctx.clock(), "again"))

    assert not ctx.catalog.write(lambda db: apply_observation(db, run.number, seen, ctx.clock()))
    ctx.catalog.write(lambda db: set_handle(db, run.number, Handle("local", f"{run.id}.1", {"directory": "/"})))
    job = ctx.catalog.runs.job(run.number)
    assert job is not None and (job.handle, job.state) == (None, State.QUEUED)
    ctx.catalog.close()


def ticks_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
