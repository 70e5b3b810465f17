"""What a headless read command may import: nothing that a glance at a list should pay for."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest

from mlconsole import actions
from mlconsole.actions.base import Action, option_of
from mlconsole.domain.plans import Effect
from program import Program

HEAVY = {"textual", "rich", "plotly", "httpx", "pynvml", "sqlite_utils", "torch", "numpy", "asyncio"}
# A report is drawn with plotly; a check-up looks at everything that is installed; a server serves until it is ended.
EXEMPT = {"report", "doctor", "web"}
READS = [action for action in actions.every() if action.effect is Effect.READ and action.name not in EXEMPT]
# Each of these costs more than reading a page of runs; a module that every command loads does without.
DEAR = {"dataclasses", "inspect", "ast", "asyncio", "subprocess", "tempfile", "shutil", "logging", "tomllib"}
MOST_PACKAGES, MOST_OF_OURS = 84, 54
"""What a "run list" may end with: 76 and 48 as this is written; 30 of the former every interpreter starts with."""
CURSOR = {"run": ["alpha"], "marked": ["alpha", "beta"], "metric": ["loss"]}
PROBE = """
import json, sys
from mlconsole.__main__ import main
try:
    main()
finally:
    json.dump([sorted(sys.modules), sorted(m for m in sys.modules if m.startswith("mlconsole."))], sys.stderr)
"""


def words_for(action: Action[Any]) -> list[str]:
    """A command line of the action that the lab's catalog can answer."""
    positional = [option_of(field) for field in dataclasses.fields(action.params) if option_of(field).positional]
    return [*action.name.split(), *(word for option in positional for word in CURSOR.get(option.cursor, []))]


def imported_by(program: Program, *words: str) -> tuple[set[str], set[str]]:
    """Top-level packages, and our own modules, that one command ends with."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROBE, *words],
        cwd=program.cwd,
        env=program.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    everything, ours = json.loads(done.stderr.splitlines()[-1])
    return {module.partition(".")[0] for module in everything}, set(ours)


@pytest.mark.parametrize("action", READS, ids=lambda action: action.name)
@pytest.mark.parametrize("flag", [(), ("--json",)], ids=["text", "json"])
def test_a_read_command_imports_nothing_heavy(lab: Program, action: Action[Any], flag: tuple[str, ...]) -> None:
    packages, _ = imported_by(lab, *words_for(action), *flag)

    assert packages & HEAVY == set()


def test_the_probe_sees_what_a_report_imports(lab: Program) -> None:
    packages, _ = imported_by(lab, "report", "alpha")

    assert "plotly" in packages


def test_a_list_of_runs_loads_neither_screens_nor_the_actions_of_others(lab: Program) -> None:
    _, ours = imported_by(lab, "run", "list")

    assert not any(module.startswith("mlconsole.tui") for module in ours)
    assert ours & {"mlconsole.actions.launch", "mlconsole.actions.run_stop", "mlconsole.actions.report"} == set()


def test_a_list_of_runs_loads_few_modules_and_none_that_is_dear(lab: Program) -> None:
    packages, ours = imported_by(lab, "run", "list")

    assert packages & DEAR == set()
    assert len(packages) <= MOST_PACKAGES
    assert len(ours) <= MOST_OF_OURS


OPENED = """
import asyncio, json, sys
from mlconsole import config
from mlconsole.actions.context import Context
from mlconsole.tui.console import Console

async def main():
    async with Console(Context(config.load(read_only=True))).run_test() as pilot:
        await pilot.pause()
        json.dump(sorted(sys.modules), sys.stdout)

asyncio.run(main())
"""
MOST_OF_THE_CONSOLES_OWN = 110
"""102 as this is written; each is a tenth of a millisecond at the least, before the first key is answered."""


def test_a_console_that_stands_has_loaded_few_modules_and_nothing_that_its_keys_do(lab: Program) -> None:
    command = [sys.executable, "-P", "-c", OPENED]
    env = lab.environment()
    done = subprocess.run(command, cwd=lab.cwd, env=env, capture_output=True, text=True, timeout=60, check=True)
    ours = [module for module in json.loads(done.stdout) if module.startswith("mlconsole.")]
    last = {module.rpartition(".")[2] for module in ours}

    assert last & {"gpu", "gpu_rows", "costs", "ledger", "prices", "launch", "run_stop", "teardown", "report"} == set()
    assert len(ours) <= MOST_OF_THE_CONSOLES_OWN


WITHOUT_TLS = """
import sys
from mlconsole.tui.start import load_asyncio

load_asyncio()
import mlconsole.tui.console
assert not {"ssl", "_ssl"} & set(sys.modules), "OpenSSL is 9 ms and 5 MB"
import httpx
assert httpx.create_ssl_context().verify_mode
"""


def test_a_console_opens_without_tls_and_a_notifier_still_has_it() -> None:
    subprocess.run([sys.executable, "-P", "-c", WITHOUT_TLS], timeout=60, check=True)
