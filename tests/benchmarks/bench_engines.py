"""Measures remote backends on real engines, as root: ``python tests/benchmarks/bench_engines.py [look|shown|watched]``.

With words only that, of SSH. Brings up SSH hosts in network namespaces and a Slurm cluster, as the tests do, and prints
a table: what one look at 1,000 runs costs the console's machine, the commands it runs included, how long metric points
of a run on another host wait until a screen shows them, and what an open console costs beside 200 running runs.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engines.daemons import NotHad, below, run
from engines.fleet import Fleet
from engines.slurm import Slurm
from jobkit import Jobs, jobs_of, until
from mlconsole.actions import launch
from mlconsole.actions.context import Context
from mlconsole.config import load
from mlconsole.plugin_api import Backend, Handle, State
from mlconsole_slurm import SlurmBackend
from mlconsole_slurm.settings import SlurmSettings
from mlconsole_ssh import SshBackend
from mlconsole_ssh.hosts import SshSettings, sockets
from ptyterm import PtyTerm
from tui.robot import Robot

RUNS, REAL, TIMES, SHOWN_S = 1000, 8, 15, 30.0
WATCHED, LOGGING, WARM_S, WATCHED_S = 200, 20, 10.0, 30.0
LAST = r"logged_at\s+([\d.]+)"
SLEEP = "print('up', flush=True); import time; time.sleep(900)"
SLOW = """
import time, mlconsole
mlconsole.start_run()
for step in range(10000):
    mlconsole.log({"loss": 1 / (step + 1)}, step=step)
    time.sleep(1.0)
"""
#: The metric is the time at which it was logged, in seconds since the benchmark began.
TRAIN = """
import sys, time, mlconsole
with mlconsole.start_run():
    for step in range(10000):
        mlconsole.log({"logged_at": time.time() - float(sys.argv[1])}, step=step)
        time.sleep(0.05)
"""


def cpu_ms(work: Callable[[], object]) -> list[float]:
    """Processor time of this process and of the children that it has waited for, in ms, of each of some times."""
    found = []
    for _ in range(TIMES):
        before = used_s()
        work()
        found.append(1000 * (used_s() - before))
    return found


def used_s() -> float:
    both = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def line(what: str, figures: list[float], unit: str) -> None:
    print(f"{what:68} median {statistics.median(figures):6.1f}   worst {max(figures):6.1f} {unit}", flush=True)


def many(jobs: Jobs, folder_of: Callable[[Handle], Path], handle_of: Callable[[str, Path], Handle]) -> list[Handle]:
    """Handles of so many running jobs: a few real ones, the others with copies of their records."""
    real = [jobs.python(SLEEP) for _ in range(REAL)]
    for handle in real:
        until(lambda handle=handle: b"up" in jobs.output(handle), 60)  # type: ignore[misc]
    found = list(real)
    for number in range(RUNS - REAL):
        token, source = f"{jobs.prefix}-copy{number}", real[number % REAL]
        target = folder_of(source).with_name(token)
        shutil.copytree(folder_of(source), target)
        for path in target.rglob("*.json"):
            path.write_text(path.read_text().replace(source.token, token))
        found.append(handle_of(token, target))
    return found


def ssh(place: Path, fleet: Fleet) -> None:
    settings = SshSettings(hosts=("h1",), default="h1", config=str(fleet.config), root=str(place / "far"))
    backend = SshBackend(settings)
    with jobs_of(backend, place) as jobs:
        folder, home = place / "far" / "jobs", {"directory": str(place), "host": "h1", "run_id": "", "home": ""}
        handles = many(jobs, lambda handle: folder / handle.token, lambda token, _: Handle("ssh", token, home))
        look(backend, handles, "ssh")


def slurm(place: Path, engine: Slurm) -> None:
    with jobs_of(SlurmBackend(SlurmSettings(python=sys.executable)), place / "work") as jobs:
        jobs.folder.mkdir()
        handles = [jobs.python(SLEEP) for _ in range(REAL)]
        for handle in handles:
            until(lambda handle=handle: jobs.look(handle).state is State.RUNNING, 60)  # type: ignore[misc]
        for number in range(RUNS - REAL):
            token = f"{jobs.prefix}-held{number}"
            job = run("sbatch", "--parsable", "--hold", f"--comment={token}", "--wrap=true").strip()
            base = str(place / "held" / token)
            handles.append(Handle("slurm", token, {"directory": base, "base": base, "again": "", "job": job}))
        for rest in ("", str(engine.rest)):
            backend = SlurmBackend(SlurmSettings(python=sys.executable, rest=rest))
            look(backend, handles, "slurm by slurmrestd" if rest else "slurm by squeue")


def look(backend: Backend, handles: list[Handle], name: str) -> None:
    seen = backend.observe(handles)
    counts = Counter(each.state.value for each in seen)
    assert set(counts) <= {"running", "queued"} and all(each.reachable for each in seen), counts
    what = ", ".join(f"{count} {word}" for word, count in counts.items())
    line(f"{name}: one look at {what}", cpu_ms(lambda: backend.observe(handles)), "CPU-ms")


async def shown(place: Path, fleet: Fleet) -> None:
    """How long points of a run on another host wait until a console's screen shows them."""
    from mlconsole.tui.console import Console

    began = int(time.time())
    home, config = place / "catalog", place / "config.toml"
    config.write_text(f'[backends.ssh]\nhosts = ["h1"]\nconfig = "{fleet.config}"\nroot = "{place}/far"\n')
    os.environ.update(MLCONSOLE_HOME=str(home), MLCONSOLE_CONFIG=str(config))
    (place / "train.py").write_text(TRAIN)
    command = [sys.executable, "-m", "mlconsole"]
    launch = ["launch", "-b", "ssh", "--name", "far", "--", "python3", "train.py", str(began)]
    subprocess.run([*command, *launch], cwd=place, check=True, stdout=subprocess.DEVNULL)
    ages: list[float] = []
    async with Console(Context(load())).run_test(size=(120, 40)) as pilot:
        user = Robot(pilot)
        await user.sees("far", "running")
        await user.presses("enter")
        await user.sees("logged_at")
        last, ends_at = "", time.monotonic() + SHOWN_S
        while time.monotonic() < ends_at:
            found = re.search(LAST, user.text)
            if found and found[1] != last:
                # What was logged right after the last picture's newest point has waited longest.
                ages.append(time.time() - began - float(last or found[1]))
                last = found[1]
            await asyncio.sleep(0.02)
    subprocess.run([*command, "run", "stop", "far", "--yes"], check=True, stdout=subprocess.DEVNULL)
    line("ssh: a point is on the screen at most so long after it was logged", ages[1:], "s")


