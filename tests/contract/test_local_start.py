"""How the local backend starts a program: exactly, from a clean slate, and with the reason when it cannot."""

from __future__ import annotations

import ast
import json
import os
import py_compile
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkit import Jobs, jobs_of, until
from mlconsole.plugin_api import LimitWarning, Outcome, UsageError
from mlconsole_local import LocalBackend, shim
from mlconsole_local.submission import program

#: 32 and 33 belong to the C library, which alone can set them.
LIBRARY_SIGNALS = 0b11 << 31
OLD_PYTHONS = sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python"))


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with jobs_of(LocalBackend(), tmp_path) as found:
        yield found


def never_started(jobs: Jobs, *argv: str, **options: object) -> str:
    seen = jobs.ended(jobs.submit(*argv, **options))
    assert (seen.outcome, seen.exit_code) == (Outcome.NEVER_STARTED, None)
    return seen.reason


def test_how_long_the_output_is_is_noted_with_the_time(jobs: Jobs) -> None:
    began = time.time() - 0.1  # Notes are of tenths of a second.
    handle = jobs.submit("sh", "-c", "echo first; sleep 1.5; echo second")
    jobs.ended(handle)
    notes = Path(str(handle.data["directory"]), "job", "output.times")
    found = until(lambda: (text := notes.read_text()).endswith(" 13\n") and text)
    times, sizes = zip(*(line.split() for line in found.splitlines()), strict=True)
    assert (sizes[0], sizes[-1]) == ("6", "13")
    assert began <= float(times[0]) <= float(times[-1]) and float(times[-1]) >= began + 1.4


def test_a_missing_command_is_named(jobs: Jobs) -> None:
    assert never_started(jobs, "trian.py") == 'No such command "trian.py".'


@pytest.mark.parametrize("command, hint", [("python t.py --lr 1", "leave out the quotes"), ("A=1 b", "--env A=1 b")])
def test_what_was_likely_meant_by_a_missing_command_is_said(jobs: Jobs, command: str, hint: str) -> None:
    assert hint in never_started(jobs, command)


