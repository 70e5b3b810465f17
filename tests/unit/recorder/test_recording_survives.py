"""What was logged survives kill -9, full disks, forks and threads, and the training survives its recorder."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import RUN_ID, Trainer

FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"
ACKNOWLEDGING = """
    import mlconsole, os, struct
    mlconsole.start_run(capture=False)
    n = 0
    while True:
        if n % 97 == 0:
            mlconsole.log({f"new{n}": n, "n": n})
        elif n % 5 == 0:
            mlconsole.log({"n": n, "other": 0.5})
        else:
            mlconsole.log({"n": n})
        os.write(1, struct.pack("<q", n))
        n += 1
    """


def test_kill_at_any_moment_loses_nothing_acknowledged_and_doubles_nothing(trainer: Trainer) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(15 if FULL else 6):
        process = trainer.start(ACKNOWLEDGING)
        assert process.stdout is not None
        with process.stdout as stream:
            told = stream.read(8 * chance.randrange(1, 2_000))
            process.kill()
            told += stream.read()
        process.wait(30)
        log = trainer.logs()[-1]
        values = log.values("n")
        assert values == [float(i) for i in range(len(values))]
        assert len(values) >= struct.unpack("<q", told[-8:])[0] + 1
        # The kernel may cut the write that the signal interrupts at the end of a page; nobody was told it was done.
        assert [damage.message for damage in log.damage] in ([], ["torn record"])


FILLING = """
    import mlconsole
    with mlconsole.start_run(capture=False, params={"lr": 0.1}):
        for step in range(20_000):
            mlconsole.log({"loss": step, "filler": 0.5}, step=step)
        free()
        for step in range(20_000, 20_010):
            mlconsole.log({"loss": step, "filler": 0.5}, step=step)
        mlconsole.log_params({"late": 1})
    print("the training went on")
    """


def check_full_disk(trainer: Trainer, done: subprocess.CompletedProcess[str], reason: str) -> None:
    log = trainer.log()
    steps = log.steps("loss")
    lost = 20_010 - len(steps)
    warnings = [line for line in done.stderr.splitlines() if line.startswith("mlconsole:")]
    assert done.stdout == "the training went on\n"
    assert 0 < lost < 20_000
    assert steps == [*range(20_000 - lost), *range(20_000, 20_010)]
    assert log.last("params")["params"] == {"late": 1}
    assert (log.last("end")["outcome"], log.last("end")["lost"]) == ("succeeded", lost)
    assert len(warnings) == 2
    assert reason in warnings[0]
    assert f"{lost} of 200" in warnings[1]
    assert len(log.damage) <= 1


def test_a_file_that_may_not_grow_costs_records_and_never_the_training(trainer: Trainer) -> None:
    limits = """
    import resource
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_003, hard))
    def free():
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    """
    done = trainer.run(limits + FILLING)
    check_full_disk(trainer, done, "File too large")


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system of 256 KiB under the catalog."""
    home.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(home)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small file system needs the right to mount")
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


def test_a_full_disk_costs_records_and_never_the_training(trainer: Trainer, small_disk: Path) -> None:
    (small_disk / "reserve").write_bytes(bytes(64 << 10))
    freeing = f"""
    import os
    def free():
        os.unlink({str(small_disk / "reserve")!r})
    """
    done = trainer.run(freeing + FILLING)
    check_full_disk(trainer, done, "No space left on device")


def test_a_disk_full_from_the_start_is_told_and_used_when_there_is_room(trainer: Trainer, small_disk: Path) -> None:
    (small_disk / "reserve").write_bytes(bytes(256 << 10))
    done = trainer.run(f"""
        import mlconsole, os, time
        mlconsole.start_run(name="late", capture=False)
        mlconsole.log({{"lost": 1}})
        os.unlink({str(small_disk / "reserve")!r})
        deadline = time.monotonic() + 20
        n = 0
        while time.monotonic() < deadline and not os.listdir({str(small_disk / "live")!r}):
            mlconsole.log({{"n": n}})
            n += 1
        mlconsole.log({{"kept": 1}})
        """)
    assert "No space left on device" in done.stderr
    log = trainer.log()
    assert log.values("kept") == [1.0]
    assert log.last("start")["name"] == "late"


