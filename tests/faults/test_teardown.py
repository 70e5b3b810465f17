"""``mlconsole teardown``: done when nothing is seen any more, whatever is killed on the way (F-33, F-34, F-35)."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fakes.nvml.driver import FakeDriver, library, uuid
from mlconsole.actions import launch
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.sync import refresh
from mlconsole.actions.teardown import TEARDOWN, TeardownParams
from mlconsole.catalog.watch_lease import take
from mlconsole.config import Settings
from mlconsole.domain.evidence import Holder
from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.idle import IdleClass, Step
from mlconsole.domain.uptime import Uptime
from mlconsole.domain.watching import Watcher
from mlconsole.errors import ActionFailed
from mlconsole.plugin_api import BackendUnreachable, Handle, JobSpec, Observation
from mlconsole.policy.idling import Idling
from mlconsole.records import replace
from mlconsole_local import LocalBackend, shim
from program import Program, wait_until

HOST = os.uname().nodename
ROUNDS = 8
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        break
print("ready", flush=True)
time.sleep(600)
"""


def gone(program: Program) -> bool:
    """Whether no process of this catalog's runs lives."""
    mark = f"MLCONSOLE_HOME={program.home}".encode()
    for process in shim.processes():
        try:
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                return False
        except OSError:
            continue
    return True


def audit_of(program: Program) -> list[tuple[str, str]]:
    """(phase, result) of every audit row about teardowns, the oldest first."""
    rows = program.json("audit", "list", "--limit", "1000")["items"]
    return [(row["phase"], row["result"]) for row in reversed(rows) if row["action"] == "teardown"]


@pytest.fixture
def rich(cli: Program) -> Program:
    """A machine without GPUs at $36 an hour."""
    settings = cli.cwd / "settings.toml"
    settings.write_text("[machine]\nusd_per_h = 36\ngpus = 0\n")
    return Program(cli.home, cli.cwd, {"MLCONSOLE_CONFIG": str(settings)})


@pytest.fixture
def lab(rich: Program, tmp_path: Path) -> tuple[Program, FakeDriver]:
    """A machine with two GPUs at $36 an hour."""
    pytest.importorskip("pynvml", reason="the NVIDIA binding is not installed")
    state = tmp_path / "state"
    state.mkdir()
    driver = FakeDriver(library(tmp_path / "nvml"), state, 2)
    settings = rich.cwd / "settings.toml"
    settings.write_text("[machine]\nusd_per_h = 36\n")
    return Program(rich.home, rich.cwd, {**rich.env, **driver.environment}), driver


def test_the_plan_says_what_dies_what_is_lost_what_goes_on_billing_and_what_is_saved(rich: Program) -> None:
    run = rich.launch("sleep", "600")
    rich.json("cost", "show")

    plan = rich.json("teardown", run, "--dry-run")

    said = " ".join(step["text"] for step in plan["steps"])
    assert f'end "job" ({run})' in said
    assert "saved: $36.00/h" in said and "itself goes on billing $36.00/h" in said
    assert plan["effect"] == "destroy"
    assert plan["irreversible"] == ['What "job" has not saved is lost: no checkpoint and no artifact of it is known.']
    assert rich.json("run", "show", run)["state"] == "running"


def test_the_plan_says_when_a_run_last_saved_its_state(rich: Program) -> None:
    run = rich.launch("sh", "-c", 'touch -d "2020-01-01 12:00Z" "$MLCONSOLE_CHECKPOINTS/last.pt"; exec sleep 600')
    wait_until(lambda: any((rich.home / "runs" / run / "checkpoints").iterdir()), "the checkpoint")

    plan = rich.json("teardown", run, "--dry-run")

    assert plan["irreversible"] == ['What "job" has not saved is lost; it last saved something 2020-01-01.']


def test_without_confirmation_nothing_is_torn_down(rich: Program) -> None:
    run = rich.launch("sleep", "600")

    assert rich("teardown", run).code == 3
    assert rich.json("run", "show", run)["state"] == "running"


