"""Text from strangers in every place of the console that shows it: verbatim in escapes, never raw, never an action."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tui"))

from consolekit import RUNS, fixed_catalog, opened, settled, stage
from robot import Robot

from hostile import MANY_NEWLINES, STRINGS, raw_controls
from mlconsole.tui.places import Location
from mlconsole.tui.screens.compare import SECTIONS as COMPARED
from ptyterm import PtyTerm

STORED = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in STRINGS.items()}
TEXTS = [*STORED.values(), MANY_NEWLINES]
FIRST = RUNS - len(TEXTS) + 1
TALL, SIZE, SMALL = (100, 60), (100, 30), (80, 24)
LISTS = ("overview", "runs", "experiments", "gpus", "cost", "jobs", "audit", "lineage")
SECTIONS = ("params", "environment", "code", "timeline", "lineage")
"""Pages of a run that its texts reach, besides the charts, which are shown first."""
FORMS = ("r", "m", "t", "x")


def poison(home: Path, texts: list[str]) -> None:
    """Put texts wherever a stranger can put one, each into a run of its own, the last into the newest."""
    db = sqlite3.connect(home / "catalog.db")
    with db:
        for number, text in enumerate(texts, RUNS - len(texts) + 1):
            _poison_run(db, number, text)
            values = {"t": text, "p": json.dumps({"run": text})}
            db.execute(
                "INSERT INTO audit (seq, at_us, actor, host, action, effect, phase, target, params, result, chain) "
                "SELECT max(seq) + 1, max(at_us), :t, :t, :t, 'write', 'end', :t, :p, :t, '' FROM audit",
                values,
            )
    db.close()


def _poison_run(db: sqlite3.Connection, number: int, text: str) -> None:
    key = 1000 + db.execute("SELECT count(*) FROM key").fetchone()[0]
    db.execute("INSERT OR IGNORE INTO experiment (name, created_us) VALUES (?, 0)", (text,))
    db.execute("INSERT OR IGNORE INTO key (n, name) VALUES (?, ?)", (key, text))
    db.execute(
        "UPDATE run SET name = :t, host = :t, user = :t, reason = :t, cwd = :t, backend = :t, command = :c, "
        "token = NULL, experiment = (SELECT n FROM experiment WHERE name = :t) WHERE n = :n",
        {"t": text, "c": json.dumps(["python", text]), "n": number},
    )
    db.execute("INSERT INTO tag (run, key, value) VALUES (?, ?, ?)", (number, key, text))
    db.execute("INSERT INTO param (run, key, value, text) VALUES (?, ?, ?, ?)", (number, key, json.dumps(text), text))
    db.execute(
        "INSERT INTO metric (run, key, last, min, max, step, count, gaps, rank, last_us) "
        "VALUES (?, ?, 1.0, 1.0, 1.0, 1, 1, 0, 0, 0)",
        (number, key),
    )
    db.execute("UPDATE account SET name = :t, user = :t, experiment = :t WHERE run = :n", {"t": text, "n": number})
    db.execute(
        "INSERT OR REPLACE INTO detail (run, traceback, environment, code) VALUES (?, ?, ?, ?)",
        (number, text, json.dumps({text: text}), json.dumps({"branch": text})),
    )


def is_clean(user: Robot) -> bool:
    return not any(raw_controls(line, allowed="") for line in user.lines)


async def goes(user: Robot, location: Location) -> None:
    """Visit a place and look for what must never stand there."""
    user.app.go(location)
    await looks(user)


async def looks(user: Robot, *keys: str) -> None:
    await user.presses(*keys)
    await settled(user, times=1)
    assert is_clean(user), user.text


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog that has every hostile text in a run of its own; nothing changes it."""
    home = stage(tmp_path_factory.mktemp("hostile") / "lab").home
    poison(home, TEXTS)
    return home


async def test_hostile_text_of_the_catalog_is_shown_in_escapes_on_every_page(poisoned: Path) -> None:
    app = stage(poisoned).console()
    ids = [run.id for run in app.ctx.catalog.runs.load(range(FIRST, RUNS + 1))]
    async with opened(app, TALL) as user:
        for name in LISTS:
            await goes(user, Location(name))
        await user.resizes(*SIZE)
        for some in range(0, len(ids), 8):
            await goes(user, Location("compare", ",".join(ids[some : some + 8])))
            for _ in COMPARED[1:]:
                await looks(user, "tab")
        for run_id in ids:
            await goes(user, Location("run", run_id))
            for section in SECTIONS:
                app.screen.action_section(section)
                await user.pilot.pause()
                assert is_clean(user), user.text
        assert app.is_running


async def test_hostile_text_of_the_catalog_is_shown_in_escapes_in_every_dialog(poisoned: Path) -> None:
    app = stage(poisoned, read_only=False).console(Location("runs"))
    async with opened(app, SMALL) as user:
        for keys in (("question_mark",), ("ctrl+p",), ("l",)):
            await looks(user, *keys)
            await user.presses("escape")
        for number in range(len(TEXTS)):
            await looks(user, FORMS[number % len(FORMS)])
            await user.presses("escape", "j")
        assert app.is_running


async def test_a_hostile_filter_its_error_a_notice_and_the_error_of_an_error_are_shown_in_escapes(
    tmp_path: Path,
) -> None:
    app = stage(tmp_path / "lab").console(Location("runs"))
    async with opened(app, SMALL) as user:
        for number, text in enumerate(STRINGS.values()):
            # The name of a view is refused by the same words: every third text tells.
            for line in (f"runs {text}", f"save {text}")[: 1 if number % 3 else 2]:
                await user.presses("colon")
                app.screen.query_one("#prompt")._set(line[:4000])
                await user.presses("enter")
                assert is_clean(user), text
                await user.presses("escape")
            app.failed(RuntimeError(text))
            await user.pilot.pause()
            assert is_clean(user), text
            app.say(text)
            await user.pilot.pause()
            assert is_clean(user), text
            if app.trail.here.place != "runs":
                app.go(Location("runs"))
        assert app.is_running


def test_no_raw_control_reaches_the_terminal(tmp_path: Path) -> None:
    """All of them at once, at a real terminal, in what the console itself never sends."""
    fixed_catalog(tmp_path / "lab")
    poison(tmp_path / "lab", ["".join(text for name, text in STORED.items() if name != "long")])
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(tmp_path / "lab"), "--read-only"]
    with PtyTerm(argv, *SIZE, {"MLCONSOLE_CONFIG": "/nonexistent"}) as term:
        term.wait_for("READ-ONLY")
        for line in ("overview", "experiments", "jobs", "audit", "runs"):
            term.send(f":{line}\r")
            term.settle()
        for keys in ("\r", "2", "4", "5", "7", "-", "?"):
            term.send(keys)
            term.settle()
        raw = bytes(term.raw)
    sent = re.sub(rb"\x1b\[[0-9;?<>=$]*[A-Za-z]|\x1b\[\?\d+\$p|\x1b\]22;[a-z-]*(?:\x1b\\|\x07)|[\r\n]", b"", raw)
    text = sent.decode("utf-8")
    assert not raw_controls(text, allowed=""), sorted(map(repr, raw_controls(text, allowed="")))
    for never in (b"\x1b]52", b"\x1b]0;", b"\x1bP", b"\x1b[6n", b"\x1b[2J\x1b[Hb"):
        assert never not in raw