@pytest.mark.parametrize("place", ["/dev/null/home", "/proc/nowhere"])
def test_a_place_that_cannot_be_written_is_told_and_the_training_goes_on(trainer: Trainer, place: str) -> None:
    trainer.environ["MLCONSOLE_HOME"] = place
    done = trainer.run("""
        import mlconsole
        with mlconsole.start_run(params={"a": 1}) as run:
            for step in range(100):
                mlconsole.log({"loss": 1})
            run.log_artifact(__file__)
        print("done")
        """)
    assert done.stdout == "done\n"
    assert 2 <= len([line for line in done.stderr.splitlines() if line.startswith("mlconsole:")]) <= 4


def test_a_closed_stderr_and_a_removed_working_directory_do_no_harm(trainer: Trainer) -> None:
    trainer.environ["MLCONSOLE_HOME"] = "/dev/null/home"
    done = trainer.run("""
        import os, sys, tempfile
        gone = tempfile.mkdtemp()
        os.chdir(gone)
        os.rmdir(gone)
        sys.stderr = None
        import mlconsole
        mlconsole.log({"a": 1})
        print("done")
        """)
    assert done.stdout == "done\n"


def test_threads_share_the_run_and_every_value_is_kept_once(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole, threading
        def work(thread):
            for n in range(1_500):
                mlconsole.log({f"shared{n % 7}": thread * 10_000 + n, f"t{thread}": n}, step=n)
        with mlconsole.start_run():
            threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """)
    log = trainer.log()
    assert log.damage == []
    assert all(log.values(f"t{i}") == [float(n) for n in range(1_500)] for i in range(6))
    shared = sorted(value for k in range(7) for value in log.values(f"shared{k}"))
    assert shared == sorted(float(i * 10_000 + n) for i in range(6) for n in range(1_500))


def test_steps_of_the_counter_are_given_once_over_all_threads(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole, threading
        mlconsole.start_run()
        work = lambda: [mlconsole.log({"n": 1}) for _ in range(2_000)]
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        """)
    assert sorted(trainer.log().steps("n")) == list(range(8_000))


@pytest.mark.parametrize("leave", ["sys.exit(0)", "raise ValueError", "os._exit(0)", "run.end()"])
def test_a_forked_child_writes_a_file_of_its_own_and_never_ends_the_run(trainer: Trainer, leave: str) -> None:
    trainer.run(f"""
        import mlconsole, os, sys
        run = mlconsole.start_run(capture=False)
        mlconsole.log({{"parent": 1}})
        child = os.fork()
        if child == 0:
            mlconsole.log({{"child": 2}})
            {leave}
            os._exit(0)
        os.waitpid(child, 0)
        mlconsole.log({{"parent": 3}})
        """)
    parent, child = trainer.logs()
    assert parent.run_id == child.run_id
    assert (parent.values("parent"), child.values("child")) == ([1.0, 3.0], [2.0])
    assert (len(parent.of("end")), child.of("end"), child.of("start")) == (1, [], [])
    assert parent.events[0]["pid"] != child.events[0]["pid"]
    assert len(trainer.markers()) == 2


def test_a_child_that_logs_nothing_leaves_no_file(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole, os
        mlconsole.start_run(capture=False)
        if os.fork() == 0:
            raise SystemExit
        os.wait()
        """)
    assert trainer.log().last("end")["outcome"] == "succeeded"


def test_a_fork_while_another_thread_defines_metrics_does_not_hang(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole, os, threading
        mlconsole.start_run(capture=False)
        stop = threading.Event()
        def define():
            n = 0
            while not stop.is_set():
                mlconsole.log({f"k{n}": n})
                n += 1
        thread = threading.Thread(target=define)
        thread.start()
        for child in range(20):
            if os.fork() == 0:
                mlconsole.log({"child": child})
                os._exit(0)
            os.wait()
        stop.set()
        thread.join()
        """)
    assert sorted(value for log in trainer.logs() for value in log.values("child")) == list(range(20))


SLOW_IMPORTS = """
    import importlib.machinery, os, sys, threading, time
    forked = threading.Event()
    class Slow(importlib.machinery.PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name in {names!r} and not forked.is_set():
                met.set()
                time.sleep(0.3)  # where a fork would find the module half imported
            return None
    met = threading.Event()
    sys.meta_path.insert(0, Slow)
    import mlconsole
    {begin}
    assert met.wait(10)
    child = os.fork()
    if child == 0:
        import subprocess
        mlconsole.log({{"child": 1.0}})
        os._exit(0)
    forked.set()
    assert os.waitpid(child, 0)[1] == 0
    """