def test_a_teardown_ends_every_process_and_says_what_was_given_back(rich: Program) -> None:
    run = rich.launch(sys.executable, "-c", STUBBORN)
    wait_until(lambda: "ready" in rich("run", "logs", run).out, "the program to hide its children")
    rich.json("cost", "show")

    done = rich.json("teardown", run, "--grace", "0.2s", "--yes")

    assert done["items"] == [{"run": run, "name": "job", "gone": True, "saved_usd_per_h": 36.0}]
    assert gone(rich)
    assert rich.json("run", "show", run)["outcome"] == "cancelled"
    assert any("seen gone, $36.00/h" in result for _, result in audit_of(rich))


def test_tearing_down_what_is_gone_already_is_done(rich: Program) -> None:
    run = rich.launch("true")
    rich.ended(run)

    assert rich.json("teardown", run, "--yes")["items"][0]["gone"] is True


def test_what_an_ended_run_left_behind_is_named_by_every_look_and_torn_down(rich: Program) -> None:
    run = rich.launch("sh", "-c", "sleep 600 & exit 3")
    rich.ended(run)

    loud = rich("run", "list").err
    done = rich("teardown", run, "--yes")

    assert "sleep" in loud and f"mlconsole teardown {run}" in loud
    assert done.code == 0
    assert rich("run", "list").err == ""
    assert rich.json("run", "show", run)["cleanup"] == ""
    wait_until(lambda: gone(rich), "everything to be gone")


