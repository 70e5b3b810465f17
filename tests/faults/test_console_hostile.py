"""Text from strangers in every place of the console that shows it: verbatim in escapes, never raw, never an action."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tui"))

from consolekit import BAD, fixed_catalog, opened, settled, stage
from robot import Robot

from hostile import MANY_NEWLINES, STRINGS, raw_controls
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location
from ptyterm import PtyTerm

BUNDLES = [list(STRINGS.items())[start : start + 16] for start in range(0, len(STRINGS), 16)]
STORED = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in STRINGS.items()}
SIZE = (100, 30)


def poison(home: Path, texts: list[str]) -> None:
    """Put texts wherever a stranger can put one, each into a run of its own, from the failed run on."""
    db = sqlite3.connect(home / "catalog.db")
    with db:
        for number, text in enumerate(texts, BAD):
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
    db.execute(
        "INSERT OR REPLACE INTO detail (run, traceback, environment, code) VALUES (?, ?, ?, ?)",
        (number, text, json.dumps({text: text}), json.dumps({"branch": text})),
    )


def is_clean(user: Robot) -> bool:
    return not any(raw_controls(line, allowed="") for line in user.lines)


async def walk(app: Console, count: int, size: tuple[int, int] = SIZE) -> None:
    """Visit every place, section and dialog, and look for what must never stand there."""
    ids = [run.id for run in app.ctx.catalog.runs.load(range(BAD, BAD + count))]
    lists = [Location(name) for name in ("overview", "runs", "experiments", "jobs", "audit")]
    compared = [Location("compare", ",".join(ids), cursor=name) for name in ("table", "curves")]
    sections = ("charts", "params", "environment", "code", "timeline")
    pages = [Location("run", ids[0], cursor=name) for name in sections]
    pages += [Location("run", run_id, cursor=name) for run_id in ids[1:] for name in ("params", "code")]
    async with opened(app, size) as user:
        for location in [*lists, *compared, *pages]:
            app.go(location)
            await settled(user)
            assert is_clean(user), user.text
        app.go(Location("runs"))
        await settled(user)
        for keys in (("question_mark",), ("ctrl+p",), ("l",), ("t",), ("m",), ("r",), ("x",)):
            await user.presses(*keys)
            await settled(user)
            assert is_clean(user), user.text
            await user.presses("escape")
        assert app.is_running


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle[0][0])
async def test_hostile_text_of_the_catalog_is_shown_in_escapes(tmp_path: Path, bundle: list[tuple[str, str]]) -> None:
    found = stage(tmp_path / "lab", read_only=False)
    poison(found.home, [STORED[name] for name, _ in bundle])
    await walk(found.console(), len(bundle))


async def test_two_hundred_thousand_newlines_in_a_name_freeze_nothing(tmp_path: Path) -> None:
    found = stage(tmp_path / "lab", read_only=False)
    poison(found.home, [MANY_NEWLINES])
    await walk(found.console(), 1, (80, 24))


async def test_a_hostile_filter_is_echoed_in_escapes_and_its_error_too(tmp_path: Path) -> None:
    app = stage(tmp_path / "lab").console()
    async with opened(app, SIZE) as user:
        for number, text in enumerate(STRINGS.values()):
            # The name of a view is refused by the same words: every third text tells.
            for line in (f"runs {text}", f"save {text}")[: 1 if number % 3 else 2]:
                await user.presses("colon")
                app.screen.query_one("#prompt")._set(line[:4000])
                await user.presses("enter")
                await user.pilot.pause()
                assert all(not raw_controls(shown, allowed="") for shown in user.lines), text
                await user.presses("escape")
                assert app.is_running
                if app.trail.here.place != "runs":
                    app.go(Location("runs"))


async def test_a_notice_and_the_error_of_an_error_are_shown_in_escapes(tmp_path: Path) -> None:
    app = stage(tmp_path / "lab").console()
    async with opened(app, SIZE) as user:
        for text in STRINGS.values():
            app.failed(RuntimeError(text))
            await user.pilot.pause()
            assert is_clean(user), text
            app.say(text)
            await user.pilot.pause()
            assert is_clean(user), text


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
