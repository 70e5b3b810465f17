"""What goes wrong at a command line: one clear line with the way out, the exit code, and nothing lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from program import Program

FAILURES = [
    (("run", "show", "no-such-run"), 4, "not_found", '"no-such-run"'),
    (("run", "logs", "no-such-run"), 4, "not_found", '"no-such-run"'),
    (("metric", "show", "alpha", "no-such-metric"), 4, "not_found", '"no-such-metric"'),
    (("backend", "check", "no-such-backend"), 4, "not_found", '"no-such-backend"'),
    (("launch", "--backend", "no-such-backend", "--", "true"), 4, "not_found", '"no-such-backend"'),
    (("report", "no-such-run"), 4, "not_found", '"no-such-run"'),
    (("report", "--where", "name=no-such-run"), 4, "not_found", "name=no-such-run"),
    (("report", "alpha", "--metric", "no-such-metric"), 4, "not_found", '"no-such-metric"'),
    (("run", "show", "twin"), 2, "ambiguous", "twin"),
    (("run", "list", "loss<"), 2, "query", "value"),
    (("run", "list", "(loss<1"), 2, "query", "parenthesis"),
    (("run", "list", 'name="x'), 2, "query", "quote"),
    (("run", "list", "--limit", "-1"), 2, "usage", '"-1"'),
    (("run", "list", "--limit", "many"), 2, "usage", "many"),
    (("run", "compare", "alpha"), 2, "usage", "two runs"),
    (("run", "stop"), 2, "usage", "run stop RUN"),
    (("run", "stop", "alpha", "--grace", "soon", "--yes"), 2, "usage", '"soon"'),
    (("run", "stop", "alpha", "--yes"), 1, "action_failed", "ended already"),
    (("run", "tag", "alpha"), 2, "usage", "tag"),
    (("run", "logs", "alpha"), 4, "not_found", "not launched"),
    (("run", "delete", "alpha"), 3, "confirmation_needed", "--yes"),
    (("run", "export", "alpha", "--output", "/no/such/place"), 1, "action_failed", "/no/such/place"),
    (("report", "alpha", "--output", "/no/such/place"), 1, "action_failed", "/no/such/place"),
    (("report",), 2, "usage", "--where"),
    (("report", "alpha", "--where", "x"), 2, "usage", "not both"),
    (("launch",), 2, "usage", "--"),
    (("launch", "--cwd", "no-such-folder", "--", "true"), 2, "usage", "no-such-folder"),
    (("launch", "--env", "nonsense", "--", "true"), 2, "usage", '"nonsense"'),
    (("launch", "--warn", "FOO=2m", "--time-limit", "1h", "--", "true"), 2, "usage", '"FOO=2m"'),
    (("launch", "--warn", "KILL=2m", "--time-limit", "1h", "--", "true"), 2, "usage", '"KILL"'),
    (("launch", "--time-limit", "soon", "--", "true"), 2, "usage", '"soon"'),
    (("run", "no-such-verb"), 2, "usage", "no-such-verb"),
    (("no-such-noun",), 2, "usage", "no-such-noun"),
    (("runs", "list"), 2, "usage", "Did you mean: mlconsole run?"),
    (("logs", "alpha"), 2, "usage", "Did you mean: mlconsole run logs?"),
    (("launch", "python", "train.py", "--lr", "1"), 2, "usage", "mlconsole launch -- CMD"),
    (("run", "lst"), 2, "usage", "Did you mean: mlconsole run list?"),
    (("run", "list", "--no-such-flag"), 2, "usage", "--no-such-flag"),
    (("run", "list", "--no-such-flag"), 2, "usage", "See: mlconsole run list --help"),
    (("run", "list", "--lim", "3"), 2, "usage", "--lim"),
    (("run", "list", "--catalog", ""), 2, "config", "no directory"),
]
GONE = [("launch", "--", "true"), ("run", "list", "--catalog", "here"), ("report", "alpha", "--dry-run")]
CASES = [pytest.param(*failure, id=" ".join(failure[0])) for failure in FAILURES]


@pytest.mark.parametrize("words", GONE, ids=" ".join)
def test_in_a_folder_that_is_gone_one_line_says_so(lab: Program, tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    leave = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    argv = ["sh", "-c", leave, "sh", str(folder), *lab.argv(*words)]
    done = subprocess.run(argv, env=lab.environment(), capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mlconsole: The folder that you are in is gone. Go to another one: cd\n"


@pytest.mark.parametrize(("words", "code", "slug", "said"), CASES)
def test_a_failure_is_one_clear_line_with_its_exit_code(
    lab: Program, words: tuple[str, ...], code: int, slug: str, said: str
) -> None:
    done = lab(*words)

    assert done.code == code
    assert done.out == ""
    assert "Traceback" not in done.err
    last = done.err.rstrip("\n").splitlines()[-1]
    assert last.startswith("mlconsole: ")
    assert said.lower() in done.err.lower()


@pytest.mark.parametrize(("words", "code", "slug", "said"), CASES)
def test_under_json_a_failure_is_one_document_on_stderr(
    lab: Program, words: tuple[str, ...], code: int, slug: str, said: str
) -> None:
    done = lab("--json", *words)

    assert done.code == code
    assert done.out == ""
    assert done.error["code"] == slug
    assert done.error["message"] and "hint" in done.error
    assert said.lower() in f"{done.error['message']} {done.error['hint']} {done.error.get('text', '')}".lower()


def test_a_bad_filter_points_at_its_token(lab: Program) -> None:
    text = "lr>0.1 and loss<>3"
    line, carets, message = lab("run", "list", "--where", text).err.splitlines()
    error = lab("--json", "run", "list", "--where", text).error

    assert line == text
    assert text[carets.index("^") : carets.rindex("^") + 1] == text[error["start"] : error["end"]] == ">"
    assert message.startswith("mlconsole: ")


def test_flags_without_a_command_say_where_help_is(lab: Program) -> None:
    done = lab("--json")

    assert done.code == 2
    assert "mlconsole --help" in done.error["hint"]


@pytest.mark.parametrize("word", ["twin", ""], ids=["name", "prefix"])
def test_an_ambiguous_word_names_what_it_fits(lab: Program, word: str) -> None:
    ids = sorted(run["id"] for run in lab.json("run", "list", "twin")["items"])

    done = lab("run", "show", word or shared_start(*ids) or "twin")

    assert done.code == 2
    assert all(run_id in done.err for run_id in ids)


def shared_start(first: str, second: str) -> str:
    length = next((i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b), len(first))
    return first[:length]


def test_a_catalog_in_a_folder_that_cannot_be_written_is_one_clear_line(cli: Program, tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")

    done = cli("--catalog", str(blocked / "catalog"), "run", "list")

    assert done.code == 1
    assert len(done.err.splitlines()) == 1 and str(blocked) in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_is_one_clear_line(cli: Program, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)

    done = cli("--catalog", str(locked / "catalog"), "run", "list")

    assert done.code == 1
    assert len(done.err.splitlines()) == 1 and str(locked) in done.err


def test_a_catalog_of_a_newer_version_is_refused_and_can_be_looked_at(own_lab: Program) -> None:
    db = sqlite3.connect(own_lab.home / "catalog.db")
    db.execute("PRAGMA user_version = 999")
    db.commit()
    db.close()

    refused = own_lab("run", "list")

    assert refused.code == 2
    assert "newer" in refused.err and "--read-only" in refused.err and len(refused.err.splitlines()) == 1
    assert len(own_lab.json("run", "list", "--read-only")["items"]) == 5


def test_a_damaged_catalog_is_told_and_kept(own_lab: Program) -> None:
    path = own_lab.home / "catalog.db"
    path.write_bytes(b"this is no database, but somebody may want it" * 1000)
    before = path.read_bytes()

    done = own_lab("run", "list")

    assert done.code == 1
    assert "Traceback" not in done.err and "damaged" in done.err
    assert path.read_bytes() == before


def test_a_settings_file_with_a_typo_names_file_and_key(cli: Program) -> None:
    (cli.cwd / "config.toml").write_text('hme = "/x"\n')

    done = cli("run", "list", MLCONSOLE_CONFIG=str(cli.cwd / "config.toml"))

    assert done.code == 2
    assert '"hme"' in done.err and "config.toml" in done.err


def test_ctrl_c_ends_a_follow_with_130(cli: Program) -> None:
    run = cli.launch("sh", "-c", "echo begun; sleep 60")
    process = cli.start("run", "logs", "--follow", run)
    assert process.stdout is not None
    # From its first line on all is loaded: an import loses an interrupt that falls into its own callbacks.
    assert process.stdout.readline() == b"begun\n"

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert said == b"mlconsole: Interrupted.\n"
    assert cli.json("run", "show", run)["state"] == "running"


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_any_encoding_of_the_terminal_shows_every_run(lab: Program, encoding: str) -> None:
    done = lab("run", "list", PYTHONIOENCODING=encoding)

    assert (done.code, done.err) == (0, "")
    mark = "✔" if encoding == "utf-8" else "+"
    assert f"{mark} succeeded" in done.out


BAD_PLUGINS = {
    "raises": ("raise RuntimeError('no driver \\x1b[2J here')", "no driver"),
    "leaves": ("raise SystemExit(0)", "SystemExit"),
    "hangs": ("import time\nwhile True: time.sleep(60)", "takes longer than"),
    "prints": ("import sys\nfor to in sys.stdout, sys.stderr: print('\\x1b[2J', file=to)\nclass B: ...", "methods"),
}
"""F-46: what a stranger's module does when it is imported, and a word of what is said of it."""