def test_a_script_in_the_folder_is_pointed_at(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("pass")
    assert 'write "./train.py" or "python train.py"' in never_started(jobs, "train.py")


def test_a_file_without_permission_is_not_executable(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("pass")
    (tmp_path / "train").write_text("pass")
    assert never_started(jobs, "./train") == 'The file "./train" is not executable.'
    assert never_started(jobs, "./train.py") == 'The file "./train.py" is not executable. Write "python ./train.py".'


def test_a_missing_interpreter_is_said(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "train").write_text("#!/no/such/python\n")
    (tmp_path / "train").chmod(0o755)
    assert "interpreter" in never_started(jobs, "./train")


def test_a_script_without_a_first_line_is_no_program(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "train").write_text("echo hello\n")
    (tmp_path / "train").chmod(0o755)
    assert "first line names no interpreter" in never_started(jobs, "./train")


def test_a_missing_folder_is_named(jobs: Jobs, tmp_path: Path) -> None:
    reason = never_started(jobs, "true", cwd=str(tmp_path / "gone"))
    assert reason == f'Cannot run in the folder "{tmp_path / "gone"}": No such file or directory.'


def test_arguments_too_long_for_the_machine_are_refused_by_name(jobs: Jobs) -> None:
    assert "Argument list too long" in never_started(jobs, "true", "x" * (1 << 18))


def test_the_command_is_looked_up_on_the_path_of_the_job(jobs: Jobs, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "my-trainer"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho mine\n")
    program.chmod(0o755)
    handle = jobs.submit("my-trainer", env={"PATH": f"{program.parent}:/usr/bin:/bin"})
    jobs.ended(handle)
    assert jobs.output(handle) == b"mine\n"


def test_signals_are_as_at_login_whatever_the_launcher_ignores(jobs: Jobs) -> None:
    ignored = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        handle = jobs.submit("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status")
    finally:
        signal.signal(signal.SIGUSR1, ignored)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
    jobs.ended(handle)
    masks = [int(line.split()[1], 16) for line in jobs.output(handle).decode().splitlines()]
    assert [mask & ~LIBRARY_SIGNALS for mask in masks] == [0, 0]


def test_no_descriptor_of_the_launcher_or_the_supervisor_is_inherited(jobs: Jobs) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    handle = jobs.python("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])")
    os.close(reader)
    os.close(writer)
    jobs.ended(handle)
    assert jobs.output(handle) == b"[0, 1, 2]\n"


def test_the_umask_is_kept(jobs: Jobs) -> None:
    before = os.umask(0o027)
    try:
        handle = jobs.python("import os; print(oct(os.umask(0)))")
    finally:
        os.umask(before)
    jobs.ended(handle)
    assert jobs.output(handle) == b"0o27\n"


def supervised(
    folder: Path, interpreter: str, environment: dict[str, str], *argv: str, program: str = shim.__file__
) -> None:
    """Have a program started by a supervisor on this interpreter, in this environment."""
    job = {
        "token": folder.name,
        "run_id": "r",
        "argv": argv,
        "cwd": str(folder),
        "env": {},
        "time_limit_s": None,
        "grace_s": 5,
    }
    (folder / "job").mkdir()
    command = [interpreter, "-I", "-S", program, str(folder / "job")]
    subprocess.run(command, input=json.dumps(job).encode(), env=environment, check=True, capture_output=True)


def test_nothing_but_the_mark_is_added_to_the_environment(tmp_path: Path) -> None:
    # Without a locale an interpreter sets LC_CTYPE in its own environment; the program is not to see that.
    given = {"PATH": os.environ["PATH"], "ONE": "1"}
    supervised(tmp_path, sys.executable, given, "cp", "/proc/self/environ", "seen")
    until(lambda: shim.read(str(tmp_path / "job"), "exit.json"))
    entries = (tmp_path / "seen").read_text().strip("\0").split("\0")
    assert dict(entry.split("=", 1) for entry in entries) == given | {shim.MARK: tmp_path.name}


def test_the_supervisor_parses_as_python_3_6() -> None:
    ast.parse(Path(shim.__file__).read_text(), feature_version=(3, 6))


def test_the_supervisor_imports_the_standard_library_only() -> None:
    tree = ast.parse(Path(shim.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize("python", OLD_PYTHONS, ids=lambda path: path.parts[-3])
def test_the_supervisor_starts_and_stops_a_program_on(python: Path, tmp_path: Path) -> None:
    job, clean = tmp_path / "job", {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    supervised(
        tmp_path, str(python), clean, "sh", "-c", "trap '' TERM; (setsid sleep 60 &) ; echo $0 é\udcff; sleep 60"
    )
    until(lambda: (job / "output.log").read_bytes() == "sh é\udcff\n".encode(errors="surrogateescape"))
    start = shim.read(str(job), "start.json") or {}
    shim.publish(str(job), "stop.json", {"at": 0.0, "by": "a test", "grace_s": 0.1})
    assert shim.send(start["shim"]["pid"], start["shim"]["start"], signal.SIGTERM)
    record = until(lambda: shim.read(str(job), "exit.json"))
    assert (record["outcome"], record["reason"]) == ("cancelled", "stopped by a test; killed by SIGKILL")
    until(lambda: not [each for each in shim.processes() if shim.mark_of(each.pid) == tmp_path.name])


def test_a_stale_compiled_supervisor_is_not_started(tmp_path: Path) -> None:
    source, compiled = tmp_path / "shim.py", tmp_path / "shim.pyc"
    source.write_text("pass\n")
    assert program(str(source), str(compiled)) == str(source)
    py_compile.compile(str(source), str(compiled))
    assert program(str(source), str(compiled)) == str(compiled)
    source.write_text("changed = True\n")
    assert program(str(source), str(compiled)) == str(source)


def test_a_compiled_supervisor_works_like_its_source(tmp_path: Path) -> None:
    compiled = tmp_path / "shim.pyc"
    py_compile.compile(shim.__file__, str(compiled))
    supervised(tmp_path, sys.executable, {"PATH": os.environ["PATH"]}, "sh", "-c", "exit 4", program=str(compiled))
    record = until(lambda: shim.read(str(tmp_path / "job"), "exit.json"))
    assert record["exit_code"] == 4


def test_a_job_may_start_from_another_environment_than_its_launchers(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_THE_LAUNCHER", "yes")
    base = {"PATH": os.environ["PATH"], "FROM_THE_WAIT": "yes"}
    handle = jobs.submit("env", base=base, env={"ADDED": "1"})
    jobs.ended(handle)
    found = dict(line.split("=", 1) for line in jobs.output(handle).decode().splitlines())
    assert found.items() >= {"FROM_THE_WAIT": "yes", "ADDED": "1"}.items()
    assert "FROM_THE_LAUNCHER" not in found


def test_a_program_is_warned_before_its_time_limit(jobs: Jobs) -> None:
    code = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: print('saved', flush=True)); time.sleep(60)"
    handle = jobs.python(code, time_limit_s=1.0, warning=LimitWarning(signal.SIGUSR1, 0.5))
    seen = jobs.ended(handle)
    assert (seen.outcome, jobs.output(handle)) == (Outcome.TIMED_OUT, b"saved\n")


@pytest.mark.parametrize("command", [("true",), ("no-such-command",), ("sh", "-c", "exit 3")])
def test_somebody_is_woken_when_a_job_has_ended_however_it_ended(
    jobs: Jobs, tmp_path: Path, command: tuple[str, ...]
) -> None:
    handle = jobs.submit(
        *command,
        wake=(
            "sh",
            "-c",
            f"echo woken ${{{shim.MARK}-unmarked}} > {tmp_path}/woken.part; mv {tmp_path}/woken.part {tmp_path}/woken",
        ),
    )
    until((tmp_path / "woken").exists)
    assert jobs.look(handle).outcome is not None
    assert (tmp_path / "woken").read_text() == "woken unmarked\n"


def test_an_option_that_it_does_not_know_is_refused_by_name(jobs: Jobs) -> None:
    with pytest.raises(UsageError, match='"partition"'):
        jobs.submit("true", options={"partition": "gpu"})
