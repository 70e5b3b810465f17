"""Hostile text in every place a stranger can put it: no raw control reaches a terminal, and JSON keeps the original."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hostile import IN_ARGV, MANY_NEWLINES, STRINGS, raw_controls
from mlconsole.render.sanitise import clean
from program import Program, end_processes_of
from ptyterm import PtyTerm

SCRIPT = """
import json, sys
import mlconsole

strings = json.loads(open(sys.argv[1], encoding="utf-8").read())
for label, text in strings.items():
    params = {"label": label, "text": text, text: 1}
    try:
        with mlconsole.start_run(text, text, params, {"t": text, text: ""}) as run:
            run.log({text: 1.0, "plain": 2.0})
            run.log_artifact(sys.argv[1], name=text)
            run.log_dataset(text)
            raise RuntimeError(text)
    except RuntimeError:
        pass
"""
OWN_TRACEBACK = re.compile(r'File ".*/mlconsole/')
SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Den:
    """A catalog with a run for each hostile string, and one launched program that prints them all."""

    program: Program
    ids: dict[str, str]
    printer: str

    def on_a_terminal(self, *words: str) -> str:
        """All that a command writes to a terminal, its colour sequences left in."""
        env = {k: v for k, v in self.program.environment().items() if k != "PATH"}
        with PtyTerm(self.program.argv(*words), columns=200, lines=50, env=env, cwd=self.program.cwd) as term:
            term.wait_exit()
            return term.raw.decode("utf-8", "surrogateescape")


@pytest.fixture(scope="module")
def den(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Den]:
    work = tmp_path_factory.mktemp("den")
    program = Program(work / "home", work)
    (work / "strings.json").write_text(json.dumps(STRINGS))
    done = program.record(SCRIPT, "strings.json")
    assert done.returncode == 0, done.stderr
    printed = work / "printed"
    printed.write_bytes(b"\n".join(text.encode("utf-8", "surrogatepass") for text in STRINGS.values()))
    printer = program.launch("cat", str(printed), name="printer")
    program.ended(printer)
    runs = program.json("run", "list", "--limit", "0")["items"]
    yield Den(program, {run["params"]["label"]: run["id"] for run in runs if "label" in run["params"]}, printer)
    end_processes_of(program.home)


def test_every_hostile_string_has_its_run(den: Den) -> None:
    assert set(den.ids) == set(STRINGS)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "list", "--limit", "0"),
        ("run", "list", "--limit", "0", "--columns", "name,experiment,tags,command,reason,label,plain"),
        ("experiment", "list"),
        ("audit", "list"),
        ("run", "export", "--format", "csv"),
        ("run", "export", "--history"),
    ],
    ids=" ".join,
)
def test_a_list_of_hostile_runs_writes_no_control_to_a_terminal(den: Den, words: tuple[str, ...]) -> None:
    shown = den.on_a_terminal(*words)

    assert len(shown.splitlines()) > 1
    assert raw_controls(shown, allowed="\r\n") == set()
    assert OWN_TRACEBACK.search(shown) is None


@pytest.mark.parametrize("label", STRINGS)
def test_a_hostile_run_is_shown_without_controls(den: Den, label: str) -> None:
    shown = den.on_a_terminal("run", "show", den.ids[label])

    assert raw_controls(shown, allowed="\r\n") == set()
    assert clean(STRINGS[label], 40).rstrip("…").split("\ufffd")[0][:8] in shown


@pytest.mark.parametrize("label", STRINGS)
def test_json_keeps_a_hostile_run_as_it_was(den: Den, label: str) -> None:
    text = STRINGS[label]
    done = den.program("run", "show", den.ids[label], "--json")
    run = done.document

    assert done.out.isascii() and raw_controls(done.out) == set()
    if len(text) < 1000 and not SURROGATES.search(text):
        assert run["name"] == run["experiment"] == run["params"]["text"] == run["tags"]["t"] == text
        assert {text} <= set(run["params"]) & set(run["tags"])
        assert run["metrics"][text]["last"] == 1.0


@pytest.mark.parametrize("label", ["closing markup", "colour", "wide and combining", "leading dash"])
def test_a_metric_with_a_hostile_key_is_read_by_it(den: Den, label: str) -> None:
    assert den.program.json("metric", "show", den.ids[label], "--", STRINGS[label])["values"] == [1.0]


@pytest.mark.parametrize("text", IN_ARGV.values(), ids=IN_ARGV)
@pytest.mark.parametrize("words", [("run", "show"), ("run", "list"), ("metric", "show", "printer")], ids=" ".join)
def test_an_error_echoes_hostile_words_without_controls(den: Den, words: tuple[str, ...], text: str) -> None:
    shown = den.on_a_terminal(*words, "--", text)

    assert raw_controls(shown, allowed="\r\n") == set()
    assert OWN_TRACEBACK.search(shown) is None


@pytest.mark.parametrize("flags", [(), ("--no-color",)], ids=["colour", "no colour"])
def test_a_hostile_log_keeps_its_colours_on_a_terminal_and_nothing_else(den: Den, flags: tuple[str, ...]) -> None:
    shown = den.on_a_terminal("run", "logs", den.printer, *flags)
    colours = re.findall("\x1b\\[[0-9;]*m", shown)

    assert (len(colours) > 0) == (not flags)
    assert raw_controls(re.sub("\x1b\\[[0-9;]*m", "", shown), allowed="\r\n") == set()
    assert "red" in shown and "evil" in shown


def test_a_log_in_a_pipe_is_byte_for_byte_what_was_printed(den: Den) -> None:
    process = den.program.start("run", "logs", den.printer)

    assert process.communicate(timeout=30)[0] == (den.program.cwd / "printed").read_bytes()


def test_a_plan_shows_hostile_names_without_controls(den: Den) -> None:
    for label in ("clear screen", "closing markup", "right to left", "NUL"):
        shown = den.on_a_terminal("run", "delete", den.ids[label])
        assert "cannot be undone" in shown
        assert raw_controls(shown, allowed="\r\n") == set()


def test_a_comparison_of_hostile_runs_writes_no_control(den: Den) -> None:
    shown = den.on_a_terminal("run", "compare", *den.ids.values())

    assert raw_controls(shown, allowed="\r\n") == set()


def test_two_hundred_thousand_newlines_freeze_nothing(cli: Program) -> None:
    script = (
        "import mlconsole\nwith mlconsole.start_run(params={'p': '\\n' * 200_000}, tags={'t': '\\n' * 200_000}): pass"
    )
    assert cli.record(script).returncode == 0
    printed = cli.cwd / "printed"
    printed.write_text(MANY_NEWLINES)
    run = cli.launch("cat", str(printed))
    cli.ended(run)

    started = time.monotonic()
    outputs = [cli("run", "list"), cli("run", "list", "--columns", "p,tags"), cli("run", "show", "train.py", "--json")]
    logged = cli("run", "logs", run)

    assert time.monotonic() - started < 10
    assert all(len(output.out.splitlines()) < 10 for output in outputs[:2])
    assert logged.out == MANY_NEWLINES


def test_hostile_arguments_reach_the_program_as_they_are(cli: Program, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    script = "import json, os, sys; json.dump([os.fsencode(a).hex() for a in sys.argv[2:]], open(sys.argv[1], 'w'))"
    given = [text for text in IN_ARGV.values() if "\ud800" not in text]

    run = cli.launch(sys.executable, "-c", script, str(told), *given)

    assert cli.ended(run)["outcome"] == "succeeded"
    assert json.loads(told.read_text()) == [text.encode("utf-8", "surrogateescape").hex() for text in given]