@pytest.fixture
def stranger(cli: Program, tmp_path: Path) -> Callable[[str], str]:
    """Installs a module as the backend ``broken``; gives the PYTHONPATH on which it is found."""

    def install(source: str) -> str:
        site = tmp_path / "site"
        (site / "broken-1.0.dist-info").mkdir(parents=True)
        entry = "[mlconsole.backends]\nbroken = broken_backend:B\n"
        (site / "broken-1.0.dist-info" / "entry_points.txt").write_text(entry)
        (site / "broken_backend.py").write_text(source + "\n")
        return os.pathsep.join(filter(None, [str(site), cli.environment().get("PYTHONPATH", "")]))

    return install


@pytest.mark.parametrize("how", BAD_PLUGINS)
def test_a_backend_that_does_not_load_is_named_and_disturbs_nothing(
    cli: Program, stranger: Callable[[str], str], how: str
) -> None:
    source, word = BAD_PLUGINS[how]
    path = stranger(source)

    listed = {item["name"]: item for item in cli.json("backend", "list", PYTHONPATH=path)["items"]}
    refused = cli("launch", "--backend", "broken", "--", "true", PYTHONPATH=path)
    told = cli("doctor", PYTHONPATH=path)

    assert (listed["local"]["reachable"], listed["broken"]["reachable"]) == (True, False)
    assert refused.code == 5
    assert word in refused.err and "broken" in told.out and word in told.out
    assert "\x1b" not in refused.out + refused.err + told.out + told.err
    assert cli("run", "list", PYTHONPATH=path).code == 0


