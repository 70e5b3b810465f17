"""Teardown commands succeed once, however the job ended and whatever was killed, or are loudly pending (F-36)."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobkit import PYTHON, Jobs, jobs_of, until
from mlconsole.plugin_api import ActionFailed, Finaliser, FinaliserState, Handle, Outcome, State
from mlconsole_local import LocalBackend, shim

STAY = ("sleep", "600")
ROUNDS = 12


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(LocalBackend(), tmp_path) as found:
        yield found
    for name, who in (("start.json", "shim"), ("finaliser.json", "finaliser")):
        for folder in tmp_path.glob("*/job"):
            record = shim.read(str(folder), name)
            if record and who in record:
                shim.send(record[who]["pid"], record[who]["start"], signal.SIGKILL)


def note(tmp_path: Path, before: str = "", after: str = "") -> tuple[str, ...]:
    """A teardown command that writes one line."""
    return ("sh", "-c", f"{before}echo $MLCONSOLE_RUN_OUTCOME $MLCONSOLE_RUN_EXIT_CODE >> {tmp_path}/torn{after}")


def torn(tmp_path: Path) -> list[str]:
    """The lines that teardown commands have written."""
    path = tmp_path / "torn"
    return path.read_text().splitlines() if path.exists() else []


def finalised(jobs: Jobs, handle: Handle, within_s: float = 20.0) -> tuple[Finaliser, ...]:
    """The states of the commands once nothing of them goes on."""
    going = (FinaliserState.WAITING, FinaliserState.RUNNING, FinaliserState.FAILING)

    def settled() -> tuple[Finaliser, ...]:
        seen = jobs.look(handle)
        return seen.finalisers if all(each.state not in going for each in seen.finalisers) else ()

    return until(settled, within_s)


def process_of(jobs: Jobs, handle: Handle, who: str) -> shim.Process:
    """One of the processes around a job: ``shim``, ``child`` or ``finaliser``."""
    folder = Path(str(handle.data["directory"])) / "job"
    name = "finaliser.json" if who == "finaliser" else "start.json"

    def alive() -> shim.Process | None:
        record = shim.read(str(folder), name)
        found = shim.process(record[who]["pid"]) if record else None
        return found if record and found and found.start == record[who]["start"] else None

    return until(alive)


def kill(process: shim.Process) -> None:
    shim.strike(process, signal.SIGKILL)
    until(lambda: not shim.is_alive(process.pid, process.start))


def ends(jobs: Jobs, tmp_path: Path) -> dict[str, Callable[[], Handle]]:
    """A job for each way to end."""
    teardown = (note(tmp_path),)

    def stopped() -> Handle:
        handle = jobs.submit(*STAY, teardown=teardown)
        jobs.backend.cancel(handle, 5.0)
        return handle

    return {
        "succeeded 0": lambda: jobs.submit("true", teardown=teardown),
        "failed 3": lambda: jobs.submit("sh", "-c", "exit 3", teardown=teardown),
        "failed 137": lambda: jobs.submit("sh", "-c", "kill -9 $$", teardown=teardown),
        "cancelled 143": stopped,
        "timed_out 143": lambda: jobs.submit(*STAY, teardown=teardown, time_limit_s=0.2),
    }


@pytest.mark.parametrize("end", ["succeeded 0", "failed 3", "failed 137", "cancelled 143", "timed_out 143"])
def test_a_teardown_command_runs_once_however_the_job_ends(jobs: Jobs, tmp_path: Path, end: str) -> None:
    handle = ends(jobs, tmp_path)[end]()

    (found,) = finalised(jobs, handle)

    assert (found.state, found.tries) == (FinaliserState.DONE, 1)
    assert torn(tmp_path) == [end]


def test_nothing_is_torn_down_before_the_end(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.submit(*STAY, teardown=(note(tmp_path),))
    process_of(jobs, handle, "finaliser")

    assert [each.state for each in jobs.look(handle).finalisers] == [FinaliserState.WAITING]
    assert torn(tmp_path) == []


def test_nothing_is_torn_down_for_a_program_that_never_started(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.submit("/no/such/program", teardown=(note(tmp_path),))

    seen = jobs.ended(handle)

    assert (seen.outcome, seen.finalisers) == (Outcome.NEVER_STARTED, ())
    time_to_be_wrong = process_end(handle)
    assert time_to_be_wrong and torn(tmp_path) == []


def process_end(handle: Handle) -> bool:
    """Wait until the finaliser has gone."""
    folder = Path(str(handle.data["directory"])) / "job"
    record = until(lambda: shim.read(str(folder), "finaliser.json"))
    return until(lambda: not shim.is_alive(record["finaliser"]["pid"], record["finaliser"]["start"]))


def test_commands_run_in_their_order_and_one_that_fails_holds_none_up(jobs: Jobs, tmp_path: Path) -> None:
    first = ("sh", "-c", f"echo first >> {tmp_path}/torn; test -e {tmp_path}/mended")
    handle = jobs.submit("true", teardown=(first, note(tmp_path)))
    until(lambda: len(torn(tmp_path)) >= 2)
    assert torn(tmp_path)[:2] == ["first", "succeeded 0"]

    (tmp_path / "mended").touch()
    found = finalised(jobs, handle)

    assert [each.state for each in found] == [FinaliserState.DONE] * 2
    assert found[0].tries > 1
    assert torn(tmp_path).count("succeeded 0") == 1


def test_a_command_that_fails_says_so_while_it_is_tried_again(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.submit("true", teardown=(("sh", "-c", "exit 7"),))

    found = until(lambda: next((f for f in jobs.look(handle).finalisers if f.state is FinaliserState.FAILING), None))

    assert "exit code 7" in found.message


def test_a_command_gets_the_jobs_variables_and_folder_and_its_output_is_kept(jobs: Jobs, tmp_path: Path) -> None:
    shown = ("sh", "-c", 'echo "$CLUSTER $(pwd)"')
    handle = jobs.submit("true", name="run", teardown=(shown,), env={"CLUSTER": "c-17"})
    finalised(jobs, handle)

    assert (tmp_path / "run" / "job" / "teardown.log").read_text() == f"c-17 {tmp_path}\n"


def test_secrets_of_a_teardown_command_are_in_none_of_the_jobs_records(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.submit("true", name="run", teardown=(("true", "hunter2"),))
    finalised(jobs, handle)

    assert not any(b"hunter2" in each.read_bytes() for each in (tmp_path / "run").rglob("*") if each.is_file())


def test_a_stop_leaves_a_running_teardown_command_alone(jobs: Jobs, tmp_path: Path) -> None:
    slow = (
        "sh",
        "-c",
        f"touch {tmp_path}/begun; while ! test -e {tmp_path}/go; do sleep 0.05; done; echo x >> {tmp_path}/torn",
    )
    handle = jobs.submit("true", teardown=(slow,))
    until((tmp_path / "begun").exists)

    jobs.backend.cancel(handle, 0.0)
    jobs.backend.release(handle)
    (tmp_path / "go").touch()
    (found,) = finalised(jobs, handle)

    assert (found.state, found.tries) == (FinaliserState.DONE, 1)
    assert torn(tmp_path) == ["x"]


def test_what_a_job_left_behind_does_not_hold_its_teardown_up(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.submit("sh", "-c", "sleep 600 & exit 0", teardown=(note(tmp_path),))

    (found,) = finalised(jobs, handle)

    assert found.state is FinaliserState.DONE
    assert jobs.look(handle).survivors
    assert jobs.backend.release(handle) == ()


def test_without_its_supervisor_a_job_is_torn_down_when_its_program_ends(jobs: Jobs, tmp_path: Path) -> None:
    code = f"import os, time\nwhile not os.path.exists('{tmp_path}/go'): time.sleep(0.02)"
    handle = jobs.submit(*PYTHON, code, teardown=(note(tmp_path),))
    process_of(jobs, handle, "finaliser")
    kill(process_of(jobs, handle, "shim"))
    assert torn(tmp_path) == []

    (tmp_path / "go").touch()
    (found,) = finalised(jobs, handle)

    assert found.state is FinaliserState.DONE
    assert torn(tmp_path) == ["unknown"]


def test_a_finaliser_that_is_killed_is_replaced(jobs: Jobs, tmp_path: Path) -> None:
    code = f"import os, time\nwhile not os.path.exists('{tmp_path}/go'): time.sleep(0.02)"
    handle = jobs.submit(*PYTHON, code, teardown=(note(tmp_path),))
    first = process_of(jobs, handle, "finaliser")
    kill(first)
    second = process_of(jobs, handle, "finaliser")

    (tmp_path / "go").touch()
    (found,) = finalised(jobs, handle)

    assert second.pid != first.pid
    assert found.state is FinaliserState.DONE
    assert torn(tmp_path) == ["succeeded 0"]


def test_a_command_whose_finaliser_is_killed_is_not_run_again(jobs: Jobs, tmp_path: Path) -> None:
    slow = ("sh", "-c", f"echo x >> {tmp_path}/torn; while ! test -e {tmp_path}/go; do sleep 0.05; done")
    handle = jobs.submit("true", teardown=(slow,))
    until(lambda: torn(tmp_path))
    kill(process_of(jobs, handle, "finaliser"))

    (tmp_path / "go").touch()
    (found,) = finalised(jobs, handle)

    assert (found.state, found.tries) == (FinaliserState.DONE, 1)
    assert torn(tmp_path) == ["x"]


def test_with_supervisor_and_finaliser_gone_a_teardown_is_loudly_pending(jobs: Jobs, tmp_path: Path) -> None:
    handle = lost(jobs, (note(tmp_path),))

    (found,) = finalised(jobs, handle)

    assert found.state is FinaliserState.STUCK
    assert "not run" in found.message
    assert torn(tmp_path) == []


def lost(jobs: Jobs, teardown: tuple[tuple[str, ...], ...]) -> Handle:
    """A job of which everything was killed while it ran."""
    handle = jobs.submit(*STAY, teardown=teardown)
    doomed = [process_of(jobs, handle, who) for who in ("finaliser", "shim", "child")]
    for each in doomed:
        shim.strike(each, signal.SIGSTOP)
    for each in doomed:
        kill(each)
    assert jobs.ended(handle).outcome is Outcome.UNKNOWN
    return handle


def test_a_stuck_teardown_is_begun_again_when_a_person_asks(jobs: Jobs, tmp_path: Path) -> None:
    handle = lost(jobs, (note(tmp_path),))

    jobs.backend.finalise(handle, (note(tmp_path),), str(tmp_path), {})  # type: ignore[attr-defined]
    until(lambda: jobs.look(handle).finalisers[0].state is FinaliserState.DONE)
    jobs.backend.finalise(handle, (note(tmp_path),), str(tmp_path), {})  # type: ignore[attr-defined]

    assert torn(tmp_path) == ["unknown"]


def test_a_command_whose_end_nobody_saw_is_repeated_only_when_asked(jobs: Jobs, tmp_path: Path) -> None:
    slow = ("sh", "-c", f"echo x >> {tmp_path}/torn; test -e {tmp_path}/mended || exec sleep 600")
    handle = jobs.submit("true", teardown=(slow,))
    until(lambda: torn(tmp_path))
    folder = str(tmp_path / "job0" / "job")
    command = until(lambda: shim.read(folder, shim.final_name(0, 1, "start")))["child"]
    doomed = [process_of(jobs, handle, "finaliser"), process_of(jobs, handle, "shim"), shim.process(command["pid"])]
    for each in doomed:
        assert each is not None
        kill(each)

    (found,) = finalised(jobs, handle)
    assert (found.state, found.message) == (FinaliserState.STUCK, "it was begun, and nobody saw how it ended")

    (tmp_path / "mended").touch()
    jobs.backend.finalise(handle, (slow,), str(tmp_path), {})  # type: ignore[attr-defined]
    until(lambda: jobs.look(handle).finalisers[0].state is FinaliserState.DONE)
    assert torn(tmp_path) == ["x", "x"]


def test_a_teardown_is_not_begun_while_the_job_runs(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.submit(*STAY, teardown=(note(tmp_path),))

    with pytest.raises(ActionFailed, match="not ended"):
        jobs.backend.finalise(handle, (note(tmp_path),), str(tmp_path), {})  # type: ignore[attr-defined]


def test_whatever_is_killed_at_any_moment_a_command_succeeds_once_or_is_pending(jobs: Jobs, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    fates = {FinaliserState.DONE: 0, FinaliserState.STUCK: 0}
    for number in range(ROUNDS):
        place = tmp_path / f"torn{number}"
        place.mkdir()
        work = f"import time; time.sleep({rng.uniform(0, 0.05)})"
        handle = jobs.submit(*PYTHON, work, name=f"r{number}", teardown=(note(place, before="sleep 0.02; "),))
        kill_some(tmp_path / f"r{number}" / "job", rng)
        (found,) = finalised(jobs, handle)
        fates[found.state] += 1
        assert len(torn(place)) <= 1
        assert found.state is FinaliserState.STUCK or len(torn(place)) == 1
    print({state.value: count for state, count in fates.items()})
    assert fates[FinaliserState.DONE] > 0


def kill_some(folder: Path, rng: random.Random) -> None:
    """Kill the supervisor, the finaliser or both at some moment of a short life."""
    doomed = rng.choice([["shim"], ["finaliser"], ["finaliser", "shim"]])
    time.sleep(rng.uniform(0, 0.25))
    for who in doomed:
        record = shim.read(str(folder), "finaliser.json" if who == "finaliser" else "start.json")
        found = shim.process(record[who]["pid"]) if record else None
        if record and found and found.start == record[who]["start"]:
            shim.strike(found, signal.SIGKILL)


def test_a_supervisor_goes_when_all_is_done(jobs: Jobs, tmp_path: Path) -> None:
    handle = jobs.submit("true", teardown=(note(tmp_path),))
    finalised(jobs, handle)
    record = shim.read(str(tmp_path / "job0" / "job"), "start.json")

    assert record is not None
    until(lambda: not shim.is_alive(record["shim"]["pid"], record["shim"]["start"]))
    assert jobs.look(handle).state is State.ENDED
    assert os.path.exists(tmp_path / "job0" / "job" / "exit.json")


def test_a_finaliser_killed_between_two_tries_is_replaced_and_everybody_goes_in_the_end(
    jobs: Jobs, tmp_path: Path
) -> None:
    handle = jobs.submit("true", teardown=(("sh", "-c", f"test -e {tmp_path}/mended"),))
    until(lambda: jobs.look(handle).finalisers[0].state is FinaliserState.FAILING)
    record = shim.read(str(tmp_path / "job0" / "job"), "start.json")
    kill(process_of(jobs, handle, "finaliser"))
    process_of(jobs, handle, "finaliser")

    (tmp_path / "mended").touch()
    (found,) = finalised(jobs, handle)

    assert found.state is FinaliserState.DONE
    assert record is not None
    until(lambda: not shim.is_alive(record["shim"]["pid"], record["shim"]["start"]))
