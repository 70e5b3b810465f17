"""The console in a browser: on loopback alone, and only looking unless it is said otherwise."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mlconsole import config
from mlconsole.actions.context import Context
from mlconsole.actions.web import LOOPBACK, WebParams, command
from program import Program


@pytest.mark.parametrize(
    ("writable", "read_only", "looks_only"), [(False, False, True), (True, False, False), (True, True, True)]
)
def test_visitors_may_only_look_unless_it_is_said_otherwise(
    tmp_path: Path, writable: bool, read_only: bool, looks_only: bool
) -> None:
    ctx = Context(config.load({}, catalog=str(tmp_path / "a b"), read_only=read_only))
    words = shlex.split(command(ctx, WebParams(writable=writable)))
    assert str(tmp_path / "a b") in words
    assert ("--read-only" in words) is looks_only


def test_it_listens_on_loopback() -> None:
    assert LOOPBACK == "127.0.0.1"


def test_an_impossible_port_is_refused(cli: Program) -> None:
    done = cli("web", "--port", "70000")
    assert (done.code, '"70000" is not a port' in done.err) == (2, True)
