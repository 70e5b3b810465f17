"""The ``--engines`` option: engines come up before the first test, go after the last; what ran on them is counted."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from engines.daemons import NotHad

NAMES = ("ssh", "slurm", "ray")
ENGINES = pytest.StashKey["Engines"]()


class Engine(Protocol):
    def up(self) -> None: ...

    def down(self) -> None: ...


class Engines:
    """The engines that were asked for, and why one could not be had."""

    def __init__(self, names: list[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlce-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.up: dict[str, Engine] = {}
        self.missing: dict[str, str] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        try:
            for name in names:
                self._start(name)
            self._configure()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def folder_of(config: pytest.Config) -> Path:
        """Where the engines of this test run have their files."""
        return config.stash[ENGINES].folder

    def _start(self, name: str) -> None:
        place = self.folder / name
        place.mkdir(mode=0o755)
        engine = make(name, place)
        try:
            engine.up()
            self.up[name] = engine
        except NotHad as why:
            self.missing[name] = str(why)
            engine.down()

    def _configure(self) -> None:
        lines = [line for name, engine in self.up.items() for line in settings(name, engine, self.folder)]
        path = self.folder / "config.toml"
        path.write_text("\n".join(lines) + "\n")
        os.environ["MLCONSOLE_CONFIG"] = str(path)

    def close(self) -> None:
        for engine in self.up.values():
            engine.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def words(self) -> str:
        parts = []
        for name in [*self.up, *self.missing]:
            done = ", ".join(f"{self.counts[name, what]} {what}" for what in ("passed", "failed", "skipped"))
            parts.append(f"{name}: not had, {self.missing[name]}" if name in self.missing else f"{name}: {done}")
        return "; ".join(parts)


def make(name: str, place: Path) -> Engine:
    from engines.fleet import Fleet
    from engines.ray import Ray
    from engines.slurm import Slurm

    return {"ssh": Fleet, "slurm": Slurm, "ray": Ray}[name](place)


def settings(name: str, engine: Engine, folder: Path) -> list[str]:
    """The lines of a settings file that point a backend at an engine."""
    from engines.fleet import Fleet
    from engines.ray import Ray
    from engines.slurm import Slurm

    if isinstance(engine, Fleet):
        where = f'config = "{engine.config}"\nroot = "{folder}/far"'
        return ["[backends.ssh]", f"hosts = {engine.names}".replace("'", '"'), 'default = "h1"', where]
    if isinstance(engine, Slurm):
        return ["[backends.slurm]", f'python = "{sys.executable}"']
    if isinstance(engine, Ray):
        return ["[backends.ray]", f'address = "{engine.address}"', f'python = "{sys.executable}"']
    return []


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "real engines to bring up on this machine, as root: " + ",".join(NAMES)
    parser.addoption("--engines", default=os.environ.get("MLCONSOLE_ENGINES", ""), help=words)
    parser.addoption("--engines-only", action="store_true", help="run only what runs on these engines")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--engines-only"):
        names = config.getoption("--engines").split(",")
        config.hook.pytest_deselected(items=[each for each in items if engine_of(each) not in names])
        items[:] = [each for each in items if engine_of(each) in names]


def pytest_configure(config: pytest.Config) -> None:
    names = [each for each in config.getoption("--engines").split(",") if each]
    if unknown := set(names) - set(NAMES):
        raise pytest.UsageError(f"no such engine: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if names and not hasattr(config, "workerinput"):
        config.stash[ENGINES] = Engines(names)


def pytest_unconfigure(config: pytest.Config) -> None:
    if engines := config.stash.get(ENGINES, None):
        engines.close()


def engine_of(item: pytest.Item) -> str:
    """The engine that a test needs: by its mark, or by the backend that it runs over."""
    mark = item.get_closest_marker("engine")
    call = getattr(item, "callspec", None)
    params: Mapping[str, object] = call.params if call else {}
    name = mark.args[0] if mark else params.get("backend", "")
    return name if isinstance(name, str) and name in NAMES else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    name = engine_of(item)
    engines = item.config.stash.get(ENGINES, None)
    if name and (engines is None or name not in engines.up):
        why = engines.missing.get(name, "it was not asked for") if engines else "it was not asked for"
        pytest.skip(f"engine {name}: {why} (--engines={name})")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = yield
    engines, name = item.config.stash.get(ENGINES, None), engine_of(item)
    if engines and name and (report.when == "call" or (report.when == "setup" and not report.passed)):
        engines.counts[name, report.outcome] += 1
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    engines = config.stash.get(ENGINES, None)
    words = engines.words() if engines else "none (ask with --engines=ssh,slurm,ray)"
    terminalreporter.write_line(f"engines: {words}")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine that a marked test runs on."""
    found: Engine = request.config.stash[ENGINES].up[engine_of(request.node)]
    return found
