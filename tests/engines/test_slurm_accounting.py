"""A Slurm cluster with accounts and a QoS that yields to another: what it is asked for, and what it remembers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engines.accounting import AccountedSlurm
from engines.daemons import NotHad, run
from engines.looking import ended, glance
from engines.plugin import Engines
from jobkit import Jobs, jobs_of, until
from mlconsole.plugin_api import ActionFailed, Handle, Outcome, Resources, State
from mlconsole_slurm import SlurmBackend
from mlconsole_slurm.settings import SlurmSettings
from program import Program

pytestmark = pytest.mark.engine("slurm")
SLEEP = "print('up', flush=True); import time; time.sleep(600)"
#: Counts up, keeps the count where the next attempt finds it, and is done at fifty.
RESUMES = """
import os, signal, time
path = os.environ["MLCONSOLE_CHECKPOINTS"] + "/count"
count = int(open(path).read()) if os.path.exists(path) else 0
print("from", count, flush=True)
def keep(signo, frame):
    with open(path, "w") as file:
        file.write(str(count))
    raise SystemExit(75)
signal.signal(signal.SIGTERM, keep)
while count < 50:
    count += 1
    time.sleep(0.02 if count > 10 and os.path.exists(path) else 0.2)
print("done at", count, flush=True)
"""


@pytest.fixture(scope="module")
def accounted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountedSlurm]:
    place = Engines.folder_of(request.config) / "accounted"
    place.mkdir(mode=0o755)
    before, cluster = os.environ.get("SLURM_CONF", ""), AccountedSlurm(place)
    try:
        cluster.up()
        yield cluster
    except NotHad as why:
        pytest.skip(f"Slurm with accounting: {why}")
    finally:
        cluster.down()
        os.environ["SLURM_CONF"] = before


@pytest.fixture
def cluster(accounted: AccountedSlurm) -> Iterator[AccountedSlurm]:
    yield accounted
    if not accounted.daemons.is_up("slurmdbd"):
        accounted.keep_account()
    until(accounted.calm, 60)


@pytest.fixture(params=["commands", "slurmrestd"])
def both(request: pytest.FixtureRequest, cluster: AccountedSlurm, tmp_path: Path) -> Iterator[Jobs]:
    rest = str(cluster.rest) if request.param == "slurmrestd" else ""
    with jobs_of(SlurmBackend(replace(SlurmSettings.load(), rest=rest)), tmp_path) as found:
        yield found


@pytest.fixture
def jobs(cluster: AccountedSlurm, tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(SlurmBackend(), tmp_path) as found:
        yield found


def number(handle: Handle) -> str:
    return str(handle.data["job"])


def told(handle: Handle) -> dict[str, str]:
    """What the controller has of a job."""
    words = run("scontrol", "--oneliner", "show", "job", number(handle)).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def test_account_qos_constraint_and_partition_are_asked_for_as_they_are_given(both: Jobs) -> None:
    options = {"account": "team", "qos": "low", "constraint": "number2", "partition": "short", "time": "2"}
    handle = both.python(SLEEP, options=options)
    both.said(handle, b"up")
    found = told(handle)
    wanted = {"Account": "team", "QOS": "low", "Features": "number2", "Partition": "short", "TimeLimit": "00:02:00"}
    assert {name: found[name] for name in wanted} == wanted
    assert glance(both, handle).host == "n2"


@pytest.mark.parametrize(
    ("option", "value"), [("account", "nobody"), ("qos", "none"), ("constraint", "huge"), ("partition", "nowhere")]
)
def test_what_the_cluster_does_not_have_is_refused_in_its_own_words(option: str, value: str, both: Jobs) -> None:
    with pytest.raises(ActionFailed, match=r"(?i)invalid"):
        both.python("pass", options={option: value})


def test_a_job_that_yields_without_a_requeue_was_preempted(jobs: Jobs) -> None:
    low = jobs.python(SLEEP, options={"qos": "low"}, resources=Resources(cpus=8))
    other = jobs.python(SLEEP, options={"qos": "low"}, resources=Resources(cpus=8))
    for handle in (low, other):
        jobs.said(handle, b"up")
    high = jobs.python("pass", options={"qos": "high"}, resources=Resources(cpus=8))
    assert ended(jobs, high).outcome is Outcome.SUCCEEDED
    seen = until(lambda: [each for each in (glance(jobs, low), glance(jobs, other)) if each.state is State.ENDED])
    assert [(each.outcome, "PREEMPTED" in each.reason) for each in seen] == [(Outcome.PREEMPTED, True)]


def test_a_run_that_yields_with_a_requeue_keeps_its_state_and_resumes_from_it(
    cluster: AccountedSlurm, cli: Program
) -> None:
    cli = replace(cli, env={name: os.environ[name] for name in ("MLCONSOLE_CONFIG", "SLURM_CONF")})
    (cli.cwd / "train.py").write_text(RESUMES)
    words = ("-b", "slurm", "-o", "qos=low", "-o", "constraint=number1", "--cpus", "8", "-o", "requeue=yes")
    low = cli.json("launch", *words, "--name", "low", "--", "python3", "train.py")["id"]
    until(lambda: "from 0" in cli("run", "logs", low).out, 60)
    high = cli.json(
        "launch", "-b", "slurm", "-o", "qos=high", "-o", "constraint=number1", "--cpus", "8", "--", "sleep", "1"
    )["id"]
    assert cli.ended(high, 60)["outcome"] == "succeeded"
    until(lambda: "requeued" in cli.json("run", "show", low)["reason"], 60)
    cluster.hastens(cluster.last_of("low"))
    assert cli.ended(low, 60)["outcome"] == "succeeded"
    said = cli("run", "logs", low).out.splitlines()
    assert said[0] == "from 0" and int(said[1].split()[1]) > 0 and said[-1] == "done at 50", said


def forgotten(cluster: AccountedSlurm, jobs: Jobs, code: str) -> Handle:
    """A job that has ended, whose own record is lost and which the controller has forgotten."""
    handle = jobs.python(code)
    ended(jobs, handle)
    until(lambda: cluster.has_account_of(number(handle)), 30)
    shutil.rmtree(Path(str(handle.data["base"])) / "try-0")
    cluster.forget()
    return handle


def test_what_the_controller_has_forgotten_its_accounting_tells(jobs: Jobs, cluster: AccountedSlurm) -> None:
    seen = glance(jobs, forgotten(cluster, jobs, "raise SystemExit(3)"))
    assert (seen.state, seen.outcome, seen.exit_code) == (State.ENDED, Outcome.FAILED, 3), seen
    assert seen.evidence == "sacct: FAILED"
    rest = SlurmBackend(replace(SlurmSettings.load(), rest=str(cluster.rest)))
    (seen,) = rest.observe(jobs.handles)
    assert (seen.outcome, seen.exit_code) == (Outcome.FAILED, None)


def test_accounting_that_is_away_is_unreachable_and_another_jobs_row_is_not_taken(
    jobs: Jobs, cluster: AccountedSlurm
) -> None:
    handle = forgotten(cluster, jobs, "pass")
    where = {name: f"{handle.data[name]}-other" for name in ("base", "directory")}
    other = Handle("slurm", jobs.token("other"), {**handle.data, **where})
    seen = glance(jobs, other)
    assert (seen.reachable, "left no exit record" in seen.reason) == (False, True)
    cluster.daemons.kill("slurmdbd")
    seen = glance(jobs, handle)
    assert (seen.reachable, "sacct" in seen.reason) == (False, True), seen
    cluster.keep_account()
    assert until(lambda: seen if (seen := glance(jobs, handle)).reachable else None).outcome is Outcome.SUCCEEDED
