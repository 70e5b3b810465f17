"""The SSH backend on real hosts: what a dropped link, a killed sshd and a reboot do to runs, and live metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.daemons import run
from engines.fleet import Fleet
from engines.looking import ended, glance, mended
from jobkit import PYTHON, Jobs, jobs_of, until
from mlconsole.plugin_api import ActionFailed, MlconsoleError, Outcome, State, UsageError
from mlconsole_ssh import SshBackend
from mlconsole_ssh.hosts import SshSettings
from program import Program

pytestmark = pytest.mark.engine("ssh")
SLEEP = "print('up', flush=True); import time; time.sleep(600)"
TRAIN = """
import time, mlconsole
mlconsole.start_run()
for step in range(2000):
    mlconsole.log({"loss": 1 / (step + 1)}, step=step)
    time.sleep(0.05)
"""


@pytest.fixture
def fleet(engine: Fleet) -> Iterator[Fleet]:
    with mended(engine):
        yield engine


@pytest.fixture
def jobs(fleet: Fleet, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(SshBackend(), tmp_path) as found:
        yield found


def test_a_cut_link_is_unreachable_and_never_dead(jobs: Jobs, fleet: Fleet) -> None:
    handle = jobs.python(SLEEP, options={"host": "h2"})
    jobs.said(handle, b"up")

    fleet.cut("h2")
    seen = until(lambda: None if (seen := glance(jobs, handle)).reachable else seen, 30)
    assert seen.state is not State.ENDED and "h2" in seen.reason

    fleet.mend("h2")
    seen = until(lambda: seen if (seen := glance(jobs, handle)).reachable else None, 60)
    assert seen.state is State.RUNNING


def test_a_host_that_is_away_does_not_hold_up_the_others(jobs: Jobs, fleet: Fleet) -> None:
    away = jobs.python(SLEEP, options={"host": "h2"})
    here = jobs.python("pass", options={"host": "h1"})
    fleet.cut("h2")
    until(lambda: not glance(jobs, away).reachable, 30)
    began = time.process_time()
    seen = jobs.backend.observe([away, here])
    assert [each.reachable for each in seen] == [False, True]
    assert time.process_time() - began < 1.0
    fleet.mend("h2")
    until(lambda: glance(jobs, away).reachable, 60)


def test_a_job_survives_the_death_of_its_sshd(jobs: Jobs, fleet: Fleet) -> None:
    handle = jobs.python("import time; time.sleep(2); print('done')", options={"host": "h2"})
    fleet.daemons.kill("h2")
    until(lambda: fleet.serve("h2") or True)
    assert ended(jobs, handle, 60).outcome is Outcome.SUCCEEDED


def test_another_boot_id_is_the_evidence_that_a_job_was_lost_with_its_machine(jobs: Jobs, fleet: Fleet) -> None:
    handle = jobs.python("import time; time.sleep(20)", options={"host": "h2"})
    fleet.reboot("h2")
    seen = ended(jobs, handle)
    assert (seen.outcome, "boot id was" in seen.evidence) == (Outcome.NODE_LOST, True)


def test_a_full_disk_on_the_far_side_is_told_and_ends_nothing_wrongly(fleet: Fleet, tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    there = (
        "nsenter",
        "-m",
        "-t",
        fleet.daemons.all["h1"].pid,
        "--",
    )  # Not h2: a kept connection may lead to an sshd before.
    run(*there, "mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", far)
    settings = replace(SshSettings.load(), root=str(far))
    try:
        with jobs_of(SshBackend(settings), tmp_path) as jobs:
            fill = f"open({str(far / 'fill')!r}, 'wb').write(bytes(1 << 20))"
            code = f"try:\n    {fill}\nexcept OSError:\n    pass\nraise SystemExit(3)"
            handle = jobs.python(code, options={"host": "h1"})
            until(lambda: "its program has ended" in glance(jobs, handle).reason)
            run(*there, "dd", "if=/dev/zero", f"of={far / 'more'}", "bs=1k", check=False)  # The last page, too.
            with pytest.raises(ActionFailed, match="cannot be written"):
                jobs.python("pass", options={"host": "h1"})
            run(*there, "rm", far / "fill", far / "more")
            assert (ended(jobs, handle).exit_code, ended(jobs, handle).outcome) == (3, Outcome.FAILED)
    finally:
        run(*there, "umount", "-l", far, check=False)


def test_an_unknown_host_or_option_is_a_usage_error(jobs: Jobs) -> None:
    with pytest.raises(UsageError, match='"h9"'):
        jobs.python("pass", options={"host": "h9"})
    with pytest.raises(UsageError, match='"partition"'):
        jobs.python("pass", options={"partition": "gpu"})


def test_a_submit_to_a_host_that_is_away_starts_nothing_later(jobs: Jobs, fleet: Fleet, tmp_path: Path) -> None:
    fleet.cut("h2")
    spec = jobs.spec(*PYTHON, f"open({str(tmp_path / 'ran')!r}, 'w')", name="late", options={"host": "h2"})
    with pytest.raises(MlconsoleError):
        jobs.backend.submit(spec, jobs.token("late"))
    fleet.mend("h2")
    until(lambda: "h2 (" in jobs.backend.probe().detail)
    assert jobs.backend.find(jobs.token("late"), spec.directory) is None
    assert not (tmp_path / "ran").exists()


def test_what_runs_is_listed_for_a_console_that_knows_nothing_of_it(jobs: Jobs) -> None:
    handle = jobs.python(SLEEP, options={"host": "h2"})
    assert handle in jobs.backend.reconcile()


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/bin/dash"])
def test_the_first_command_reads_alike_in_every_shell(shell: str, tmp_path: Path) -> None:
    import subprocess

    from mlconsole_ssh.channel import command_of

    command = command_of("python3", str(tmp_path / "a 'far' \"root\" $HOME"))
    done = subprocess.run([shell, "-c", command], input=b"", capture_output=True, check=False)
    assert done.stdout == b"\nmlconsole needs it\n"


def test_metrics_of_a_remote_run_arrive_while_it_runs(fleet: Fleet, cli: Program) -> None:
    cli = replace(cli, env={"MLCONSOLE_CONFIG": os.environ["MLCONSOLE_CONFIG"]})
    (cli.cwd / "train.py").write_text(TRAIN)
    run = cli.json("launch", "-b", "ssh", "-o", "host=h2", "--name", "far", "--", "python3", "train.py")["id"]

    def count() -> int:
        shown = cli.json("run", "show", run)
        return int(shown["metrics"].get("loss", {}).get("count", 0))

    first = until(count, 20)
    assert until(lambda: now if (now := count()) > first else 0, 20) > first
    shown = cli.json("run", "show", run)
    assert (shown["host"], shown["state"]) == ("h2", "running")
    assert cli("run", "stop", run, "--grace", "2s", "--yes").code == 0
    assert cli.json("run", "show", run)["outcome"] == "cancelled"
