"""The recorder by itself: in an old interpreter, in a folder of its own, and at what price."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from recorded import RUN_ID, Trainer

import mlconsole
from mlconsole.recorder.bundle import write_bundle

RECORDER = Path(mlconsole.__file__).parent / "recorder"


def old_python() -> str | None:
    """A Python 3.9: among those of pyenv, whose shims need not work, or on the path."""
    versions = sorted(Path("~/.pyenv/versions").expanduser().glob("3.9.*/bin/python"))
    return str(versions[0]) if versions else shutil.which("python3.9")


def test_an_old_interpreter_with_nothing_installed_records_all(trainer: Trainer) -> None:
    python = old_python()
    if python is None:
        pytest.skip("needs a Python 3.9")
    trainer.executable = python
    trainer.environ["MLCONSOLE_RUN_ID"] = RUN_ID
    (trainer.work / "weights").write_bytes(b"w")
    trainer.run(
        """
        import mlconsole, os
        with mlconsole.start_run("exp", params={"lr": 0.1, "password": "x"}, tags=["a"], resume=True) as run:
            for step in range(50):
                mlconsole.log({"loss": 1 / (step + 1), "deep": {"x": step}})
            run.log_model("weights")
            forked = os.fork()
            if forked == 0:
                mlconsole.log({"child": 1})
                os._exit(0)
            os.waitpid(forked, 0)  # Any child could be git, which the capture asks.
            with mlconsole.start_run():
                mlconsole.log({"inner": 1})
            raise ValueError("over")
        """,
        status=1,
    )
    first, child, inner = trainer.logs()
    assert (len(first.values("loss")), first.values("deep/x")[-1]) == (50, 49.0)
    assert str(first.events[0]["python"]).startswith("3.9.")
    assert first.last("params")["params"] == {"lr": 0.1, "password": "[redacted]"}
    assert "ValueError: over" in str(first.last("end")["traceback"])
    assert (child.values("child"), inner.values("inner")) == ([1.0], [1.0])
    assert [log.damage for log in trainer.logs()] == [[], [], []]
    assert len(first.of("environment")) == len(first.of("model")) == 1


def test_an_interpreter_that_is_too_old_says_so(trainer: Trainer) -> None:
    versions = sorted(Path("~/.pyenv/versions").expanduser().glob("3.[78].*/bin/python"))
    if not versions:
        pytest.skip("needs a Python 3.7 or 3.8")
    trainer.executable = str(versions[-1])
    done = trainer.run("import mlconsole", status=1)
    assert done.stderr.splitlines()[-1] == "ImportError: mlconsole's recorder needs Python 3.9 or newer"


def test_the_recorder_imports_the_standard_library_and_itself_only() -> None:
    foreign = set()
    for path in RECORDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            for name in names:
                if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("mlconsole.recorder"):
                    foreign.add((path.name, name))
    assert foreign == set()


def test_importing_mlconsole_loads_only_the_guard_of_its_imports_until_it_is_used(trainer: Trainer) -> None:
    done = trainer.run("""
        import sys
        before = set(sys.modules)
        import mlconsole
        print(*sorted(set(sys.modules) - before - {"mlconsole", "__future__"}))
        print("start_run" in dir(mlconsole), mlconsole.__version__ != "")
        """)
    assert done.stdout == "mlconsole.recorder mlconsole.recorder.forking\nTrue True\n"


def test_recording_loads_no_heavy_module(trainer: Trainer) -> None:
    done = trainer.run("""
        import sys
        import mlconsole
        with mlconsole.start_run(capture=False):
            mlconsole.log({"a": 1})
        heavy = {"asyncio", "dataclasses", "importlib.metadata", "inspect", "logging", "subprocess", "tempfile",
                 "urllib", "email", "traceback", "hashlib", "sqlite3"}
        print(sorted(heavy & set(sys.modules)))
        """)
    assert done.stdout == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonesuch"):
        mlconsole.nonesuch  # type: ignore[attr-defined]  # noqa: B018


def test_the_bundle_holds_the_recorder_and_nothing_else(bundle: str) -> None:
    found = {str(path.relative_to(bundle)) for path in Path(bundle).rglob("*.py")}
    names = {path.name for path in RECORDER.glob("*.py")}
    assert found == {"mlconsole/__init__.py", "mlconsole/version.py", *(f"mlconsole/recorder/{n}" for n in names)}


def test_a_bundle_is_written_once_however_many_ask(tmp_path: Path) -> None:
    places: list[str] = []
    threads = [threading.Thread(target=lambda: places.append(write_bundle(str(tmp_path)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(places)) == 1
    assert len(places) == 8
    assert [path.name for path in tmp_path.iterdir()] == [Path(places[0]).name]


def test_a_bundle_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(OSError):
        write_bundle("/proc/nowhere")


def test_the_bundle_comes_before_an_installed_console(trainer: Trainer) -> None:
    done = subprocess.run(
        [trainer.executable, "-c", "import mlconsole; print(mlconsole.__file__)"],
        env=trainer.environment(),
        cwd=trainer.work,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith(trainer.bundle + os.sep)
