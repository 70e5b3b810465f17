"""The user's pager: it gets the log or the page, and the console comes back as it was."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import Program, wait_until
from ptyterm import PtyTerm


def test_the_log_and_a_page_open_in_the_pager_and_the_console_comes_back(cli: Program, tmp_path: Path) -> None:
    cli.ended(cli.launch("echo", "a line of the log", name="told"))
    pager = tmp_path / "pager.py"
    seen = tmp_path / "seen"
    pager.write_text(
        f"import shutil, sys\nshutil.copy(sys.argv[-1], {str(seen)!r})\nprint('IN THE PAGER')\nsys.stdin.readline()\n"
    )
    env = {"PAGER": f"{sys.executable} {pager}", "MLCONSOLE_CONFIG": "/nonexistent"}
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(cli.home)]
    with PtyTerm(argv, 80, 24, env) as term:
        term.wait_for("? help")
        term.send("\r3")
        term.wait_for("a line of the log")
        term.send("v")
        term.wait_for("IN THE PAGER")
        assert seen.read_text() == "a line of the log\n"
        term.send("\r")
        term.wait_for("Run told")
        term.wait_gone("IN THE PAGER")
        term.send("7v")
        term.wait_until(
            lambda: seen.exists() and "launch was asked for" in seen.read_text(), "the timeline in the pager"
        )
        term.send("\r")
        term.wait_for("7 timeline")
        term.send("q")
        assert term.wait_exit() == 0


EDITOR = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"THE EDITOR TOOK IT\\n"))  # print may be at work already
path = sys.argv[-1]
print("IN THE EDITOR", open(path).read(), flush=True)
for line in sys.stdin:
    if line.strip():
        open(path, "w").write(line)
    break
"""


@pytest.fixture
def term(cli: Program, tmp_path: Path) -> Iterator[PtyTerm]:
    (tmp_path / "editor.py").write_text(EDITOR)
    env = {"EDITOR": f"{sys.executable} {tmp_path / 'editor.py'}", "MLCONSOLE_CONFIG": "/nonexistent"}
    with PtyTerm([sys.executable, "-P", "-m", "mlconsole", "--catalog", str(cli.home)], 90, 24, env) as term:
        term.wait_for("? help")
        yield term


def test_a_command_is_edited_in_the_editor_and_interrupting_that_is_the_editors_affair(term: PtyTerm) -> None:
    term.send("lecho hello")
    term.wait_for("hello")
    term.send("\x0f")
    term.wait_for("IN THE EDITOR echo hello")
    term.send("\x03")
    term.wait_for("THE EDITOR TOOK IT")
    term.send("echo 'good bye'\r")
    term.wait_for("-- echo 'good bye'")
    term.wait_gone("IN THE EDITOR")
    term.send("\x1b")
    term.wait_gone("Start a program")
    term.send("q")
    assert term.wait_exit() == 0


def test_a_console_that_is_told_to_end_while_the_editor_has_the_terminal_ends_it_too(term: PtyTerm) -> None:
    term.send("lecho hello\x0f")
    term.wait_for("IN THE EDITOR")
    group = os.tcgetpgrp(term.fd)
    assert group != os.getpgid(term.pid)
    term.signal(signal.SIGTERM)
    assert term.wait_exit(4.0) == 128 + signal.SIGTERM
    wait_until(
        lambda: not Path(f"/proc/{group}").exists() or "\tZ" in Path(f"/proc/{group}/status").read_text(),
        "the editor to end",
    )
    assert termios.tcgetattr(term.fd)[3] & termios.ECHO


def test_an_editor_that_is_not_there_is_said_by_its_name(cli: Program) -> None:
    cli.ended(cli.launch("true", name="told"))
    env = {"EDITOR": "no-such-editor -x", "MLCONSOLE_CONFIG": "/nonexistent"}
    with PtyTerm([sys.executable, "-P", "-m", "mlconsole", "--catalog", str(cli.home)], 90, 24, env) as term:
        term.wait_for("told")
        term.send("\r2V")
        term.wait_for('"no-such-editor" could not be opened')
        term.send("q")
        assert term.wait_exit() == 0
