"""A catalog in whose every place a stranger can reach stands a hostile text: what a night leaves, poisoned."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from consolekit import NOW
from gpuscene import GPUS, HOST

from mlconsole.records import replace
from mlconsole.telemetry.replay import Recording
from mlconsole.telemetry.simulation import Simulation


@dataclass(frozen=True)
class Copied:
    """A table of which a row is copied for every text.

    Attributes:
        table: which.
        texts: columns that get the text.
        parents: columns that point to the row that was copied before for the same text, by its table.
        fixed: columns that get something else, made from the number of the text and the text.
    """

    table: str
    texts: str = ""
    parents: str = ""
    fixed: tuple[tuple[str, Any], ...] = ()


def _mapping(number: int, text: str) -> str:
    return json.dumps({text: text})


def _body(number: int, text: str) -> str:
    body = {"axis": "code", "closed": True, "content": "", "id": text, "note": text, "provides": {text: text}}
    return json.dumps({**body, "requires": [f"config:{text}>=1"]})


def _answers(number: int, text: str) -> str:
    return json.dumps([[text, "fail", text]])


TABLES = (
    Copied(
        "alert", "cause source subject title who why", fixed=(("id", lambda n, t: f"hostile{n}"), ("data", _mapping))
    ),
    Copied("alert_part", "name words", "alert"),
    Copied("alert_change", "who why", "alert"),
    Copied("policy", "name file applied_by"),
    Copied("firing", "key why who", "policy", (("given", _mapping),)),
    Copied("monitor", "name live created_by trouble"),
    Copied("monitor_baseline", "source set_by why", "monitor"),
    Copied("monitor_window", "label worst worst_test", "monitor"),
    Copied("model", "name"),
    Copied(
        "model_version",
        "digest owner run_id",
        "model",
        (("metrics", lambda n, t: json.dumps({t: 0.5})), ("version", 1)),
    ),
    Copied("model_alias", "alias", "model", (("version", 1),)),
    Copied("member", "digest id content label", fixed=(("axis", "code"), ("body", _body))),
    Copied("release", "name created_by", fixed=(("id", lambda n, t: f"blake3:{n:064x}"),)),
    Copied("release_member", "", "release member", (("axis", "code"),)),
    Copied("environment", "name target host created_by breaker", "release", (("settings", _mapping),)),
    Copied("rollout", "asked_by message override accepted", "environment release", (("answers", _answers),)),
    Copied("rollout_step", "words", "rollout"),
    Copied("pointer_move", "actor reason", "environment release rollout", (("before", None),)),
    Copied("node", "key label"),
)
INSERTED = (
    ("budget", {"microusd": 10**9, "scope": "user", "period": "month", "is_hard": 0, "set_us": 0}, "name who"),
    ("sweep", {"created_us": 0}, "id name user"),
    ("pin", {"environment": 1, "at_us": 0}, "axis actor reason"),
    ("freeze", {"environment": 1, "since_us": 0, "until_us": 1 << 60}, "actor reason"),
)


def poison_places(home: Path, texts: list[str]) -> None:
    """Copy a row of every table for each text, with the text in its columns."""
    db = sqlite3.connect(home / "catalog.db")
    db.row_factory = sqlite3.Row
    with db:
        for number, text in enumerate(texts):
            made: dict[str, int] = {}
            for copied in TABLES:
                made[copied.table] = _copy(db, copied, number, text, made)
            _file(db, made["model_version"], text)
            for table, fixed, names in INSERTED:
                grid = {"grid": json.dumps({text: [text]})} if table == "sweep" else {}
                axis = {"axis": ("code", "data", "model", "config", "env")[number % 5]} if table == "pin" else {}
                _insert(db, table, {**fixed, **grid, **dict.fromkeys(names.split(), text), **axis}, "INSERT OR IGNORE")
    db.close()


def poison_gpus(home: Path, texts: list[str]) -> None:
    """A driver and processes that give themselves such names, on eight GPUs that are replayed."""
    (home / GPUS).unlink()
    look = Simulation(HOST, [""] * 8, lambda: 0.0).latest()
    gpus = []
    for gpu, text in zip(look.gpus, texts * 8, strict=False):
        held = [replace(each, command=text, user=text) for each in gpu.processes.value or ()]
        gpus.append(replace(gpu, name=text, processes=replace(gpu.processes, value=tuple(held))))
    with Recording(home / GPUS) as file:
        for number, at in enumerate((NOW, NOW + timedelta(days=1)), 1):
            file.add(replace(look, gpus=tuple(gpus), number=number), at)


def _copy(db: sqlite3.Connection, copied: Copied, number: int, text: str, made: dict[str, int]) -> int:
    row = dict(db.execute(f'SELECT * FROM "{copied.table}" LIMIT 1').fetchone())
    row.pop("n", None)
    row |= dict.fromkeys(copied.texts.split(), text)
    row |= {name: made[name] for name in copied.parents.split()}
    row |= {name: value(number, text) if callable(value) else value for name, value in copied.fixed}
    return _insert(db, copied.table, row)


def _insert(db: sqlite3.Connection, table: str, row: dict[str, Any], verb: str = "INSERT") -> int:
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    found = db.execute(f'{verb} INTO "{table}" ({names}) VALUES ({marks})', list(row.values())).lastrowid
    return found or 0


def _file(db: sqlite3.Connection, version: int, text: str) -> None:
    signature = {"format": text, "tensors": [[text, text, [1]]], "inputs": [], "outputs": []}
    row = {"version": version, "path": text.encode(), "size_bytes": 1, "digest": b"x" * 32}
    _insert(db, "model_file", {**row, "signature": json.dumps(signature)})
