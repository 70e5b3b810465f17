"""Plain line mode: the same commands without the alternate screen, for screen readers and dumb terminals."""

from __future__ import annotations

import shlex
import subprocess
import sys

from mlconsole import config
from mlconsole.config import Settings

WELCOME = "mlconsole, plain lines. Type a command as behind the program's name (run list, run show RUN), help, or quit."


def converse(settings: Settings) -> int:
    """Read commands line by line and run each one, until the input ends; returns the exit code of the last.

    Each command runs in a process of its own, so that what it does is what a script would get.
    """
    interactive = sys.stdin.isatty()
    code = run_line(settings, "run list")
    if not interactive:
        return code
    sys.stdout.write(WELCOME + "\n")
    while True:
        sys.stdout.write("> ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line or line.strip() in ("q", "quit", "exit"):
            return code
        if line.strip():
            code = run_line(settings, line)


def run_line(settings: Settings, line: str) -> int:
    """Run one typed command; returns its exit code."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        sys.stderr.write(f"mlconsole: {error}.\n")
        return 2
    words = ["--help"] if words == ["help"] else words
    flags = ["--catalog", str(settings.home), *(["--read-only"] if settings.read_only else [])]
    done = subprocess.run([config.python(), "-P", "-m", "mlconsole", "--plain", *flags, *words], check=False)
    return done.returncode
