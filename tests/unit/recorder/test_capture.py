"""What is recorded of code and environment, and that looking never hangs, surprises or delays a training."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from recorded import Trainer

from mlconsole.recorder import git, machine

RUN = "import mlconsole\nmlconsole.start_run()\n"


def make_repository(folder: Path) -> None:
    """A repository with one commit; the test's own script is no part of it."""
    (folder / "model.py").write_text("layers = 2\n")
    (folder / ".gitignore").write_text("train.py\nignored/\n")
    run_git(folder, "init", "-q", "-b", "trunk")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-qm", "first")


def run_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_branch_and_changes_are_recorded(trainer: Trainer) -> None:
    make_repository(trainer.work)
    (trainer.work / "model.py").write_text("layers = 3\n")
    (trainer.work / "new.py").write_text("")
    run_git(trainer.work, "remote", "add", "origin", "git@host:lab/digits.git")
    trainer.run(RUN)
    log = trainer.log()
    code = log.last("code")
    assert code["commit"] == run_git(trainer.work, "rev-parse", "HEAD")
    assert (code["branch"], code["dirty"], code["untracked"]) == ("trunk", True, ["new.py"])
    assert (code["remote"], code["root"]) == ("git@host:lab/digits.git", str(trainer.work))
    patch = trainer.home / "runs" / log.run_id / str(code["diff_path"])
    assert patch.stat().st_size == code["diff_bytes"]
    run_git(trainer.work, "checkout", "-q", "model.py")
    run_git(trainer.work, "apply", str(patch))
    assert (trainer.work / "model.py").read_text() == "layers = 3\n"


def test_a_binary_change_survives_in_the_patch(trainer: Trainer) -> None:
    make_repository(trainer.work)
    (trainer.work / "blob").write_bytes(bytes(range(256)))
    run_git(trainer.work, "add", "blob")
    run_git(trainer.work, "commit", "-qm", "blob")
    (trainer.work / "blob").write_bytes(bytes(reversed(range(256))))
    trainer.run(RUN)
    run_git(trainer.work, "checkout", "-q", "blob")
    run_git(trainer.work, "apply", str(trainer.home / "runs" / trainer.log().run_id / "code" / "diff.patch"))
    assert (trainer.work / "blob").read_bytes() == bytes(reversed(range(256)))


def test_a_clean_tree_has_no_patch(trainer: Trainer) -> None:
    make_repository(trainer.work)
    trainer.run(RUN)
    code = trainer.log().last("code")
    assert (code["dirty"], code.get("diff_path")) == (False, None)


def test_a_repository_without_a_commit_is_recorded_as_that(trainer: Trainer) -> None:
    run_git(trainer.work, "init", "-q", "-b", "trunk")
    trainer.run(RUN)
    code = trainer.log().last("code")
    assert (code["commit"], code["branch"]) == (None, "trunk")


def test_outside_a_repository_nothing_is_claimed(trainer: Trainer) -> None:
    trainer.run(RUN)
    assert trainer.log().of("code") == []
    assert trainer.log().of("note") == []


def test_the_code_is_that_of_the_script_wherever_it_is_started(trainer: Trainer, tmp_path: Path) -> None:
    make_repository(trainer.work)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(trainer.command(RUN), env=trainer.environment(), cwd=elsewhere, check=True, timeout=60)
    assert trainer.log().last("code")["root"] == str(trainer.work)


def test_a_git_that_hangs_delays_neither_the_start_nor_the_end_for_long(trainer: Trainer, tmp_path: Path) -> None:
    trainer.environ["PATH"] = f"{fake_git(tmp_path / 'bin', 'sleep 60')}:/usr/bin:/bin"
    begun = time.monotonic()
    done = trainer.run("""
        import time, mlconsole
        from mlconsole.recorder import git
        git.DEADLINE_S = 0.3
        begun = time.monotonic()
        with mlconsole.start_run():
            print(time.monotonic() - begun < 0.3)
        """)
    assert done.stdout == "True\n"
    assert time.monotonic() - begun < 10
    assert trainer.log().last("end")["outcome"] == "succeeded"


@pytest.mark.parametrize("body", ["exit 3", "cat /dev/urandom", "kill -9 $$", "printf '\\377\\000'"])
def test_a_git_that_fails_or_floods_is_no_harm(trainer: Trainer, tmp_path: Path, body: str) -> None:
    trainer.environ["PATH"] = f"{fake_git(tmp_path / 'bin', body)}:/usr/bin:/bin"
    trainer.run(RUN)
    assert trainer.log().last("end")["outcome"] == "succeeded"
    assert trainer.log().of("code") == []


