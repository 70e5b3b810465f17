"""The console at a real terminal: signals, a lost terminal, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import Program, wait_until
from ptyterm import PtyTerm

EXIT_S = 2.0


def opened(home: Path, *flags: str, columns: int = 80, lines: int = 24, **env: str) -> PtyTerm:
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(home), *flags]
    return PtyTerm(argv, columns, lines, {"MLCONSOLE_CONFIG": "/nonexistent", **env})


@pytest.fixture
def job(cli: Program) -> str:
    """A job that outlives every console of these tests."""
    return cli.launch("sleep", "600", name="sleeper")


@pytest.fixture
def term(cli: Program, job: str) -> Iterator[PtyTerm]:
    with opened(cli.home) as term:
        term.wait_for("rw")
        term.wait_for("sleeper")
        yield term


def is_restored(raw: bytes) -> bool:
    left = max(raw.rfind(b"\x1b[?1049l"), 0)
    return left > raw.rfind(b"\x1b[?1049h") and raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_ends_it_with_the_terminal_restored_and_jobs_going_on(
    cli: Program, job: str, term: PtyTerm, number: signal.Signals
) -> None:
    began = time.monotonic()
    term.signal(number)
    assert term.wait_exit(EXIT_S + 1) == 128 + number
    assert time.monotonic() - began < EXIT_S
    assert is_restored(bytes(term.raw))
    assert cli.json("run", "show", job)["state"] == "running"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_before_the_app_runs_restores_the_terminal_too(cli: Program, number: signal.Signals) -> None:
    cli("run", "list")
    with opened(cli.home) as term:
        before = termios.tcgetattr(term.fd)
        term.wait_until(lambda: b"\x1b[?1049h" in term.raw, "the first picture")
        term.signal(number)
        assert term.wait_exit(EXIT_S) == 128 + number
        assert is_restored(bytes(term.raw))
        assert termios.tcgetattr(term.fd)[3] == before[3]


def test_a_lost_terminal_ends_it_and_no_console_is_left(cli: Program, job: str, term: PtyTerm) -> None:
    term.hang_up()

    def has_ended() -> bool:
        pid, _ = os.waitpid(term.pid, os.WNOHANG)
        return pid == term.pid

    wait_until(has_ended, "the end of the console", EXIT_S + 1)
    term.exit_status = 0
    assert cli.json("run", "show", job)["state"] == "running"


def test_it_is_suspended_and_comes_back_with_the_same_picture(cli: Program, job: str, term: PtyTerm) -> None:
    term.settle(0.3)
    term.send("ctrl+z")

    def is_stopped() -> bool:
        term.pump(0.01)
        return Path(f"/proc/{term.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    wait_until(is_stopped, "the console to stop", EXIT_S)
    assert is_restored(bytes(term.raw))
    assert termios.tcgetattr(term.fd)[3] & termios.ECHO
    term.screen.reset()
    term.signal(signal.SIGCONT)
    term.wait_for("sleeper")
    term.wait_for(": go to")
    term.send("q")
    assert term.wait_exit() == 0


def test_the_terminal_is_as_it_was_found_after_quitting(cli: Program) -> None:
    cli("run", "list")
    with opened(cli.home) as term:
        before = termios.tcgetattr(term.fd)
        term.wait_for("rw")
        term.send("q")
        assert term.wait_exit() == 0
        assert termios.tcgetattr(term.fd)[:4] == before[:4]


def test_what_is_typed_before_the_app_runs_is_not_lost_nor_echoed(cli: Program, job: str) -> None:
    with opened(cli.home) as term:
        term.wait_until(lambda: b"\x1b[?1049h" in term.raw, "the first picture")
        term.send(":", "audit", "enter")
        term.wait_for("Audit")
        term.wait_for("launch")


def test_a_resize_storm_ends_in_a_right_picture(cli: Program, job: str, term: PtyTerm) -> None:
    for columns, lines in ((200, 60), (40, 10), (120, 40), (20, 5), (90, 20)):
        term.resize(columns, lines)
    term.wait_until(lambda: "sleeper" in term.text and term.text.splitlines()[-1].strip().endswith("quit"), "the keys")
    assert len(term.text.splitlines()) == 20


def test_no_colour_sequence_is_sent_without_colour(cli: Program, job: str) -> None:
    colour = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")
    for flags, env in (((), {"NO_COLOR": "1"}), (("--no-color",), {})):
        with opened(cli.home, *flags, **env) as term:
            term.wait_for("rw")
            for keys in (("enter",), ("2",), ("-",), ("l",), ("escape",), ("s",), ("escape",), ("?",), ("escape",)):
                term.send(*keys)
                term.settle()
            assert not colour.search(bytes(term.raw))
    with opened(cli.home) as term:
        term.wait_for("rw")
        assert colour.search(bytes(term.raw))


@pytest.mark.parametrize("env", [{"MLCONSOLE_ASCII": "1"}, {"LC_ALL": "POSIX"}, {"LANG": "de_DE.ISO-8859-1"}], ids=str)
def test_ascii_mode_sends_ascii_alone(cli: Program, env: dict[str, str]) -> None:
    cli.launch("true", name="模型 ünï ✔ ● \u2800⣿")
    with opened(cli.home, **env) as term:
        term.wait_for("rw")
        for keys in (
            ("enter",),
            ("2",),
            ("7",),
            ("-",),
            ("l",),
            ("escape",),
            ("?",),
            ("escape",),
            (":", "overview", "enter"),
        ):
            term.send(*keys)
            term.settle()
        assert bytes(term.raw).isascii()
        term.wait_for("? help")


def test_a_dumb_terminal_and_plain_mode_never_see_the_alternate_screen(cli: Program, job: str) -> None:
    for flags, env in ((("--plain",), {}), ((), {"TERM": "dumb"})):
        with opened(cli.home, *flags, **env) as term:
            term.wait_for("sleeper")
            term.wait_for(">")
            term.send("run show sleeper", "enter")
            term.wait_for("running")
            term.send("quit", "enter")
            assert term.wait_exit() == 0
            assert b"\x1b[?1049" not in term.raw
