"""The console at a real terminal over catalogs of two sizes: bytes and CPU stay in their bounds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bench_console import interactive, opened, pressed
from benchmarks.synthetic import make
from catalogkit import WrittenLog
from ptyterm import PtyTerm

SLACK = 2.5
"""Bounds on CPU are the budget times this: machines differ, and a regression is larger."""


@pytest.fixture(scope="module", params=[1_000, 100_000], ids=["1k", "100k"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("sized") / "lab"
    make(found, request.param)
    return found


@pytest.fixture
def term(home: Path) -> Iterator[PtyTerm]:
    with opened(home, None, "--read-only") as term:
        interactive(term)
        term.settle(1.0)
        yield term


def test_it_is_interactive_within_its_cpu_and_its_first_screen_within_its_bytes(home: Path) -> None:
    costs = []
    for _ in range(3):
        with opened(home, None, "--read-only") as term:
            costs.append(interactive(term).cpu_s)
            term.settle(1.0)
            assert len(term.raw) <= 10_000
    assert min(costs) <= 0.30 * SLACK


def test_a_move_and_a_page_stay_within_their_bytes_and_cpu(term: PtyTerm) -> None:
    moves = pressed(term, "j", 15)
    assert max(cost.bytes for cost in moves) <= 300
    assert statistics.median(cost.cpu_s for cost in moves) <= 0.003 * SLACK
    pages = pressed(term, "pagedown", 5, 0.2)
    assert max(cost.bytes for cost in pages) <= 6_000


def test_nothing_is_sent_for_six_seconds_when_nothing_changes(term: PtyTerm) -> None:
    with term.measured() as idle:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            term.pump(0.5)
    assert idle.bytes == 0
    assert idle.cpu_s < 0.5


def test_memory_stays_in_its_bound(term: PtyTerm) -> None:
    assert term.rss_kib() <= 55_000_000 / 1024 * 1.15


def test_filtering_does_not_hold_on_to_a_connection_for_each_keystroke(term: PtyTerm) -> None:
    term.send("/")
    term.settle(0.3)

    def open_catalogs() -> int:
        return sum("catalog.db" in str(link.resolve()) for link in Path(f"/proc/{term.pid}/fd").iterdir())

    for _ in range(3):
        for char in "churn":
            term.send(char)
            term.settle(0.1)
        term.send(*["backspace"] * 5)
        term.settle(0.3)
        term.send("/")
        term.settle(0.2)
    assert open_catalogs() <= 24


def test_the_first_picture_loads_nothing_of_textual() -> None:
    code = (
        "import sys; from mlconsole.tui import start, first_frame; from mlconsole.actions.context import Context;"
        "bad = {'textual', 'rich', 'asyncio', 'plotly', 'sqlite_utils', 'torch', 'numpy', 'httpx', 'pynvml'};"
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "env",
    [{}, {"MLCONSOLE_THEME": "mono"}, {"NO_COLOR": "1"}, {"TERM": "xterm", "COLORTERM": ""}, {"MLCONSOLE_ASCII": "1"}],
    ids=["dark", "mono", "no-colour", "16", "ascii"],
)
@pytest.mark.parametrize("columns", [44, 120])
@pytest.mark.parametrize("home", [1_000], indirect=True)
def test_taking_over_the_first_picture_leaves_every_cell_as_a_whole_repaint_does(
    home: Path, env: dict[str, str], columns: int
) -> None:
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(home), "--read-only"]
    own = {"MLCONSOLE_CONFIG": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "", **env}
    with PtyTerm(argv, columns, 20, own) as term:
        interactive(term, ">" if "MLCONSOLE_ASCII" in env else "▌")
        term.settle(1.0)
        taken_over = looks(term)
        term.send("ctrl+l")
        term.settle(0.5)
        assert looks(term) == taken_over


@pytest.mark.parametrize("has_catalog", [True, False])
def test_standard_error_may_go_elsewhere(tmp_path: Path, has_catalog: bool) -> None:
    if has_catalog:
        make(tmp_path / "lab", 5)
    command = f"exec {sys.executable} -m mlconsole --catalog {tmp_path / 'lab'} 2>{tmp_path / 'errors'}"
    with PtyTerm(["sh", "-c", command], 100, 20) as term:
        term.wait_for("Runs")
        term.send("?")
        term.wait_for("Esc closes")
        term.send("escape")
        term.wait_gone("Esc closes")
        term.send("q")
        assert term.wait_exit() == 0

    assert (tmp_path / "errors").read_text() == ""


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=str
)
def test_a_terminal_of_another_encoding_shows_what_it_can(tmp_path: Path, env: dict[str, str]) -> None:
    WrittenLog(tmp_path, "a" * 12).begin(name="\u5b66\u7fd2-1").end()
    argv = [sys.executable, "-m", "mlconsole", "--catalog", str(tmp_path)]
    for _ in range(2):  # the second time it is in the first picture
        with PtyTerm(argv, 100, 20, env) as term:
            term.wait_for("?-1 ")
            term.wait_for("+ succeeded")
            term.send("q")
            assert term.wait_exit() == 0


def looks(term: PtyTerm) -> list[list[tuple[object, ...]]]:
    """Every cell of the terminal with all that is seen of it: on a blank, its background and its lines."""
    lines = []
    for y in range(term.screen.lines):
        cells = [term.screen.buffer[y][x] for x in range(term.screen.columns)]
        lines.append(
            [
                (cell.data, cell.bg, cell.reverse, cell.underscore, *((cell.fg, cell.bold) if cell.data != " " else ()))
                for cell in cells
            ]
        )
    return lines
