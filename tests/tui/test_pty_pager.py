"""The user's pager: it gets the log or the page, and the console comes back as it was."""

from __future__ import annotations

import sys
from pathlib import Path

from program import Program
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