def test_a_backend_that_raises_what_it_likes_hides_no_other_and_ends_no_run(
    cli: Program, stranger: Callable[[str], str]
) -> None:
    path = stranger(
        "from mlconsole_local import LocalBackend\n"
        "class B(LocalBackend):\n"
        "    name = 'broken'\n"
        "    def probe(self): raise ZeroDivisionError('in probe')\n"
        "    def observe(self, handles): raise ZeroDivisionError('in observe')\n"
    )
    run = cli.json("launch", "--backend", "broken", "--", "sleep", "30", PYTHONPATH=path)["id"]

    listed = {item["name"]: item for item in cli.json("backend", "list", PYTHONPATH=path)["items"]}
    done = cli("run", "list", "--json", PYTHONPATH=path)
    (seen,) = done.document["items"]
    cli("run", "stop", run, "--grace", "0s", "--yes", PYTHONPATH=path)

    assert (listed["local"]["reachable"], listed["broken"]["reachable"]) == (True, False)
    assert done.code == 0 and "in observe" in done.err
    assert (seen["reach"], seen["outcome"]) == ("unreachable", None)


def test_a_changed_audit_row_is_found_with_exit_code_6(own_lab: Program) -> None:
    own_lab.json("run", "tag", "alpha", "good")
    db = sqlite3.connect(own_lab.home / "catalog.db")
    db.execute("DROP TRIGGER audit_keeps_words")
    db.execute("UPDATE audit SET actor = 'somebody else' WHERE seq = 1")
    db.commit()
    db.close()

    done = own_lab("audit", "verify")

    assert (done.code, done.out) == (6, "")
    assert "row 1" in done.err


def test_an_audit_log_without_its_links_outside_is_not_vouched_for(own_lab: Program) -> None:
    own_lab.json("run", "tag", "alpha", "good")
    (own_lab.home / "audit-heads").unlink()

    done = own_lab("audit", "verify")

    assert (done.code, done.out) == (6, "")
    assert "audit-heads" in done.err and "cut tail" in done.err