def watched(place: Path, fleet: Fleet, logging: int) -> None:
    """The processor time of an open console, its ``ssh`` included, beside so many running runs on another host.

    Args:
        place: a folder of its own.
        fleet: the hosts.
        logging: so many of the runs log a metric each second.
    """
    home, config = place / "catalog", place / "config.toml"
    place.mkdir(exist_ok=True)
    config.write_text(f'[backends.ssh]\nhosts = ["h1"]\nconfig = "{fleet.config}"\nroot = "{place.parent}/far"\n')
    (place / "train.py").write_text(SLOW)
    env = {"MLCONSOLE_HOME": str(home), "MLCONSOLE_CONFIG": str(config)}
    os.environ.update(env)
    ctx = Context(load())
    for number in range(WATCHED):
        logs = number < logging
        command = (sys.executable, str(place / "train.py")) if logs else ("sleep", "3600")
        launch.run(ctx, launch.LaunchParams(command=command, backend="ssh", cwd=str(place)))
    with PtyTerm([sys.executable, "-m", "mlconsole"], 120, 40, env, place) as term:
        term.wait_for(f"{WATCHED} running")
        pump(term, WARM_S)
        found = [term.pid, master(fleet)]
        used, began = cpu_s(found), time.monotonic()
        pump(term, WATCHED_S)
        part = 100 * (cpu_s(found) - used) / (time.monotonic() - began)
    line(f"ssh: console beside {WATCHED} running runs, {logging} log each second", [part], "% of a core")
    backend = SshBackend(SshSettings.load())
    for job in ctx.catalog.runs.live_jobs():
        backend.cancel(Handle(job.backend, job.token, job.handle or {}), 0.0)


def pump(term: PtyTerm, seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        term.pump(0.1)


def master(fleet: Fleet) -> int:
    """The process that holds the connection to h1, which is no child of the console's."""
    words = ["ssh", "-F", str(fleet.config), "-o", f"ControlPath={sockets()}/%C", "-O", "check", "h1"]
    return int(re.findall(r"pid=(\d+)", subprocess.run(words, capture_output=True, text=True, check=False).stderr)[0])


def cpu_s(pids: list[int]) -> float:
    """Processor seconds of processes, their children that have ended, and those that live."""
    ticks = 0
    for each, _ in below(pids):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    only = set(sys.argv[1:])
    place = Path(tempfile.mkdtemp(prefix="mlcb-", dir="/tmp"))
    place.chmod(0o755)
    engines = [Fleet(place / "ssh"), Slurm(place / "slurm")]
    try:
        if only:
            engines = engines[:1]
        for engine in engines:
            engine.up()
        fleet = engines[0]
        assert isinstance(fleet, Fleet)
        if not only or "look" in only:
            ssh(place, fleet)
        if not only:
            slurm(place, engines[1])  # type: ignore[arg-type]
        if not only or "shown" in only:
            asyncio.run(shown(place, fleet))
        if not only or "watched" in only:
            for logging in (0, LOGGING):
                watched(place / f"watched{logging}", fleet, logging)
    except NotHad as why:
        print(f"not measured: {why}")
    finally:
        for engine in engines:
            engine.down()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
