"""Every command that changes something: its plan, its confirmation, what it leaves behind, and the audit of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from program import Program, wait_until

PLAN_FIELDS = {"kind", "action", "effect", "steps", "cost_usd", "irreversible"}
CHANGES = [
    ("launch", "--name", "new", "--", "true"),
    ("run", "tag", "alpha", "good"),
    ("run", "rename", "alpha", "omega"),
    ("run", "delete", "alpha"),
]
CHANGE_IDS = [" ".join(words[:2]) for words in CHANGES]


def planned(words: tuple[str, ...], *flags: str) -> tuple[str, ...]:
    cut = words.index("--") if "--" in words else len(words)
    return (*words[:cut], *flags, *words[cut:])


def everything(program: Program) -> tuple[Any, Any, list[str]]:
    """All that the catalog says and all files of its runs."""
    runs = program.json("--read-only", "run", "list", "--limit", "0")
    audit = program.json("--read-only", "audit", "list")
    files = sorted(str(path) for path in program.home.joinpath("runs").rglob("*"))
    return runs, audit, files


@pytest.mark.parametrize("words", CHANGES, ids=CHANGE_IDS)
def test_a_dry_run_prints_the_plan_and_changes_nothing(own_lab: Program, words: tuple[str, ...]) -> None:
    before = everything(own_lab)

    plan = own_lab.json(*planned(words, "--dry-run"))
    text = own_lab(*planned(words, "--dry-run"))

    assert set(plan) >= PLAN_FIELDS and plan["kind"] == "plan"
    assert plan["steps"] and all(step["text"] for step in plan["steps"])
    assert plan["effect"] == ("destroy" if words[1] == "delete" else "write")
    assert text.code == 0 and text.out.startswith("Plan: ")
    assert everything(own_lab) == before


@pytest.mark.parametrize(
    "words", [("report", "alpha", "beta"), ("run", "export"), ("lineage", "page", "alpha"), ("lineage", "export")]
)
def test_a_dry_run_writes_no_file_and_says_what_it_would_replace(
    lab: Program, tmp_path: Path, words: tuple[str, ...]
) -> None:
    there, new = tmp_path / "there", tmp_path / "new"
    there.write_text("mine")

    plan = lab.json(*words, "--output", str(there), "--dry-run")
    text = lab(*words, "--output", str(new), "--dry-run")

    assert set(plan) >= PLAN_FIELDS and plan["effect"] == "read"
    assert [step["touches"] for step in plan["steps"]] == [str(there)]
    assert str(there) in plan["irreversible"][0]
    assert text.code == 0 and text.out.startswith("Plan: ")
    assert (there.read_text(), new.exists()) == ("mine", False)


@pytest.mark.parametrize("words", CHANGES, ids=CHANGE_IDS)
def test_read_only_refuses_every_change_in_one_clear_line(own_lab: Program, words: tuple[str, ...]) -> None:
    before = everything(own_lab)

    done = own_lab("--read-only", *planned(words, "--yes"))

    assert done.code == 2
    assert len(done.err.splitlines()) == 1 and "read-only" in done.err
    assert everything(own_lab) == before


@pytest.mark.parametrize("words", [words for words in CHANGES if words[1] == "delete"], ids=" ".join)
def test_without_yes_what_destroys_shows_its_plan_and_changes_nothing(own_lab: Program, words: tuple[str, ...]) -> None:
    before = everything(own_lab)

    done = own_lab(*words)

    assert (done.code, done.out) == (3, "")
    assert "cannot be undone" in done.err and "--yes" in done.err
    assert everything(own_lab) == before


@pytest.mark.parametrize("words", CHANGES, ids=CHANGE_IDS)
def test_a_change_leaves_its_beginning_and_its_end_in_the_audit(own_lab: Program, words: tuple[str, ...]) -> None:
    assert own_lab(*planned(words, "--yes")).code == 0

    end, begin = own_lab.json("audit", "list", "--limit", "2")["items"]
    action = " ".join(words[:2]) if words[0] == "run" else words[0]
    assert (begin["action"], begin["phase"], end["action"], end["phase"]) == (action, "begin", action, "end")
    assert end["result"] == "done"
    assert own_lab("audit", "verify").code == 0


def test_a_tag_is_added_and_taken_away(own_lab: Program) -> None:
    assert own_lab.json("run", "tag", "alpha", "good", "grade=a")["tags"] == {"team": "nlp", "good": "", "grade": "a"}
    assert own_lab.json("run", "tag", "alpha", "--remove", "team")["tags"] == {"good": "", "grade": "a"}
    assert [run["name"] for run in own_lab.json("run", "list", "tag:good")["items"]] == ["alpha"]


def test_a_renamed_run_answers_to_its_new_name(own_lab: Program) -> None:
    own_lab.json("run", "rename", "alpha", "omega")

    assert own_lab.json("run", "show", "omega")["experiment"] == "vision"
    assert own_lab("run", "show", "alpha").code == 4


def test_a_name_that_looks_like_a_flag_is_given_behind_two_dashes(own_lab: Program) -> None:
    done = own_lab("run", "rename", "alpha", "--", "--yes")

    assert done.code == 0, done.err
    assert own_lab.json("run", "show", "--", "--yes")["experiment"] == "vision"


def test_a_deleted_run_is_gone_with_its_files_and_does_not_come_back(own_lab: Program) -> None:
    run = own_lab.json("run", "show", "alpha")
    assert (own_lab.home / "runs" / run["id"]).is_dir()

    deleted = own_lab.json("run", "delete", "alpha", "--yes")

    assert deleted["deleted"] == [run["id"]]
    assert not (own_lab.home / "runs" / run["id"]).exists()
    assert own_lab("run", "show", "alpha").code == 4
    assert len(own_lab.json("run", "list")["items"]) == 4


def test_a_running_run_is_not_deleted(cli: Program) -> None:
    run = cli.launch("sleep", "60")

    done = cli("run", "delete", run, "--yes")

    assert done.code == 1 and "Stop it first" in done.err
    assert cli.json("run", "show", run)["state"] == "running"


def test_a_launched_program_is_a_run_even_if_it_knows_nothing_of_us(cli: Program) -> None:
    run = cli.launch("sh", "-c", "echo one; echo two >&2; exit 3", name="stranger")

    ended = cli.ended(run)

    assert (ended["name"], ended["outcome"], ended["exit_code"]) == ("stranger", "failed", 3)
    assert sorted(cli("run", "logs", run).out.splitlines()) == ["one", "two"]


def test_a_launch_says_which_run_it_made(cli: Program) -> None:
    done = cli("launch", "--name", "told", "--", "true")

    assert done.code == 0 and done.err == ""
    run_id, name, *_ = done.out.split()
    assert cli.json("run", "show", run_id)["name"] == name == "told"


def test_the_params_on_a_command_line_are_the_params_of_its_run(cli: Program) -> None:
    run = cli.launch("true", "--lr", "0.1", "--opt=adam", "seed=7", "--amp")

    assert cli.json("run", "show", run)["params"] == {"lr": 0.1, "opt": "adam", "seed": 7, "amp": True}


def test_the_environment_of_a_launch_reaches_the_program(cli: Program) -> None:
    run = cli.json("launch", "--env", "GREETING=good day", "--", "sh", "-c", 'echo "$GREETING"; pwd')["id"]
    cli.ended(run)

    assert cli("run", "logs", run).out.splitlines() == ["good day", str(cli.cwd)]


def test_flags_behind_two_dashes_belong_to_the_program(cli: Program) -> None:
    run = cli.launch("echo", "--json", "--yes", "--", "--dry-run")
    cli.ended(run)

    assert cli("run", "logs", run).out == "--json --yes -- --dry-run\n"


def test_a_launch_of_a_program_that_is_not_there_is_kept_with_its_reason(cli: Program) -> None:
    done = cli("launch", "--name", "absent", "--", "./no-such-program")
    run = cli.ended("absent")

    assert done.code in (0, 1)
    assert run["outcome"] in ("failed", "never_started")
    assert "no-such-program" in run["reason"]


def test_a_launch_into_a_home_that_cannot_be_made_is_one_line(cli: Program) -> None:
    (cli.cwd / "file").touch()
    done = cli("--catalog", str(cli.cwd / "file" / "home"), "launch", "--", "true")

    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "Choose another: --catalog DIR" in done.err


def test_a_stopped_run_is_cancelled_and_its_children_are_gone(cli: Program, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    run = cli.launch("sh", "-c", f"sleep 300 & sleep 301 & echo $$ $! > {pids}; wait")
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the children")

    stopped = cli.json("run", "stop", run, "--yes")

    assert (stopped["state"], stopped["outcome"]) == ("ended", "cancelled")
    assert not any(is_alive(int(pid)) for pid in pids.read_text().split())


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_stopping_wants_a_confirmation(cli: Program) -> None:
    run = cli.launch("sleep", "60")

    done = cli("run", "stop", run)

    assert done.code == 3
    assert "SIGTERM" in done.err and "--yes" in done.err
    assert cli.json("run", "show", run)["state"] == "running"


def test_a_run_outlives_the_shell_that_launched_it(cli: Program, tmp_path: Path) -> None:
    done_file = tmp_path / "done"
    run = cli.launch("sh", "-c", f"sleep 1; touch {done_file}")

    assert cli.ended(run)["outcome"] == "succeeded"
    assert done_file.exists()


def test_a_run_is_launched_again_with_a_flag_changed(cli: Program) -> None:
    first = cli.json("launch", "-e", "sweep", "-t", "base", "-n", "first", "--", "echo", "--lr", "0.1", "--opt=sgd")[
        "id"
    ]
    cli.ended(first)
    before = everything(cli)

    plan = cli.json("run", "relaunch", "first", "--set", "lr=0.5", "--dry-run")
    assert plan["effect"] == "write" and everything(cli) == before
    # The run's id is not there yet, and so its name is not promised.
    assert 'record a run, named "echo-" and the start of its id, in experiment "sweep"' in plan["steps"][0]["text"]
    again = cli.json("run", "relaunch", "first", "--set", "lr=0.5", "--name", "second")["id"]

    ended = cli.ended(again)
    assert (ended["name"], ended["experiment"], ended["tags"]) == ("second", "sweep", {"base": ""})
    assert ended["params"] == {"lr": 0.5, "opt": "sgd"}
    assert cli("run", "logs", again).out == "--lr 0.5 --opt=sgd\n"


def test_a_flag_that_the_command_does_not_have_cannot_be_changed(cli: Program) -> None:
    run = cli.launch("true", "--lr", "0.1")

    done = cli("run", "relaunch", run, "--set", "momentum=0.9")

    assert done.code == 2 and "momentum" in done.err


def test_a_follow_shows_what_comes_and_ends_with_the_run(cli: Program, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    run = cli.launch("sh", "-c", f"echo before; cat {gate}; echo after")
    process = cli.start("run", "logs", "-f", run)
    assert process.stdout is not None

    first = process.stdout.readline()
    gate.write_text("between\n")
    rest, said = process.communicate(timeout=30)

    assert (first, rest, said, process.returncode) == (b"before\n", b"between\nafter\n", b"", 0)


def test_a_tail_is_the_last_lines(cli: Program) -> None:
    run = cli.launch("seq", "1000")
    cli.ended(run)

    assert cli("run", "logs", run, "--tail", "2").out == "999\n1000\n"


def test_following_from_the_last_line_on_leaves_no_line_out(cli: Program) -> None:
    counting = "import sys, time\nfor n in range(3000): print(n, flush=True); n % 100 or time.sleep(0.01)"
    run = cli.launch(sys.executable, "-c", counting)

    numbers = [int(line) for line in cli("run", "logs", "--follow", "--tail", "1", run).out.splitlines()]

    assert numbers == list(range(numbers[0], 3000))


def test_output_that_is_gone_or_never_was_is_told(cli: Program) -> None:
    ended, silent = cli.launch("echo", "x"), cli.launch("true")
    cli("launch", "--name", "waiting", "--hold", "--", "true")
    for run in (ended, silent):
        cli.ended(run)
    shutil.rmtree(cli.home / "runs" / ended)

    gone, waits = cli("run", "logs", ended), cli("run", "logs", "waiting")
    assert cli("run", "stop", "waiting", "--yes").code == 0
    never = cli("run", "logs", "waiting")

    assert [done.code for done in (gone, waits, never, cli("run", "logs", silent))] == [4, 4, 4, 0]
    assert "is gone" in gone.err and "waits for its turn" in waits.err and "never started" in never.err


def test_a_log_under_json_is_one_object_a_line(cli: Program) -> None:
    run = cli.launch("printf", "one\\ntwo \\377\\nlast")
    cli.ended(run)

    objects = [json.loads(line) for line in cli("run", "logs", run, "--json").out.splitlines()]

    assert objects == [{"kind": "log", "text": text} for text in ("one", "two \udcff", "last")]


@pytest.mark.parametrize(("leave", "outcome", "code"), [("0", "succeeded", 0), ("4", "failed", 4)])
def test_a_run_whose_supervisor_was_killed_ends_as_its_own_log_says(
    cli: Program, leave: str, outcome: str, code: int
) -> None:
    killing = f"import os, sys, mlconsole; mlconsole.log({{'a': 1}}); os.kill(os.getppid(), 9); sys.exit({leave})"
    run = cli.ended(cli.launch(sys.executable, "-c", killing))

    assert (run["outcome"], run["exit_code"]) == (outcome, code)
    assert "process gone without an exit record" in run["reason"]


def test_a_launcher_that_is_killed_leaves_one_run_whose_fate_is_known(cli: Program) -> None:
    process = cli.start("launch", "--name", "orphan", "--", "sleep", "60")
    wait_until(lambda: bool(cli.json("run", "list", "orphan")["items"]), "the intent")

    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)

    (run,) = cli.json("run", "list", "orphan")["items"]
    assert run["state"] in ("submitting", "starting", "running")