@pytest.mark.parametrize(
    ("names", "begin"),
    [
        ({"mlconsole.recorder.run"}, 'threading.Thread(target=lambda: mlconsole.log({"parent": 1.0})).start()'),
        ({"subprocess"}, "mlconsole.start_run()"),
    ],
    ids=["the first log of a thread", "the capture of code"],
)
def test_a_child_forked_while_the_recorder_is_imported_does_not_hang(
    trainer: Trainer, names: set[str], begin: str
) -> None:
    trainer.environ["MLCONSOLE_RUN_ID"] = RUN_ID
    trainer.run(SLOW_IMPORTS.format(names=names, begin=begin))

    assert [value for log in trainer.logs() for value in log.values("child")] == [1.0]


def test_a_child_may_record_a_run_of_its_own(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole, os
        with mlconsole.start_run(capture=False):
            if os.fork() == 0:
                with mlconsole.start_run(capture=False):
                    mlconsole.log({"own": 1})
                os._exit(0)
            os.wait()
        """)
    parent, child = trainer.logs()
    assert (child.last("start")["parent"], child.last("end")["outcome"]) == (parent.run_id, "succeeded")


SPAWNING = """
    import multiprocessing, sys, mlconsole
    first = mlconsole.start_run(capture=False, name="first", params={"lr": 0.1})
    first.end()
    mlconsole.start_run(capture=False, name="second", params={"lr": 0.2})

    def work(n):
        mlconsole.log({"n": n})
        with mlconsole.start_run(capture=False, name=f"own {n}"):
            pass

    def idle(n):
        pass

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        for target, n in ((work, 1), (work, 2), (idle, 3)):
            process = context.Process(target=target, args=(n,))
            process.start()
            process.join()
            assert process.exitcode == 0
    """


@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_a_spawned_process_writes_to_the_run_that_the_script_made(trainer: Trainer, way: str) -> None:
    trainer.run(SPAWNING, way)

    logs = trainer.logs()
    names = [log.of("start")[0]["name"] if log.of("start") else None for log in logs]
    assert sorted(map(str, names)) == ["None", "None", "first", "own 1", "own 2", "second"]
    second = logs[names.index("second")]
    workers = [log for log, name in zip(logs, names, strict=True) if name is None]
    assert sorted(log.values("n")[0] for log in workers) == [1.0, 2.0]
    assert {log.run_id for log in workers} == {second.run_id} and not any(log.of("end") for log in workers)
    assert len(second.of("end")) == 1


LIGHTNING = """
    import os, subprocess, sys, mlconsole
    run = mlconsole.start_run(capture=False, name="net", params={"lr": 0.1})
    if "LOCAL_RANK" not in os.environ:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29500", NODE_RANK="0", LOCAL_RANK="0", WORLD_SIZE="2")
        other = subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "LOCAL_RANK": "1"})
        assert other.wait() == 0
    run.log({"loss": float(os.environ["LOCAL_RANK"])})
    """


def test_a_script_that_lightning_starts_again_writes_into_the_same_run_as_the_next_rank(trainer: Trainer) -> None:
    trainer.run(LIGHTNING)

    main, other = trainer.logs()
    assert main.run_id == other.run_id and len(main.of("end")) == 1 and not other.of("end")
    assert [log.of("open")[0]["rank"] for log in (main, other)] == [0, 1]
    assert (main.values("loss"), other.values("loss")) == ([0.0], [1.0])


def test_a_json_module_beside_the_script_costs_the_record_and_not_the_training(trainer: Trainer) -> None:
    (trainer.work / "json.py").write_text("mine = True\n")

    done = trainer.run("""
        import json, mlconsole
        with mlconsole.start_run(capture=False, params={"lr": 0.1}):
            mlconsole.log({"loss": 1.0})
        print(json.mine)
        """)

    assert done.stdout == "True\n" and "module 'json' has no attribute 'dumps'" in done.stderr


def test_a_program_that_closes_all_descriptors_goes_on_in_a_new_file(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole, os
        mlconsole.start_run(capture=False)
        mlconsole.log({"before": 1})
        os.closerange(3, 1024)
        mlconsole.log({"before": 2})
        mlconsole.log({"after": 3})
        """)
    logs = trainer.logs()
    assert [log.values("after") for log in logs] == [[], [3.0]]
    assert logs[-1].last("end")["outcome"] == "succeeded"


