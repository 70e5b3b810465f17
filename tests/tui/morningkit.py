"""The fixed catalog on the morning after: what fired, what policies did, a monitor, a log, files, a diff."""

from __future__ import annotations

import functools
import json
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

from consolekit import BAD, NOW, UPTIME, Stage, stage
from watchkit import a_night

from fakes.backends import CalmBackend
from mlconsole.actions.context import Context
from mlconsole.actions.execute import execute
from mlconsole.actions.monitor import ADD, AddParams
from mlconsole.actions.monitor_check import CHECK, MonitorParams
from mlconsole.config import Settings
from mlconsole.plugin_api import Handle

SEED = 11
LOG = "".join(f"epoch {epoch:2}  loss {2 / epoch:.4f}  lr 0.01  \x1b[32mok\x1b[0m\n" for epoch in range(1, 30)) + (
    "WARNING the gradient's norm is 1.2e+09\n"
    'Traceback (most recent call last):\n  File "train.py", line 12, in <module>\nValueError: loss is nan\n'
)
DIFF = """diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -10,3 +10,3 @@ def train(args):
-    loss = criterion(model(x), y)
+    loss = criterion(model(x), y) / args.scale
     loss.backward()
"""


class LoggingBackend(CalmBackend):
    """A calm backend that keeps one log for all of its runs, in a file of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def log_path(self, handle: Handle, stream: str) -> str | None:
        return str(self._path)


def morning(home: Path, **settings: object) -> Stage:
    """A stage on a copy of it."""
    shutil.copytree(Path(_made().name) / "lab", home)
    return stage(home, LoggingBackend(home / "output.log"), **settings)


@functools.cache
def _made() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    home = Path(folder.name) / "lab"
    stage(home)
    _monitored(home, Path(folder.name))
    a_night(home)
    db = sqlite3.connect(home / "catalog.db")
    with db:
        _of_a_run(db, home)
        _same_everywhere(db)
    db.close()
    return folder


def _monitored(home: Path, work: Path) -> None:
    """A monitor whose data has moved in two of three columns."""
    r = random.Random(SEED)
    for name, shift in (("train", 0.0), ("live", 1.0)):
        rows = [f"{r.gauss(40 + shift * 10, 10):.3f},{r.gauss(70, 20):.2f},{r.choice('abcc')}" for _ in range(400)]
        (work / f"{name}.csv").write_text("\n".join(["tenure,monthly_charges,plan", *rows]) + "\n")
    ctx = Context(Settings(home=home, user="ada", host="gpu-07"), clock=lambda: NOW, uptime=lambda: UPTIME)
    try:
        execute(ctx, ADD, AddParams("sales", str(work / "train.csv"), str(work / "live.csv"), "rows:100"))
        execute(ctx, CHECK, MonitorParams("sales"))
    finally:
        ctx.close()


def _of_a_run(db: sqlite3.Connection, home: Path) -> None:
    """The failed run was launched from here, printed something, kept files, and its code differs from its commit."""
    (run_id,) = db.execute("SELECT id FROM run WHERE n = ?", (BAD,)).fetchone()
    db.execute("UPDATE run SET backend = 'local', token = id || '.1', handle = '{}' WHERE n = ?", (BAD,))
    code = {"commit": "4d1e" * 10, "branch": "main", "dirty": True, "diff_path": "diff.patch"}
    db.execute("UPDATE detail SET code = ? WHERE run = ?", (json.dumps(code), BAD))
    files = (
        ("dataset", "churn@4", "/data/churn/2023-11", 812_000_000),
        ("model", "churn", "weights.safetensors", 26_800),
    )
    db.executemany(
        "INSERT INTO artifact (run, kind, name, path, size_bytes, digest, at_us) VALUES (?, ?, ?, ?, ?, ?, 0)",
        [(BAD, *file, f"sha256:{file[1]:0<64}") for file in files],
    )
    kept = home / "runs" / run_id / "code"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "diff.patch").write_text(DIFF)
    (home / "output.log").write_text(LOG)


def _same_everywhere(db: sqlite3.Connection) -> None:
    """In place of ids that are drawn, of paths and of digests of this process, what is the same on every machine."""
    drawn = {found: f"alert{number:03}" for number, found in db.execute("SELECT n, id FROM alert")}
    drawn |= {found: "r00000000001" for (found,) in db.execute("SELECT id FROM run WHERE name = 'churn-again'")}
    for path, digest in db.execute("SELECT source, digest FROM monitor_baseline"):
        drawn |= {str(Path(path).parent): "/data", digest: f"blake3:{'ba5e' * 16}"}
    guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event'").fetchall()
    for name, _ in guards:
        db.execute(f'DROP TRIGGER "{name}"')
    for table in ("alert", "event", "firing", "caused", "run", "monitor", "monitor_baseline"):
        texts = [name for _, name, kind, *_ in db.execute(f'PRAGMA table_info("{table}")') if kind == "TEXT"]
        for name in texts:
            for old, new in drawn.items():
                db.execute(
                    f'UPDATE "{table}" SET "{name}" = replace("{name}", ?, ?) WHERE instr("{name}", ?)', (old, new, old)
                )
    for _, sql in guards:
        db.execute(sql)