def fake_git(folder: Path, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("path", [".", "", "bin", "./bin:.:"])
def test_nothing_in_the_current_directory_is_run(trainer: Trainer, path: str) -> None:
    trap = f"touch {trainer.work / 'trapped'}"
    for folder in (trainer.work, trainer.work / "bin"):
        fake_git(folder, trap)
    trainer.environ["PATH"] = path
    trainer.run(RUN)
    assert not (trainer.work / "trapped").exists()


def test_a_repository_cannot_make_git_run_its_programs(trainer: Trainer) -> None:
    make_repository(trainer.work)
    trap = trainer.work / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {trainer.work / 'trapped'}\n")
    trap.chmod(0o755)
    for setting in ("core.fsmonitor", "diff.external", "core.pager", "diff.x.textconv", "diff.x.command"):
        run_git(trainer.work, "config", setting, str(trap))
    (trainer.work / ".gitattributes").write_text("*.py diff=x\n")
    (trainer.work / "model.py").write_text("layers = 3\n")
    trainer.run(RUN)
    assert trainer.log().last("code")["dirty"] is True
    assert not (trainer.work / "trapped").exists()


def test_a_change_too_large_is_cut_and_said_to_be(trainer: Trainer) -> None:
    make_repository(trainer.work)
    (trainer.work / "model.py").write_text("layer\n" * 100_000)
    trainer.run("from mlconsole.recorder import git\ngit.LARGEST_DIFF = 10_000\n" + RUN)
    code = trainer.log().last("code")
    assert (code["diff_cut"], code["diff_bytes"]) == (True, 10_000)


def test_the_environment_tells_interpreter_packages_and_machine(trainer: Trainer) -> None:
    trainer.run(RUN)
    environment = trainer.log().last("environment")["environment"]
    assert isinstance(environment, dict)
    assert environment["python"]["executable"] == trainer.executable
    assert environment["packages"]["pytest"] == pytest.__version__
    assert environment["cpu_count"] >= 1
    assert environment["memory_bytes"] > 1 << 20


def test_only_listed_variables_are_recorded_and_the_list_can_grow() -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "0", "HOME": "/x", "LAB_SITE": "b", "MLCONSOLE_CAPTURE_ENV": "LAB_*, NOPE"}
    assert machine.variables(environ) == {"CUDA_VISIBLE_DEVICES": "0", "LAB_SITE": "b"}


def test_packages_are_read_off_their_metadata_folders(tmp_path: Path) -> None:
    for name in ("Foo_Bar-1.2.dist-info", "old-0.1-py3.9.egg-info", "plain", "foo.bar-9.dist-info"):
        (tmp_path / name).mkdir()
    assert machine.packages([str(tmp_path), "relative", "/missing"]) == {"foo-bar": "1.2", "old": "0.1"}


def test_torch_is_told_if_it_is_imported_even_after_the_start(trainer: Trainer) -> None:
    (trainer.work / "torch.py").write_text(
        "import types\n__version__ = '2.13.0+cu130'\nversion = types.SimpleNamespace(cuda='13.0', hip=None)\n"
    )
    trainer.run("""
        import mlconsole, threading
        mlconsole.start_run()
        for thread in threading.enumerate():
            if thread.name == "mlconsole-capture":
                thread.join()
        import torch
        """)
    told = [event["environment"]["torch"] for event in trainer.log().of("environment")]  # type: ignore[index]
    assert told == [{}, {"version": "2.13.0+cu130", "cuda": "13.0"}]


def test_the_gpu_driver_is_read_from_the_kernel(tmp_path: Path) -> None:
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build\n"
    (tmp_path / "version").write_text(version)
    card = tmp_path / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA H200\nGPU UUID: \t GPU-1234\n")
    assert machine.driver(str(tmp_path)) == "575.57.08"
    assert machine.gpus(str(tmp_path)) == [{"model": "NVIDIA H200", "uuid": "GPU-1234", "bus": "0000:01:00.0"}]
    assert (machine.driver("/missing"), machine.gpus("/missing")) == ("", [])


def test_git_is_searched_in_absolute_folders_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(tmp_path, "exit 0")
    monkeypatch.chdir(tmp_path)
    assert git.executable({"PATH": ".:"}) is None
    assert git.executable({"PATH": f".::{tmp_path}"}) == str(tmp_path / "git")
    assert git.executable({"PATH": f"{tmp_path / 'nowhere'}"}) is None
    assert git.executable({}) is None


def test_without_capture_nothing_is_looked_at(trainer: Trainer) -> None:
    trainer.run("import mlconsole\nmlconsole.start_run(capture=False)")
    assert [event["e"] for event in trainer.log().events] == ["open", "start", "end"]