def test_what_a_teardown_saves_is_never_more_than_what_is_held(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab
    program.json("launch", "--gpus", "1", "--name", "held", "--", "sleep", "600")
    program.json("launch", "--gpus", "2", "--name", "waits", "--", "sleep", "600")

    plan = program.json("teardown", HOST, "--dry-run")

    said = " ".join(step["text"] for step in plan["steps"])
    assert 'take "waits"' in said and "out of the line" in said
    assert "saved: $18.00/h" in said and len(plan["irreversible"]) == 1


def test_runs_that_share_a_machine_without_gpus_save_their_part_of_it_each(rich: Program) -> None:
    for name in ("one", "two"):
        rich.launch("sleep", "600", name=name)
    rich.json("cost", "show")

    assert "saved: $18.00/h" in str(rich.json("teardown", "one", "--dry-run")["steps"])
    assert "saved: $36.00/h" in str(rich.json("teardown", HOST, "--dry-run")["steps"])


def test_a_host_is_torn_down_whole(rich: Program) -> None:
    runs = {rich.launch("sleep", "600", name=f"job{i}") for i in range(3)}

    done = rich.json("teardown", HOST, "--grace", "0", "--yes")

    assert {item["run"] for item in done["items"]} == runs
    assert gone(rich)


@pytest.mark.parametrize(("words", "code", "said"), [
    (("nothing-of-that-name",), 4, "nothing-of-that-name"),
    (("gpu:7",), 4, "gpu:7"),
    ((), 2, "teardown RUN|GPU|HOST"),
    ((HOST,), 1, "Nothing of this catalog"),
])  # fmt: skip
def test_what_is_not_there_is_one_clear_line(cli: Program, words: tuple[str, ...], code: int, said: str) -> None:
    done = cli("teardown", *words, "--yes")

    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_gpu_is_torn_down_through_the_run_that_leases_it(lab: tuple[Program, FakeDriver]) -> None:
    program, _ = lab
    run = program.json("launch", "--gpus", "1", "--", "sleep", "600")["id"]
    program.json("cost", "show")

    done = program.json("teardown", "gpu:0", "--grace", "0", "--yes")

    assert done["items"] == [{"run": run, "name": program.json("run", "show", run)["name"], "gone": True,
                              "saved_usd_per_h": 18.0}]  # fmt: skip
    assert program.json("launch", "--gpus", "2", "--", "true")["gpus"] == 2


def test_a_strangers_process_on_a_gpu_is_never_ended(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    driver.write(f"process 0 C {os.getpid()} 4000 50 -1")

    done = program("teardown", uuid(0), "--yes")

    assert done.code == 1
    assert f"process {os.getpid()}" in done.err


def test_a_gpu_that_has_not_told_its_uuid_stands_for_no_run(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    program.json("launch", "--name", "beside", "--", "sleep", "600")
    driver.write("fail nvmlDeviceGetHandleByIndex_v2 0 4")

    refused = program("teardown", "gpu:0", "--grace", "0", "--yes")
    kept = program("gpu", "keep", "gpu:0", "1h", "--why", "repair")

    assert refused.code == kept.code == 1
    assert "Who holds GPU 0 cannot be said: permission refused." in refused.err
    assert program.json("run", "show", "beside")["state"] == "running"


def test_a_run_whose_gpu_cannot_be_found_is_not_taken_for_gone(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    run = program.json("launch", "--gpus", "1", "--", "sleep", "600")["id"]
    driver.write("fail nvmlDeviceGetHandleByIndex_v2 0 4")

    done = program("teardown", run, "--grace", "0", "--yes")

    assert done.code == 1
    assert "who holds GPU 0 cannot be read" in done.err


def test_while_the_gpus_of_a_run_cannot_be_read_it_is_not_taken_for_gone(lab: tuple[Program, FakeDriver]) -> None:
    program, driver = lab
    run = program.json("launch", "--gpus", "1", "--", "sleep", "600")["id"]
    driver.write("fail nvmlDeviceGetComputeRunningProcesses_v3 -1 4")

    first = program("teardown", run, "--grace", "0", "--yes")
    loud = program("run", "list").err
    driver.only()
    program("run", "list")

    assert first.code == 1 and "cannot be read" in first.err
    assert "is pending since" in loud
    assert program("run", "list").err == ""
    assert any("seen gone" in result for _, result in audit_of(program))


def test_memory_that_somebody_unseen_holds_of_a_leased_gpu_keeps_the_teardown_pending(
    lab: tuple[Program, FakeDriver],
) -> None:
    program, driver = lab
    run = program.json("launch", "--gpus", "1", "--", "sleep", "600")["id"]
    driver.write(f"process 0 C {(1 << 22) + 9} 4000 50 -1")

    done = program("--json", "teardown", run, "--grace", "0", "--yes")

    assert done.code == 1
    assert "holds 3.9 GiB of GPU 0, and cannot be seen" in done.error["message"]


def test_a_teardown_killed_at_any_moment_is_finished_by_the_next_look(rich: Program) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    begun = 0
    for _ in range(ROUNDS):
        run = rich.launch("sleep", "600")
        process = rich.start("teardown", run, "--grace", "0", "--yes")
        time.sleep(rng.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()

        def settled(run: str = run) -> bool:
            found = rich.json("run", "show", run)
            asked = any("asked for a teardown" in change["evidence"] for change in found["timeline"])
            return found["state"] == "ended" if asked else found["state"] == "running"

        wait_until(settled, "the teardown's end")
        if rich.json("run", "show", run)["state"] == "running":
            rich("run", "stop", run, "--grace", "0", "--yes")
        else:
            begun += 1
    assert rich("run", "list").err == ""
    assert len([result for _, result in audit_of(rich) if result.startswith("seen gone")]) == begun
    wait_until(lambda: gone(rich), "everything to be gone")


class Late(LocalBackend):
    """Accepts a job and loses the reply."""

    def submit(self, spec: JobSpec, token: str) -> Handle:
        super().submit(spec, token)
        raise BackendUnreachable("The reply was lost.")


class Deaf(LocalBackend):
    """Takes no job, and does not say so."""

    def submit(self, spec: JobSpec, token: str) -> Handle:
        raise BackendUnreachable("No reply.")


class Cut(LocalBackend):
    """Is out of reach while it is told to be."""

    is_cut = False

    def observe(self, handles: Sequence[Handle]) -> list[Observation]:
        self._check()
        return super().observe(handles)

    def cancel(self, handle: Handle, grace_s: float) -> Observation:
        self._check()
        return super().cancel(handle, grace_s)

    def _check(self) -> None:
        if self.is_cut:
            raise BackendUnreachable("The link is down.")


class Session:
    """A session on a backend that fails in its own way, with a clock that can be set."""

    def __init__(self, home: Path, backend: LocalBackend) -> None:
        self.now, self.said = datetime.now(UTC), []  # type: datetime, list[str]
        settings = Settings(home, "root", HOST)
        nothing = GpuSnapshot(HOST, DriverState.NO_DRIVER)
        self.ctx = Context(
            settings, lambda: self.now, lambda name: backend, self.said.append, gpus=lambda host: nothing
        )

    def launch(self) -> str:
        try:
            execute(self.ctx, launch.LAUNCH, launch.LaunchParams(command=("sleep", "600")))
        except BackendUnreachable:
            pass
        return str(self.ctx.catalog.runs.load([1])[0].id)

    def teardown(self, run: str) -> Any:
        return execute(self.ctx, TEARDOWN, TeardownParams((run,), "0"), confirmed=True)

    def state(self) -> tuple[str, str]:
        run = self.ctx.catalog.runs.load([1])[0]
        return run.state.value, run.outcome.value if run.outcome else ""


@pytest.fixture
def session(home: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    made = Session(home, request.param())
    yield made
    made.ctx.close()


@pytest.mark.parametrize("session", [Late], indirect=True)
def test_a_job_whose_acceptance_was_never_told_is_torn_down_by_its_token(session: Session) -> None:
    run = session.launch()

    session.teardown(run)

    assert session.state() == ("ended", "cancelled")


@pytest.mark.parametrize("session", [Deaf], indirect=True)
def test_a_teardown_during_a_launch_that_never_arrives_is_pending_until_that_is_certain(session: Session) -> None:
    run = session.launch()

    with pytest.raises(ActionFailed, match="Not seen gone yet"):
        session.teardown(run)
    assert session.state() == ("stopping", "")
    session.now += timedelta(seconds=90)
    refresh(session.ctx)
    refresh(session.ctx)

    assert session.state() == ("ended", "never_started")
    assert session.ctx.catalog.teardowns.pending() == []


@pytest.mark.parametrize("session", [Cut], indirect=True)
def test_out_of_reach_is_not_gone_and_what_comes_back_into_reach_is_torn_down(session: Session) -> None:
    run = session.launch()
    backend = session.ctx.backend("local")
    assert isinstance(backend, Cut)
    backend.is_cut = True

    with pytest.raises(ActionFailed, match="The link is down"):
        session.teardown(run)
    refresh(session.ctx)
    assert session.state() == ("stopping", "")
    assert any("is pending since" in text for text in session.said)

    backend.is_cut = False
    session.now += timedelta(hours=1)
    refresh(session.ctx)
    assert session.state() == ("ended", "cancelled")
    assert session.ctx.catalog.teardowns.pending() == []


@pytest.mark.parametrize("session", [LocalBackend], indirect=True)
def test_what_an_acting_idle_rule_ended_is_told_with_the_rule_and_the_evidence_and_not_with_the_watchers_user(
    session: Session,
) -> None:
    run, catalog = session.launch(), session.ctx.catalog
    settings = replace(session.ctx.settings, idle="acting")
    reading = GpuReading(HOST, 3, "GPU-3", "H100", session.now)
    why = "4 GB are held, no SM activity for 31 minutes"
    row = GpuRow(reading, None, run, "vision", "ada", Holder.RUN, IdleClass.HELD, why, Step.TEARDOWN, 12_290_000)
    me = Watcher("watch", "root", HOST, "boot", 1, 1, "")
    fence = catalog.write(lambda db: take(db, me, lambda lease: True, session.now, Uptime("boot", 0)))
    assert fence is not None
    ctx = Context(settings, session.ctx.clock, session.ctx.backend, gpus=session.ctx.gpus, session=session.ctx)

    Idling(ctx, fence).take(GpuReport(GpuSnapshot(HOST, DriverState.OK), [row]))

    assert session.state() == ("ended", "cancelled")
    told = f"GPU 3 is HELD, $12.29/h: {why}"
    rows = [each for each in catalog.audit.newest() if each.action == "teardown"]
    assert {each.actor for each in rows} == {"idle policy"}
    assert all(each.params.get("why") == told for each in rows if "asked_by" not in each.params)
    assert [each.params["asked_by"] for each in rows if "asked_by" in each.params] == ["idle policy"]
    evidence = [change.evidence for change in catalog.runs.details(run).timeline]
    assert f"idle policy asked for a teardown: {told}" in evidence


def test_a_launchers_teardown_command_outlives_the_launcher(rich: Program, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    command = f"sh -c 'echo $MLCONSOLE_RUN_OUTCOME >> {torn}'"
    run = rich.json("launch", "--teardown", command, "--", "sh", "-c", "exit 4")["id"]
    wait_until(lambda: rich.json("run", "show", run)["teardown"][0]["state"] == "done", "the teardown command")

    assert torn.read_text() == "failed\n"
    assert rich("run", "list").err == ""


def test_a_teardown_runs_the_runs_own_commands_before_it_is_done(rich: Program, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    run = rich.json("launch", "--teardown", f"sh -c 'sleep 0.5; echo x >> {torn}'", "--", "sleep", "600")["id"]

    assert rich("teardown", run, "--grace", "0", "--yes").code == 0
    assert torn.read_text() == "x\n"


def test_a_teardown_command_that_fails_is_said_by_every_look(rich: Program) -> None:
    run = rich.json("launch", "--teardown", "sh -c 'exit 9'", "--", "true")["id"]
    rich.ended(run)

    wait_until(lambda: "exit code 9" in rich("run", "list").err, "the failing teardown command to be said")
    assert rich.json("run", "show", run)["teardown"][0]["state"] == "failing"


def test_a_stuck_teardown_command_is_run_by_a_teardown(rich: Program, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    run = rich.json("launch", "--teardown", f"sh -c 'echo x >> {torn}'", "--", "sleep", "600")["id"]
    folder = rich.home / "runs" / run / "job"
    wait_until((folder / "finaliser.json").exists, "the finaliser")
    doomed = [shim.read(str(folder), name)[who]["pid"] for name, who in  # type: ignore[index]
              (("finaliser.json", "finaliser"), ("start.json", "shim"), ("start.json", "child"))]  # fmt: skip
    for signo in (signal.SIGSTOP, signal.SIGKILL):
        for pid in doomed:
            os.kill(pid, signo)
    rich.ended(run)
    assert "nobody" in rich("run", "list").err or "gone" in rich("run", "list").err

    done = rich("teardown", run, "--yes")

    assert (done.code, torn.read_text()) == (0, "x\n")


def test_a_secret_in_a_teardown_command_is_in_no_byte_of_the_catalog(rich: Program) -> None:
    secret = "hunter2hunter2hunter2"
    run = rich.json("launch", "--teardown", f"true --api-key {secret}", "--", "true")["id"]
    wait_until(lambda: rich.json("run", "show", run)["teardown"][0]["state"] == "done", "the teardown command")

    assert not any(secret.encode() in path.read_bytes() for path in rich.home.rglob("*") if path.is_file())


@pytest.mark.parametrize("command", ["", "  ", "sh -c 'unclosed"])
def test_a_teardown_command_that_is_none_is_a_usage_error(rich: Program, command: str) -> None:
    done = rich("launch", "--teardown", command, "--", "true")

    assert done.code == 2
    assert not rich.home.exists() or rich.json("run", "list")["items"] == []


def test_a_run_that_something_is_left_of_cannot_be_deleted(rich: Program) -> None:
    run = rich.launch("sh", "-c", "sleep 600 & exit 0")
    rich.ended(run)

    refused = rich("run", "delete", run, "--yes")
    rich("teardown", run, "--yes")

    assert refused.code == 1 and f"mlconsole teardown {run}" in refused.err
    assert rich("run", "delete", run, "--yes").code == 0
