"""Arguments and variables arrive at the program exactly as they were given, on every backend (F-30)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobkit import jobs_of
from mlconsole.conformance.exactness import heard
from mlconsole.plugin_api import Backend

#: What a kernel can carry: any bytes but NUL, seen the way Python shows a command line.
ARGUMENT = st.one_of(
    st.binary(max_size=40).map(lambda data: os.fsdecode(data.replace(b"\0", b""))),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40),
    st.sampled_from(["", "-c", "--", "$HOME", "`id`", "a b", "'", '"', "\\", "\n", "*", "~", "é\udcff", ";|&>"]),
)


@given(st.lists(ARGUMENT, max_size=12))
@example(["--lr", "0.1\n--epochs 9", "$(rm -rf /)", "`id`", "-rf", "", "'; exit 9 #", "%s\x1b[31m"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_argv_at_the_program_equals_argv_given(backend: Backend, arguments: list[str]) -> None:
    if backend.name == "fake":
        return  # Its jobs are started by the local backend.
    with tempfile.TemporaryDirectory() as folder, jobs_of(backend, Path(folder)) as jobs:
        assert heard(jobs, *arguments) == arguments
