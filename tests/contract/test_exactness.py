"""Arguments and variables arrive at the program exactly as they were given, on every backend."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobkit import Jobs, jobs_of
from mlconsole.plugin_api import Backend, RunsHere, UsageError

#: What a kernel can carry: any bytes but NUL, seen the way Python shows a command line.
ARGUMENT = st.one_of(
    st.binary(max_size=40).map(lambda data: os.fsdecode(data.replace(b"\0", b""))),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40),
    st.sampled_from(["", "-c", "--", "$HOME", "`id`", "a b", "'", '"', "\\", "\n", "*", "~", "é\udcff", ";|&>"]),
)

ECHO = "import json, os, sys; print(json.dumps([os.fsencode(each).hex() for each in sys.argv[1:]]))"
ENVIRONMENT = """
import json, os
print(json.dumps({name.hex(): value.hex() for name, value in os.environb.items()}))
"""


def heard(jobs: Jobs, *arguments: str) -> list[str]:
    handle = jobs.python(ECHO, *arguments)
    jobs.ended(handle)
    return [os.fsdecode(bytes.fromhex(each)) for each in json.loads(jobs.output(handle))]


@given(st.lists(ARGUMENT, max_size=12))
@example(["--lr", "0.1\n--epochs 9", "$(rm -rf /)", "`id`", "-rf", "", "'; exit 9 #", "%s\x1b[31m"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_argv_at_the_program_equals_argv_given(backend: Backend, arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, jobs_of(backend, Path(folder)) as jobs:
        assert heard(jobs, *arguments) == arguments


@pytest.mark.parametrize("name", ["-x", "a b", "$(id)", "two\nlines", "é"])
def test_a_program_of_any_name_is_found(jobs: Jobs, tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o755)
    handle = jobs.submit(str(program))
    jobs.ended(handle)
    assert jobs.output(handle) == b"here\n"


def seen_by_program(jobs: Jobs, env: dict[str, str]) -> dict[str, str]:
    handle = jobs.python(ENVIRONMENT, env=env)
    jobs.ended(handle)
    pairs = json.loads(jobs.output(handle)).items()
    return {os.fsdecode(bytes.fromhex(name)): os.fsdecode(bytes.fromhex(value)) for name, value in pairs}


def test_variables_arrive_as_given(jobs: Jobs) -> None:
    given_env = {"LR": "0.1", "EMPTY": "", "LINES": "a\nb", "META": "$HOME `id` 'x'", "BYTES": "é\udcff", "a.b": "="}
    found = seen_by_program(jobs, given_env)
    assert {name: found.get(name) for name in given_env} == given_env


def test_the_program_starts_from_the_launching_environment(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (isinstance(jobs.backend, RunsHere) and jobs.backend.runs_here()):
        pytest.skip(f"the jobs of backend {jobs.backend.name} start from the environment of where they run")
    monkeypatch.setenv("FROM_THE_LAUNCHER", "yes")
    monkeypatch.setenv("REPLACED", "launcher")
    found = seen_by_program(jobs, {"REPLACED": "spec"})
    assert (found["FROM_THE_LAUNCHER"], found["REPLACED"]) == ("yes", "spec")


def test_a_large_environment_arrives(jobs: Jobs) -> None:
    big = {f"BIG_{number}": "x" * 10_000 for number in range(20)}
    found = seen_by_program(jobs, big)
    assert {name: found.get(name) for name in big} == big


@pytest.mark.parametrize("wrong", [{"A=B": "1"}, {"": "1"}, {"A": "x\0y"}])
def test_a_variable_that_no_machine_can_hold_is_a_usage_error(jobs: Jobs, wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        jobs.python("pass", env=wrong)


@pytest.mark.parametrize("wrong", ["a\0b", "\ud800"])
def test_an_argument_that_no_program_can_receive_is_a_usage_error(jobs: Jobs, wrong: str) -> None:
    with pytest.raises(UsageError):
        jobs.python("pass", wrong)
