"""Releases, environments, rollouts and rollbacks at the command line, from trainings that log their data and model."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hostile import raw_controls
from program import Program

TRAIN = """
import json, struct, sys, mlconsole
for acc in sys.argv[1:]:
    with mlconsole.start_run(experiment="e", name=f"net{acc}") as run:
        run.log_dataset("data")
        header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        with open("w.safetensors", "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header + struct.pack("<f", float(acc)))
        run.log({"acc": float(acc)})
        run.log_model("w.safetensors")
"""
METRICS = ("0.5", "0.7", "0.2")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Three models of falling worth, each in a release, v1 to v3, with the same data, code and configuration."""
    work = tmp_path_factory.mktemp("shop")
    program = Program(work / "home", work)
    (work / "data").mkdir()
    (work / "data" / "a.csv").write_text("x\n1\n")
    (work / "service").mkdir()
    (work / "service" / "serve.py").write_text("print(1)\n")
    (work / "service" / "mlconsole.toml").write_text('requires = ["config:threshold", "env:numpy>=1"]\n')
    (work / "c.json").write_text('{"threshold": 0.5}')
    (work / "lock.txt").write_text("numpy==2.1.0\n")
    program.json("dataset", "add", "data", "--name", "digits")
    assert program.record(TRAIN, *METRICS).returncode == 0
    for number, acc in enumerate(METRICS, 1):
        program.json("model", "register", f"net{acc}", "--name", "m")
        parts = ("--code", "service", "--config", "c.json", "--lock", "lock.txt")
        program.json("release", "create", "--model", f"m@{number}", *parts, "--name", f"v{number}")
    return program


@pytest.fixture
def slot(shop: Program, tmp_path: Path) -> tuple[Program, str, Path]:
    """The shop, an environment of its own for this test, and the folder that is deployed to."""
    name, place = f"test-{tmp_path.name}"[-60:].replace("[", "-").replace("]", ""), tmp_path / "live"
    shop.json("env", "create", name, "--target", f"directory:{place}", "--gate", "metric:acc>=0.4")
    return shop, name, place


def live(place: Path) -> float:
    """What the model that is deployed says of itself."""
    data = (place / "current" / "model" / "w.safetensors").read_bytes()
    import struct

    return round(float(struct.unpack("<f", data[-4:])[0]), 3)


def test_a_plan_of_a_release_says_its_parts_and_keeps_none_of_them(shop: Program) -> None:
    (shop.cwd / "other").mkdir()
    (shop.cwd / "other" / "serve.py").write_text("print(2)\n")
    (shop.cwd / "d.json").write_text('{"threshold": 0.75}')
    words = ("release", "create", "--base", "v1", "--code", "other", "--config", "d.json")
    before = sorted(os.listdir(shop.home / "kept"))

    plan = shop.json(*words, "--dry-run")

    assert sorted(os.listdir(shop.home / "kept")) == before
    made = shop.json(*words)
    assert {made["members"][axis]["id"] for axis in ("code", "config")} < {step["touches"] for step in plan["steps"]}


def moves_in_audit(program: Program, name: str) -> list[int]:
    rows = program.json("audit", "list", "--limit", "10000")["items"]
    found = [row["params"]["generation"] for row in rows if row["action"] == "env move" and row["target"] == name]
    return sorted(found)


def test_a_release_is_what_it_is_made_of(shop: Program) -> None:
    made = shop.json("release", "show", "v1")
    again = shop.json("release", "create", "--model", "m@1", "--base", "v1")

    assert {"id", "code", "data", "model", "config", "env"} <= set(made)
    assert made["model"] == "m@1" and made["data"] == shop.json("dataset", "show", "digits")["id"]
    assert again["id"] == made["id"] and made["contracts"] == "proven"
    assert shop.json("release", "show", made["id"].removeprefix("blake3:")[:8])["name"] == "v1"


def test_the_model_requires_the_schema_that_it_learned_from(shop: Program) -> None:
    checks = {row["requires"]: row["verdict"] for row in shop.json("release", "show", "v1")["checks"]}

    schema = shop.json("release", "show", "v1")["members"]["data"]["provides"]["schema"]
    assert checks == {"config:threshold": "proven", "env:numpy>=1": "proven", f"data:schema=={schema}": "proven"}


def test_what_does_not_go_together_is_refused_and_may_be_waived(shop: Program) -> None:
    needs = ("--requires", "code=config:absent")

    refused = shop("release", "create", "--base", "v1", *needs, "--json")
    waived = shop.json("release", "create", "--base", "v1", *needs, "--waive", "code=config:threshold",
                       "--provides", "config=absent:1")  # fmt: skip

    assert refused.code == 1 and "config:absent" in refused.error["message"]
    assert "config:threshold" not in json.dumps(waived["members"]["code"]["requires"])


def test_an_unknown_contract_is_called_unproven(shop: Program) -> None:
    (shop.cwd / "bare").mkdir(exist_ok=True)
    (shop.cwd / "bare" / "run.py").write_text("1\n")

    made = shop.json("release", "create", "--base", "v1", "--code", "bare")

    assert made["contracts"] == "unproven"
    assert [row["words"] for row in made["checks"] if row["verdict"] == "unproven"] == [
        "code: the code has no mlconsole.toml that says what it requires"
    ]


def test_a_rollout_makes_a_release_live_and_says_what_its_gates_said(slot: tuple[Program, str, Path]) -> None:
    program, name, place = slot

    done = program.json("env", "rollout", name, "v1", "--yes")
    shown = program.json("env", "show", name)

    assert (done["state"], done["answer"], live(place)) == ("done", "pass", 0.5)
    assert {"name", "release", "generation", "observed", "state"} <= set(shown)
    assert (shown["generation"], shown["state"], shown["observed"]["release"]) == (1, "live", shown["release"])
    assert [step["state"] for step in done["steps"]] == [
        "planned", "preflight", "prepared", "committed", "applying", "verifying", "done",
    ]  # fmt: skip


def test_what_is_live_and_learned_from_a_dataset_or_one_file_of_it_is_named(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    program.json("env", "rollout", name, "v1", "--yes")
    (program.cwd / "stray.csv").write_text(f"{name}\n")

    def live_of(word: str) -> list[str]:
        return [item["label"] for item in program.json("lineage", "down", word, "--live")["items"]]

    assert all(f"{name} #1" in live_of(word) for word in ("data/a.csv", "net0.5"))
    assert f"{name} #1" in program("--read-only", "lineage", "down", "digits", "--live").out
    assert f"{name} #1" not in live_of("m@3")
    assert program("lineage", "down", "stray.csv", "--live").code == 4
    program.json("env", "rollout", name, "v2", "--yes")
    assert f"{name} #1" not in live_of("digits") and f"{name} #2" in live_of("digits")


def test_a_failed_gate_goes_back_by_itself_and_the_release_is_quarantined(slot: tuple[Program, str, Path]) -> None:
    program, name, place = slot
    program.json("rollout", name, "v2", "--yes")

    failed = program("env", "rollout", name, "v3", "--yes", "--json")
    again = program("env", "rollout", name, "v3", "--yes")

    assert (failed.code, failed.error["code"]) == (6, "check_failed")
    assert live(place) == 0.7 and again.code == 1 and "quarantined" in again.err
    history = program.json("env", "history", name)["items"]
    assert [(row["generation"], row["release_name"]) for row in history] == [(3, "v2"), (2, "v3"), (1, "v2")]
    assert moves_in_audit(program, name) == [1, 2, 3]
    program.json("release", "lift", "v3")


def test_what_compares_with_the_present_release_holds_up_no_way_back_and_no_first_rollout(
    slot: tuple[Program, str, Path],
) -> None:
    program, name, place = slot
    program.json("env", "set", name, "--gate", "metric:acc>=present", "--gate", "metric:acc>=0.4")

    first = program.json("env", "rollout", name, "v1", "--yes")
    program.json("env", "rollout", name, "v2", "--yes")
    plan = program("rollback", name, "--dry-run")
    back = program.json("rollback", name, "--yes")

    assert [(one["answer"], one["words"]) for one in first["gates"]] == [
        ("none", "nothing was live to compare with"),
        ("pass", "0.5 against 0.4"),
    ]
    assert "metric:acc>=present is not asked: a way back is not compared with what it leaves" in plan.out
    assert (back["state"], back["answer"], live(place)) == ("done", "pass", 0.5)
    assert program.json("release", "show", "v1")["quarantine"] is None


def test_what_was_good_here_is_no_worse_for_being_no_better(slot: tuple[Program, str, Path]) -> None:
    program, name, place = slot
    program.json("env", "set", name, "--gate", "metric:acc>=present")
    for release in ("v1", "v2"):
        program.json("env", "rollout", name, release, "--yes")

    failed = program("env", "rollout", name, "v1", "--yes")

    assert failed.code == 6 and "v1 failed" in failed.err and "Now v2 is live." in failed.err
    assert program.json("release", "show", "v1")["quarantine"] is None
    program.json("rollback", name, "--to", "v1", "--yes")
    assert live(place) == 0.5


def test_a_freeze_to_come_says_when_it_begins_and_one_that_holds_how_to_go_through(
    slot: tuple[Program, str, Path],
) -> None:
    program, name, _ = slot
    said = program("env", "freeze", name, "--since", "2126-12-24", "--until", "2126-12-27").out
    program.json("env", "rollout", name, "v1", "--yes")
    program.json("env", "freeze", name, "--until", "1h")

    assert "from 2126-12-24 00:00 UTC until 2126-12-27 00:00 UTC" in said
    assert said.strip().removesuffix(".").partition(" is ")[2] in program("env", "show", name).out
    assert "--override REASON" in program("env", "rollout", name, "v2", "--yes").err


def test_nobody_locks_themselves_out(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot

    assert program("env", "set", name, "--allow", "@nobody-at-all").code == 1
    assert program.json("env", "show", name)["allowed"] == []


def test_a_rollback_to_what_is_live_has_no_plan(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    program.json("env", "rollout", name, "v1", "--yes")

    assert program("rollback", name, "--to", "v1", "--dry-run").code == 2


def test_what_stands_against_a_rollout_is_said_first(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    program.json("env", "rollout", name, "v1", "--yes")
    program.json("env", "pin", name, "--reason", "an audit")

    plan = program("env", "rollout", name, "v2", "--dry-run").out.splitlines()

    assert "from v1 to v2" in plan[1]
    assert plan[2].startswith("  2. ▲ stands against it: ") and "an audit" in plan[2]
    assert plan[3] == "  3. model changes: m@1 becomes m@2"
    assert plan[4] == "  4. stays: code service, data digits@1, config c.json, env lock.txt"


def test_a_rollback_goes_to_what_was_good_and_further_back_the_next_time(slot: tuple[Program, str, Path]) -> None:
    program, name, place = slot
    for release in ("v1", "v2"):
        program.json("env", "rollout", name, release, "--yes")

    assert program("rollback", name).code == 3 and live(place) == 0.7
    back = program.json("rollback", name, "--yes")

    assert (back["state"], back["type"], live(place)) == ("done", "rollback", 0.5)
    assert program("rollback", name, "--yes").code == 4
    assert program.json("rollback", name, "--to", "2", "--yes")["generation"] == 4
    assert live(place) == 0.7


def test_one_part_goes_back_alone_and_the_others_stay_byte_identical(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    (program.cwd / "c2.json").write_text('{"threshold": 0.9}')
    program.json("release", "create", "--base", "v2", "--config", "c2.json", "--name", f"both-{name}")
    program.json("env", "rollout", name, "v1", "--yes")
    program.json("env", "rollout", name, f"both-{name}", "--yes")

    plan = program.json("rollback", name, "--axis", "config", "--dry-run")
    program.json("rollback", name, "--axis", "config", "--yes")
    now, before, first = (program.json("release", "show", which) for which in
                          (program.json("env", "show", name)["release"], f"both-{name}", "v1"))  # fmt: skip

    assert {"action", "effect", "steps", "cost_usd", "irreversible"} <= set(plan) and plan["effect"] == "destroy"
    said = " ".join(step["text"] for step in plan["steps"])
    assert "config goes back alone" in said and "model m@2" in said
    assert now["config"] == first["config"]
    assert {a: now["members"][a]["content"] for a in ("code", "data", "model", "env")} == {
        a: before["members"][a]["content"] for a in ("code", "data", "model", "env")
    }


def test_a_part_goes_back_to_one_that_was_good_and_not_to_one_that_was_taken_back(
    slot: tuple[Program, str, Path],
) -> None:
    program, name, place = slot
    program.json("env", "rollout", name, "v1", "--yes")
    program.json("env", "rollout", name, "v2", "--yes")
    assert program("env", "rollout", name, "v3", "--yes").code == 6 and live(place) == 0.7
    program("release", "lift", "v3")

    refused = program("rollback", name, "--axis", "model", "--to", "2", "--dry-run")
    program.json("rollback", name, "--axis", "model", "--yes")

    assert refused.code == 2 and live(place) == 0.5


def test_a_part_that_cannot_go_back_alone_takes_the_fewest_along(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    newer = f"newer-{name}"
    (program.cwd / "two.csv").write_text("x,y\n1,2\n")
    program.json("dataset", "add", "two.csv", "--name", "wide")
    schema = program.json("release", "create", "--data", "wide")["members"]["data"]["provides"]["schema"]
    needs = ("--requires", f"model=data:schema=={schema}")
    program.json("release", "create", "--base", "v2", "--data", "wide", *needs, "--name", newer)
    program.json("env", "rollout", name, "v1", "--yes")
    program.json("env", "rollout", name, newer, "--yes")

    plan = program.json("rollback", name, "--axis", "data", "--dry-run")
    done = program.json("rollback", name, "--axis", "data", "--yes")

    said = " ".join(step["text"] for step in plan["steps"])
    assert "cannot go back alone; the fewest that go with it: model" in said
    assert f"forced by a contract: model requires data:schema=={schema}" in said
    release = program.json("release", "show", done["release"])
    assert release["model"] == "m@1" and "good here together before" in said


def test_bytes_that_are_gone_are_said_and_nothing_moves(slot: tuple[Program, str, Path]) -> None:
    program, name, place = slot
    (program.cwd / "gone").mkdir(exist_ok=True)
    (program.cwd / "gone" / "a.csv").write_text(f"x\n{len(name)}7\n")
    program.json("dataset", "add", "gone", "--name", "gone")
    program.json("release", "create", "--base", "v1", "--data", "gone", "--name", f"gone-{name}")
    program.json("env", "rollout", name, "v2", "--yes")
    (program.cwd / "gone" / "a.csv").write_text("x\nchanged\n")

    plan = program.json("env", "rollout", name, f"gone-{name}", "--dry-run")
    done = program("env", "rollout", name, f"gone-{name}", "--yes")

    assert "stands against it: data gone@1 has changed: a.csv" in [step["text"] for step in plan["steps"]]
    assert done.code == 1 and "has changed: a.csv" in done.err
    assert program.json("env", "show", name)["generation"] == 1 and live(place) == 0.7
    assert [path.name for path in (place / "generations").iterdir()] == ["000001"]


def test_pins_and_freezes_hold_and_an_override_is_on_record(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    program.json("env", "rollout", name, "v1", "--yes")
    program.json("env", "pin", name, "--axis", "model", "--reason", "audit")

    pinned = program("env", "rollout", name, "v2", "--yes")
    program.json("env", "unpin", name, "--axis", "model")
    program.json("env", "freeze", name, "--until", "8h", "--reason", "holidays")
    frozen = program("env", "rollout", name, "v2", "--yes")
    program.json("env", "rollout", name, "v2", "--override", "a bug that costs money", "--yes")
    program.json("env", "thaw", name)

    assert pinned.code == 1 and "model is pinned by" in pinned.err and "audit" in pinned.err
    assert frozen.code == 1 and "frozen by" in frozen.err
    assert program.json("env", "history", name)["items"][0]["reason"] == "a bug that costs money"
    assert program("env", "thaw", name).code == 4 and program("env", "unpin", name).code == 4


def test_the_state_at_any_time_is_one_look_up(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    program.json("env", "rollout", name, "v1", "--yes")
    first = program.json("env", "history", name)["items"][0]["at"]
    program.json("env", "rollout", name, "v2", "--yes")

    then, never = (
        program.json("env", "show", name, "--at", at) for at in (first.replace("Z", "999+00:00"), "2020-01-01")
    )

    assert (then["generation"], then["release_name"], then["state"]) == (1, "v1", "past")
    assert (never["generation"], never["release"]) == (0, None)
    assert program.json("env", "show", name, "--at", "2h ago")["generation"] == 0
    assert {row["what"] for row in program.json("env", "diff", f"{name}@1", name)["rows"]} == {"model"}


def test_a_change_behind_our_back_is_seen_and_repaired(slot: tuple[Program, str, Path]) -> None:
    program, name, place = slot
    program.json("env", "rollout", name, "v1", "--yes")
    (place / "current").unlink()
    (place / "current").symlink_to("/etc")

    drifted = program.json("env", "show", name)
    listed = program("env", "list")
    repaired = program.json("env", "repair", name, "--yes")

    assert drifted["state"] == "drifted" and drifted["repair"] == f"mlconsole env repair {name} --yes"
    assert "drifted" in listed.out
    assert repaired["generation"] == 2 and live(place) == 0.5
    assert program.json("env", "show", name)["state"] == "live"


def test_only_those_who_may_can_move_it(shop: Program, tmp_path: Path) -> None:
    target = ("--target", f"directory:{tmp_path / 'x'}")

    assert shop("env", "create", "closed", *target, "--allow", "@nobody-at-all").code == 1
    shop.json("env", "create", "closed", *target)
    with sqlite3.connect(shop.home / "catalog.db") as db:
        db.execute("UPDATE environment SET allowed = '[\"@nobody-at-all\"]' WHERE name = 'closed'")
    done = shop("env", "rollout", "closed", "v1", "--yes")

    assert done.code == 1 and "@nobody-at-all may" in done.err
    assert shop("env", "freeze", "closed", "--until", "1h").code == 1


def test_no_gate_is_shown_as_none(shop: Program, tmp_path: Path) -> None:
    shop.json("env", "create", "ungated", "--target", f"directory:{tmp_path / 'x'}")

    done = shop.json("env", "rollout", "ungated", "v1", "--yes")

    assert (done["state"], done["answer"], done["message"]) == ("done", "none", "no gate was asked")


def test_a_deployment_is_traced_to_the_file_that_its_model_learned_from(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    program.json("env", "rollout", name, "v1", "--yes")

    up = program.json("lineage", "up", f"deployment:{name}:1")
    down = program.json("lineage", "down", "digits")

    assert {"release", "model", "dataset", "code", "config", "environment", "run"} <= {n["node"] for n in up["nodes"]}
    assert f"deployment:{name}:1" in {node["key"] for node in down["nodes"]}
    assert any(node["node"] == "evaluation" for node in program.json("lineage", "down", "v1")["nodes"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("release", "create"), 2),
        (("release", "create", "--model", "none@1"), 4),
        (("release", "create", "--base", "v1", "--requires", "code"), 2),
        (("release", "create", "--base", "v1", "--requires", "code=what"), 2),
        (("release", "create", "--base", "v1", "--code", "/nonexistent-place"), 1),
        (("release", "create", "--base", "v1", "--config", "/nonexistent-place"), 2),
        (("release", "create", "--base", "v2", "--name", "v1"), 1),
        (("release", "create", "--base", "v1", "--model", "m@1", "--name", "v1-again"), 1),
        (("release", "show", "none"), 4),
        (("release", "lift", "v1"), 4),
        (("env", "create", "a/b", "--target", "directory:/x"), 2),
        (("env", "create", "a"), 2),
        (("env", "create", "a", "--target", "no-such-target"), 4),
        (("env", "create", "a", "--target", "directory:/x", "--gate", "metric:acc"), 2),
        (("env", "create", "a", "--target", "directory:/x", "--gate", "metric:acc>=high"), 2),
        (("env", "create", "a", "--target", "directory:/x", "--gate", "http:health"), 2),
        (("env", "create", "a", "--target", "directory:/x", "--gate", "command:'"), 2),
        (("env", "create", "a", "--target", "directory:/x", "--bake", "soon"), 2),
        (("env", "show", "none"), 4),
        (("env", "rollout", "none", "v1", "--yes"), 4),
        (("rollback", "none", "--yes"), 4),
        (("--read-only", "env", "rollout", "none", "v1", "--yes"), 2),
    ],
)
def test_what_cannot_be_done_ends_with_its_code(shop: Program, words: tuple[str, ...], code: int) -> None:
    assert shop(*words).code == code


def test_hostile_names_are_shown_safely(slot: tuple[Program, str, Path]) -> None:
    program, name, _ = slot
    hostile = f"a\x1b[2J\u202eb[/]|`<b>{name}"
    program.json("release", "create", "--base", "v1", "--provides", f"code=x:{hostile}", "--name", hostile)
    program.json("env", "rollout", name, hostile, "--override", hostile, "--yes")

    for words in (("release", "list"), ("release", "show", hostile), ("env", "show", name), ("env", "history", name)):
        done = program(*words)
        assert done.code == 0 and raw_controls(done.out) == set()
    assert program.json("env", "show", name)["release_name"] == hostile


def documents(program: Program) -> list[Any]:
    return [program.json("release", "list"), program.json("env", "list")]


def test_lists_are_documents_of_their_kind(shop: Program) -> None:
    releases, environments = documents(shop)

    assert releases["kind"] == "release" and {"id", "live", "quarantine"} <= set(releases["items"][0])
    assert environments["kind"] == "environment"


def test_what_is_withdrawn_is_gone_is_no_drift_and_comes_back(slot: tuple[Program, str, Path]) -> None:
    shop, name, place = slot
    shop.json("env", "rollout", name, "v1", "--yes")

    assert shop("env", "withdraw", name).code == 3 and live(place) is not None
    shop.json("env", "withdraw", name, "--yes")

    assert not (place / "current").exists() and list((place / "generations").iterdir()) == []
    shown = shop.json("env", "show", name)
    assert (shown["state"], shown["drift"], shown["generation"]) == ("withdrawn", "", 1)
    shop.json("rollback", name, "--to", "v1", "--yes")
    assert shop.json("env", "show", name)["state"] == "live"
    assert (place / "current").exists()


def test_nothing_is_withdrawn_under_a_rollout(slot: tuple[Program, str, Path]) -> None:
    shop, name, _ = slot
    shop.json("env", "set", name, "--gate", "metric:nobody>=1")
    assert shop("env", "rollout", name, "v1", "--yes").code == 1

    refused = shop("env", "withdraw", name, "--yes")

    assert refused.code == 1 and "under way" in refused.err
