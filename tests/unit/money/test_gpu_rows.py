"""GPU, process, run, user, class, price: what is joined, and what is not guessed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlconsole.actions.attribution import Marks
from mlconsole.actions.context import Context
from mlconsole.actions.gpu_rows import Follower, wasted_microusd_per_h
from mlconsole.catalog.gpu_rollups import GpuHistory
from mlconsole.catalog.keeps import put_keep
from mlconsole.catalog.machines import ensure_machine, put_rate
from mlconsole.catalog.run_changes import NewRun, insert_run, set_columns
from mlconsole.config import Settings
from mlconsole.domain.evidence import Holder, Sign
from mlconsole.domain.gpu import DriverState, GpuProcess, GpuReading, GpuSnapshot, Source, known, missing
from mlconsole.domain.gpu_history import Bucket, PastGpu, Stat
from mlconsole.domain.gpu_rows import GpuRow, Keep
from mlconsole.domain.idle import IdleClass, Step
from mlconsole.domain.prices import Rate, Tenure
from mlconsole.domain.runs import State
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime

NOW = datetime(2025, 6, 18, 12, tzinfo=UTC)
HOST = "gpu-1"


class World:
    """A host with one GPU, a process table of files, a catalog, and clocks that move when they are told to."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.now, self.at_s = folder / "proc", NOW, 1000.0
        settings = Settings(folder / "home", "ann", HOST)
        self.ctx = Context(settings, clock=lambda: self.now)
        self.follower = Follower(self.ctx, Marks(str(self.proc)), clock_s=lambda: self.at_s)
        self.processes: list[GpuProcess] = []

    def process(self, pid: int, environ: str = "", parent: int = 1, session: int = 0, holds: bool = True) -> None:
        folder = self.proc / str(pid)
        folder.mkdir(parents=True)
        (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 {session} {' '.join(['0'] * 15)} 77 0\n")
        (folder / "environ").write_bytes(environ.encode().replace(b" ", b"\0"))
        if holds:
            self.processes.append(GpuProcess(pid, known(4000.0), command="python", user="ann", started_ticks=77))

    def run(self, run_id: str, ended: datetime | None = None) -> None:
        new = NewRun(id=run_id, name="train", experiment="e", created_at=NOW, state=State.RUNNING, user="ann")
        number = self.ctx.catalog.write(lambda db: insert_run(db, new, "made by a test"))
        if ended:
            self.ctx.catalog.write(lambda db: set_columns(db, number, state="ended", ended_us=to_us(ended)))

    def metric(self, run_id: str, count: int, last: datetime) -> None:
        """The run has logged so many points, the last of them then."""

        def put(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO key (n, name) VALUES (1, 'loss')")
            row = f"SELECT n, 1, 0.5, 0.5, 0.5, {count}, {count}, 0, 0, {to_us(last)} FROM run WHERE id = '{run_id}'"
            db.execute(f"INSERT INTO metric {row}")

        self.ctx.catalog.write(put)

    def look(self, **fields: object) -> GpuRow:
        idle = GpuReading(
            *(HOST, 0, "GPU-0", "H100", self.now),
            utilization_percent=known(0.0),
            memory_used_mib=known(4000.0 if self.processes else 0.0),
            power_w=known(60.0),
            power_limit_w=known(700.0),
            processes=known(tuple(self.processes)),
        )
        (row,) = self.follower.report(GpuSnapshot(HOST, DriverState.OK, gpus=(replace(idle, **fields),))).rows
        return row

    def pass_time(self, seconds: float) -> None:
        self.at_s += seconds
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ctx.close()


def test_a_process_bears_the_mark_of_its_job(world: World) -> None:
    world.run("aaaa")
    world.process(42, "HOME=/ MLCONSOLE_JOB=aaaa.1")

    row = world.look()

    assert (row.run_id, row.run_name, row.user, row.holder) == ("aaaa", "train", "ann", Holder.RUN)


def test_a_process_without_a_mark_is_its_sessions_and_its_ancestors(world: World) -> None:
    world.run("aaaa")
    world.process(10, "MLCONSOLE_JOB=aaaa.1", holds=False)
    world.process(20, parent=10, holds=False)
    world.process(30, parent=20)

    assert world.look().run_id == "aaaa"


def test_the_leader_of_a_session_speaks_for_it(world: World) -> None:
    world.run("aaaa")
    world.process(10, "MLCONSOLE_RUN_ID=aaaa", holds=False)
    world.process(30, session=10)

    assert world.look().run_id == "aaaa"


def test_a_pid_that_is_another_process_by_now_is_of_no_run(world: World) -> None:
    world.run("aaaa")
    world.process(42, "MLCONSOLE_JOB=aaaa.1")
    world.processes = [replace(world.processes[0], started_ticks=78)]

    assert world.look().run_id == ""


def test_a_run_of_another_catalog_is_a_process_with_an_owner(world: World) -> None:
    world.run("aaaa")
    world.process(42, "MLCONSOLE_JOB=bbbb.1")

    row = world.look()

    assert (row.run_name, row.user, row.holder) == ("", "ann", Holder.OTHER)


def test_memory_held_by_a_run_that_has_ended_is_a_zombie_within_a_minute(world: World) -> None:
    world.run("aaaa", ended=NOW - timedelta(seconds=5))
    world.process(42, "MLCONSOLE_JOB=aaaa.1")

    first = world.look()
    world.pass_time(30)
    second = world.look()

    assert first.idle_class is not IdleClass.ZOMBIE
    assert (second.idle_class, second.step) == (IdleClass.ZOMBIE, Step.NOTIFY)


def test_one_look_is_enough_for_a_run_that_ended_long_ago(world: World) -> None:
    world.run("aaaa", ended=NOW - timedelta(hours=9))
    world.process(42, "MLCONSOLE_JOB=aaaa.1")

    assert world.look().idle_class is IdleClass.ZOMBIE


def test_a_live_run_among_the_holders_makes_no_zombie(world: World) -> None:
    world.run("aaaa", ended=NOW - timedelta(hours=9))
    world.run("bbbb")
    world.process(42, "MLCONSOLE_JOB=aaaa.1")
    world.process(43, "MLCONSOLE_JOB=bbbb.1")

    row = world.look()

    assert (row.holder, row.idle_class, row.run_id) == (Holder.RUN, IdleClass.BUSY, "")


def test_a_holder_that_cannot_be_seen_makes_no_zombie(world: World) -> None:
    world.run("aaaa", ended=NOW - timedelta(hours=9))
    world.process(42, "MLCONSOLE_JOB=aaaa.1")
    world.processes.append(GpuProcess(99, visible=False))

    row = world.look()

    assert (row.holder, row.idle_class) == (Holder.UNSEEN, IdleClass.BUSY)


def test_processes_that_cannot_be_listed_leave_the_gpu_busy(world: World) -> None:
    assert world.look(processes=missing("no permission")).idle_class is IdleClass.BUSY


def test_a_gpu_that_nobody_holds_is_empty_and_its_price_is_wasted(world: World) -> None:
    rate = Rate(90_000_000, Tenure.OWNED, 8, "an invoice")
    machine = world.ctx.catalog.write(lambda db: ensure_machine(db, HOST, 8, to_us(NOW), Uptime("", 0)))
    world.ctx.catalog.write(lambda db: put_rate(db, machine, rate, to_us(NOW)))

    row = world.look()

    assert (row.idle_class, row.price_microusd_per_h) == (IdleClass.EMPTY, 11_250_000)
    assert row.is_wasted


def test_a_live_run_that_saves_checkpoints_is_at_work(world: World) -> None:
    world.run("aaaa")
    world.process(42, "MLCONSOLE_JOB=aaaa.1")
    world.follower.cpu_of = lambda key, pids, now_s: known(0.0)
    shard = world.ctx.settings.runs / "aaaa" / "checkpoints" / "step-9" / "shard-0.pt"
    shard.parent.mkdir(parents=True)

    classes = []
    for written in (True, True, True, False, False, False, False):
        for _ in range(10):
            world.pass_time(20)
            if written:
                shard.write_bytes(b"x")
                os.utime(shard, (world.now.timestamp(), world.now.timestamp()))
            row = world.look()
        classes.append(row.idle_class)
    said = {each.sign: each.words for each in row.evidence}

    assert classes[:3] == [IdleClass.BUSY] * 3
    assert classes[-1] is IdleClass.HELD
    assert said[Sign.CHECKPOINTS] == "last written 800 s ago"


def test_a_run_that_logs_seldom_is_not_said_to_stall(world: World) -> None:
    world.run("aaaa")
    world.process(42, "MLCONSOLE_JOB=aaaa.1")
    world.follower.cpu_of = lambda key, pids, now_s: known(100.0)
    world.metric("aaaa", count=2, last=world.now + timedelta(hours=2))
    world.pass_time(3 * 3600)

    assert world.look().idle_class is IdleClass.BUSY
    world.pass_time(20 * 3600)
    assert [world.look().idle_class for _ in range(20) if world.pass_time(20) is None][-1] is IdleClass.STALLED


def test_an_unknown_price_wastes_an_unknown_sum(world: World) -> None:
    row = world.look()

    assert row.price_microusd_per_h is None
    assert wasted_microusd_per_h(world.follower.report(GpuSnapshot(HOST, DriverState.NO_DRIVER))) == 0


def test_a_kept_zombie_is_marked_and_nothing_more_is_proposed(world: World) -> None:
    world.run("aaaa", ended=NOW - timedelta(hours=9))
    world.process(42, "MLCONSOLE_JOB=aaaa.1")
    keep = Keep(NOW + timedelta(hours=2), "debugging", "ann")
    world.ctx.catalog.write(lambda db: put_keep(db, HOST, "GPU-0", keep))

    row = world.look()

    assert (row.idle_class, row.step, row.keep) == (IdleClass.ZOMBIE, Step.MARK, keep)


def test_what_a_gpu_drew_when_it_did_nothing_is_learnt_from_its_past(world: World) -> None:
    world.process(42)
    before = world.look(power_w=known(200.0))
    past = GpuHistory(world.ctx.settings.home)
    assert past.may_record()
    who = PastGpu(HOST, "GPU-0", "H100", Source.NVML)
    past.record([Bucket(who, int(NOW.timestamp()) - 3600, 10, {"power_w": Stat(10, 700.0, 70.0, 70.0)})])
    past.close()
    world.pass_time(700)

    after = world.look(power_w=known(200.0))

    assert [e.activity for row in (before, after) for e in row.evidence if e.sign is Sign.POWER] == ["idle", "active"]
