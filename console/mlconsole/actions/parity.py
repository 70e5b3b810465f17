"""Training-serving skew: the same rows to two programs, and the first feature that they do not agree on."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import IO

from mlconsole.actions.base import Action, param
from mlconsole.actions.context import Context
from mlconsole.config import launch_environment
from mlconsole.domain.gates import argv_of
from mlconsole.domain.parity import Parity
from mlconsole.domain.plans import Effect, Plan, Step
from mlconsole.domain.times import parse_duration
from mlconsole.drift.files import TableFile
from mlconsole.errors import ActionFailed, UsageError
from mlconsole.records import record

LOOK_S = 0.05
MOST_BYTES = 2 << 30
"""A program that prints more is ended: it would fill the disk."""
TOLERANCE = 1e-6
LONGEST_WORDS = 300


@record
class ParityParams:
    """Which programs, which rows."""

    train: str | None = param(None, help="command that makes features as training does", metavar="CMD")
    serve: str | None = param(None, help="command that makes them as serving does", metavar="CMD")
    rows: str | None = param(None, help="the rows, given to both on standard input", metavar="FILE")
    tolerance: float = param(TOLERANCE, help="of a standard deviation that is no difference", metavar="X")
    timeout: str = param("10m", help="how long each may take", metavar="TIME")


def _words(params: ParityParams) -> tuple[list[str], list[str], str, float]:
    """Both commands, the file and the seconds.

    Raises:
        UsageError: one of them is missing or wrong.
    """
    if params.train is None or params.serve is None or params.rows is None:
        raise UsageError("Parity is of two commands on the same rows.", "Say all: --train CMD --serve CMD --rows FILE")
    timeout_s = parse_duration(params.timeout)
    if timeout_s is None or timeout_s <= 0:
        raise UsageError(f'"{params.timeout}" is no time.', "Write --timeout 10m.")
    if not 0 <= params.tolerance < 1:
        raise UsageError(f'"{params.tolerance:g}" is no tolerance.', "Write --tolerance 1e-6, or 0 for none.")
    commands = argv_of(params.train), argv_of(params.serve)
    for command, text in zip(commands, (params.train, params.serve), strict=True):
        if not command:
            raise UsageError(f'"{text}" is no command.')
    rows = os.path.abspath(os.path.expanduser(params.rows))
    if not os.path.isfile(rows):
        raise UsageError(f'No file "{params.rows}".')
    return *commands, rows, timeout_s


def plan_parity(ctx: Context, params: ParityParams) -> Plan:
    """What would be run."""
    train, serve, rows, _ = _words(params)
    steps = (
        Step("run what training makes features with, the rows on its standard input", shlex.join(train)),
        Step("run what serving makes them with, the same rows on its standard input", shlex.join(serve)),
        Step("compare what they print, row by row and feature by feature", rows),
    )
    command = ["mlconsole", "drift", "parity", f"--train={params.train}", f"--serve={params.serve}", f"--rows={rows}"]
    return Plan("drift parity", Effect.WRITE, steps, command=shlex.join(command))


def parity(ctx: Context, params: ParityParams) -> Parity:
    """What two programs made of the same rows.

    Raises:
        UsageError: a command or the file is none, or what was printed is no table.
        ActionFailed: a program cannot be run, failed, or took too long.
    """
    from mlconsole.drift.parity import compare
    from mlconsole.drift.table import table_of  # 5 ms, and polars: for tables

    train, serve, rows, timeout_s = _words(params)
    with tempfile.TemporaryDirectory(prefix="mlconsole-parity-") as folder, _as_printed(folder):
        printed = []
        for name, argv in (("train", train), ("serve", serve)):
            path = os.path.join(folder, name)
            _run(ctx, name, argv, rows, path, timeout_s)
            printed.append(table_of(name, [_printed(name, path)]))
        found = compare(printed[0], printed[1], params.tolerance)
    head = (params.rows or "", shlex.join(train), shlex.join(serve), found.rows_train, found.rows_serve)
    return Parity(*head, found.features, params.tolerance, found.is_shuffled)


@contextlib.contextmanager
def _as_printed(folder: str) -> Iterator[None]:
    """Errors of reading what a program printed speak of the program, and show how its print begins."""
    try:
        yield
    except ActionFailed as error:
        name = next((name for name in ("train", "serve") if f'"{os.path.join(folder, name)}"' in error.message), "")
        if not name:
            raise
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            begins = file.read(LONGEST_WORDS).decode("utf-8", "replace").strip().splitlines()[:1]
        hint = f'It begins with "{"".join(begins)}". Print features alone; all else goes to standard error.'
        raise ActionFailed(error.message.replace(f'"{path}"', f"what the {name} command printed"), hint) from error


def _run(ctx: Context, name: str, argv: list[str], rows: str, path: str, timeout_s: float) -> None:
    """Run a program with the rows on its standard input, what it prints in a file; it and its children are ended."""
    env = {**launch_environment(), "MLCONSOLE_ROWS": rows}
    with open(rows, "rb") as given, open(path, "wb") as out, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(argv, stdin=given, stdout=out, stderr=errors, env=env, start_new_session=True)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise ActionFailed(f'The {name} command "{argv[0]}" cannot be run: {why}.') from error
        try:
            why = _waited(ctx, process, path, timeout_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if why or process.returncode:
            raise ActionFailed(f"The {name} command {why or _ended(process.returncode)}.", _last_line(errors))


def _waited(ctx: Context, process: subprocess.Popen[bytes], path: str, timeout_s: float) -> str:
    """Wait until a program has ended; why it is not waited for any longer, empty where it ended by itself."""
    end = time.monotonic() + timeout_s
    while process.poll() is None:
        if ctx.cancelled.is_set():
            return "was stopped"
        if time.monotonic() > end:
            return f"has not ended within {timeout_s:g} s"
        if os.path.getsize(path) > MOST_BYTES:
            return f"printed more than {MOST_BYTES >> 30} GiB"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
    return ""


def _ended(code: int) -> str:
    return f"ended with {code}" if code > 0 else f"was ended by signal {-code}"


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - 4096))
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:LONGEST_WORDS] if lines else ""


def _printed(name: str, path: str) -> TableFile:
    """What a program printed: JSON lines, Parquet, or text with commas."""
    status = os.stat(path)
    with open(path, "rb") as file:
        head = file.read(4096)
    if not head.strip():
        hint = "It has to print features: CSV with a header, or JSON lines."
        raise ActionFailed(f"The {name} command printed nothing.", hint)
    form = "parquet" if head[:4] == b"PAR1" else "json" if head.lstrip()[:1] == b"{" else "csv"
    return TableFile(path, form, "", status.st_size, status.st_mtime)


PARITY = Action(
    "drift parity",
    "Name the first feature that training and serving make differently",
    ParityParams,
    Effect.WRITE,
    parity,
    plan_parity,
    target=lambda p: p.rows or "",
    examples=("mlconsole drift parity --train 'python features.py' --serve 'python serve.py' --rows sample.csv",),
)
