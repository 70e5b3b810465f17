"""Consoles that are killed, two at once, and a cancel that comes while the submit is under way."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading

from mlconsole.config import launch_environment
from mlconsole.conformance.kit import PYTHON, Broken, Jobs, NotHere, holds, same, until
from mlconsole.conformance.tokens import COUNT
from mlconsole.plugin_api import Ability, BackendUnreachable, JobSpec, MlconsoleError, State

KILLS = 8
MOST_STEPS = 60
#: A console of its own that submits one job, and is killed at the step of that number; 0: at none.
CONSOLE = """
import json, os, signal, sys
from mlconsole import backends
from mlconsole.plugin_api import JobSpec
name, step, token, document = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
backend = backends.one(name)
backend.probe()
spec = JobSpec(**{**document, "argv": tuple(document["argv"])})
left = step
WATCHED = {"open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.posix_spawn", "subprocess.Popen",
           "socket.connect", "os.fork"}
def watch(event, arguments):
    global left
    if event in WATCHED and not str(arguments[:1]).endswith((".py',)", ".pyc',)", ".so',)")):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
handle = backend.submit(spec, token)
print(json.dumps([handle.token, dict(handle.data)]))
"""


def console(jobs: Jobs, spec: JobSpec, token: str, step: int = 0) -> subprocess.Popen[bytes]:
    """Another console that submits a job, and is killed at a step of it."""
    given = {"run_id": spec.run_id, "name": spec.name, "argv": list(spec.argv), "cwd": spec.cwd}
    document = json.dumps({**given, "directory": spec.directory})
    paths = os.pathsep.join(each for each in sys.path if each)
    return subprocess.Popen(
        [sys.executable, "-c", CONSOLE, jobs.backend.name, str(step), token, document],
        env={**launch_environment(), "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def needs_to_outlive(jobs: Jobs) -> None:
    """Leave out what is about other processes where the jobs belong to this one."""
    if Ability.OUTLIVES not in jobs.backend.probe().abilities:
        raise NotHere("its jobs belong to the process that submitted them")


def keeps_one_job_when_the_console_is_killed(jobs: Jobs) -> None:
    """A console killed at any step of a submit leaves one job or none, and the token says which."""
    needs_to_outlive(jobs)
    seed = random.randrange(1 << 30)
    steps = random.Random(seed).sample(range(1, MOST_STEPS), KILLS)
    for step in steps:
        starts = jobs.folder / f"starts{step}"
        spec, token = jobs.spec(*PYTHON, COUNT, str(starts), name=f"killed{step}"), jobs.token(f"killed{step}")
        console(jobs, spec, token, step).communicate(timeout=120)
        handle = jobs.find(token, spec.directory)
        if handle is None:
            spec = jobs.spec(*PYTHON, COUNT, str(starts), name=f"again{step}")
            handle = jobs.handed_over(spec, jobs.token(f"again{step}"))
        jobs.handles.append(handle)
        try:
            jobs.ended(handle)
        except Broken as why:
            raise Broken(f"find gave a job that never comes to its end, after a kill at step {step}: {why}") from None
        same(starts.read_text(), "started\n", f"how often it was started (seed {seed}, step {step})")


def keeps_one_job_of_two_consoles(jobs: Jobs) -> None:
    """Of two consoles that submit under one token at once, both have the same job, started once."""
    needs_to_outlive(jobs)
    starts = jobs.folder / "starts"
    spec, token = jobs.spec(*PYTHON, COUNT, str(starts), name="both"), jobs.token("both")
    both = [console(jobs, spec, token) for _ in range(2)]
    said = [each.communicate(timeout=120) for each in both]
    handle = jobs.find(token, spec.directory)
    holds(handle is not None, f"neither submitted it: {[error.decode(errors='replace')[-300:] for _, error in said]}")
    assert handle is not None
    jobs.handles.append(handle)
    jobs.ended(handle)
    same(starts.read_text(), "started\n", "how often it was started")
    told = [json.loads(out) for out, _ in said if out]
    same(told, [[token, dict(handle.data)]] * len(told), "what each console was told")


def keeps_cancels_during_a_submit(jobs: Jobs) -> None:
    """A cancel while the submit is under way leaves nothing running."""
    spec, token = jobs.spec("sleep", "60", name="early"), jobs.token("early")
    submitted: list[object] = []

    def submit() -> None:
        try:
            submitted.append(jobs.backend.submit(spec, token))
        except MlconsoleError as error:
            submitted.append(error)

    thread = threading.Thread(target=submit, daemon=True)
    thread.start()

    def cancelled() -> bool:
        try:
            handle = jobs.backend.find(token, spec.directory)
        except BackendUnreachable:
            return False
        if handle is None:
            return False
        jobs.handles.append(handle)
        return jobs.backend.cancel(handle, 2.0).state is State.ENDED

    until(lambda: cancelled() or isinstance((submitted or [None])[0], MlconsoleError))
    thread.join(30)
    if jobs.handles:
        same(jobs.ended(jobs.handles[-1]).state, State.ENDED, "state")


def keeps_alive_what_it_cannot_see(jobs: Jobs) -> None:
    """A running job whose folder cannot be seen is not said to have ended."""
    handle = jobs.python("print('up', flush=True); import time; time.sleep(60)", name="unseen")
    jobs.said(handle, b"up")
    folder, away = jobs.folder / "unseen", jobs.folder / "away"
    if not folder.exists():
        raise NotHere("it keeps nothing in the folder of a run")
    folder.rename(away)
    try:
        (seen,) = jobs.backend.observe([handle])
    except BackendUnreachable:
        return
    finally:
        if folder.exists():
            folder.rename(jobs.folder / "made-anew")
        away.rename(folder)
    holds(not (seen.reachable and seen.state is State.ENDED), f"it was said to have ended: {seen.reason}")