def test_a_program_that_closes_and_opens_files_finds_no_record_in_its_own(trainer: Trainer) -> None:
    done = trainer.run("""
        import mlconsole, os
        mlconsole.start_run(capture=False)
        mlconsole.log({"loss": 1}, step=0)
        os.closerange(0, 3)
        os.closerange(3, 100)
        files = [os.open(f"mine{n}", os.O_RDWR | os.O_CREAT) for n in range(20)]
        for step in range(1, 6):
            mlconsole.log({"loss": 1}, step=step)
        assert [os.fstat(fd).st_size for fd in files] == [0] * 20
        """)
    assert done.stderr == ""
    assert trainer.log().steps("loss") == list(range(6))


def test_a_program_that_may_open_few_files_is_recorded(trainer: Trainer) -> None:
    trainer.run("""
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        import mlconsole
        mlconsole.log({"loss": 1})
        """)
    assert trainer.log().values("loss") == [1.0]


def test_a_file_under_a_reused_descriptor_is_not_closed(trainer: Trainer) -> None:
    done = trainer.run("""
        import gc, mlconsole, os
        run = mlconsole.start_run(capture=False)
        os.closerange(3, 1024)
        files = [os.open("mine", os.O_WRONLY | os.O_CREAT) for _ in range(8)]
        run._writer.close()
        gc.collect()
        print([os.write(fd, b"x") for fd in files])
        """)
    assert done.stdout == f"{[1] * 8}\n"


def test_two_ranks_write_beside_each_other_and_the_first_alone_captures(trainer: Trainer) -> None:
    trainer.environ.update(WORLD_SIZE="2", MASTER_ADDR="localhost", MASTER_PORT="29500")
    code = "import mlconsole, os\nmlconsole.log({'rank': int(os.environ['RANK'])})"
    command = trainer.command(code)
    environment = trainer.environment()
    processes = [subprocess.Popen(command, env={**environment, "RANK": str(rank)}) for rank in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    logs = sorted(trainer.logs(), key=lambda log: str(log.events[0]["rank"]))
    assert len({log.run_id for log in logs}) == 1
    assert [log.path.name.split("-")[0] for log in logs] == ["0", "1"]
    assert [(log.events[0]["rank"], log.events[0]["world_size"]) for log in logs] == [(0, 2), (1, 2)]
    assert [log.values("rank") for log in logs] == [[0.0], [1.0]]
    assert [len(log.of("environment")) for log in logs] == [1, 0]


def test_resuming_goes_on_after_the_last_step(trainer: Trainer) -> None:
    trainer.environ["MLCONSOLE_RUN_ID"] = RUN_ID
    trainer.run("import mlconsole\nfor n in range(5): mlconsole.log({'loss': n}, step=n * 10)")
    del trainer.environ["MLCONSOLE_RUN_ID"]
    trainer.run(f"""
        import mlconsole
        with mlconsole.start_run(run_id={RUN_ID!r}, resume=True):
            mlconsole.log({{"loss": 5}})
        """)
    first, second = trainer.logs()
    assert first.run_id == second.run_id == RUN_ID
    assert [log.events[0]["resumed"] for log in (first, second)] == [False, True]
    assert second.steps("loss") == [41]


def test_resuming_what_is_not_there_starts_it(trainer: Trainer) -> None:
    trainer.run("import mlconsole\nmlconsole.start_run(run_id='exp 7', resume=True)\nmlconsole.log({'a': 1})")
    log = trainer.log()
    assert log.steps("a") == [0]
    assert log.last("start")["name"] == "exp 7"


def test_sigkill_leaves_a_marker_of_a_process_that_is_gone(trainer: Trainer) -> None:
    process = trainer.start(ACKNOWLEDGING)
    assert process.stdout is not None
    with process.stdout as stream:
        stream.read(8)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    (marker,) = trainer.markers()
    assert marker["pid"] == process.pid
    assert trainer.log().of("end") == []
