"""Models and lineage at the command line, from a training that logs its data and its model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hostile import STRINGS, raw_controls
from mlconsole.domain.lineage import Edge, Node
from mlconsole.domain.times import from_us
from mlconsole.recorder.artifacts import measure, store
from mlconsole.render.lineage_tables import dot, mermaid
from program import Indoors, Program

TRAIN = """
import json, struct, mlconsole
with mlconsole.start_run(experiment="e", name="net") as run:
    run.log_dataset("data")
    header = json.dumps({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode()
    with open("w.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + bytes(12))
    run.log({"acc": 0.5})
    run.log_model("w.safetensors")
"""


@pytest.fixture
def trained(cli: Program) -> Program:
    """A catalog with a dataset and a run that learned from it."""
    (cli.cwd / "data").mkdir()
    (cli.cwd / "data" / "a.csv").write_text("x\n1\n")
    cli.json("dataset", "add", "data", "--name", "digits")
    assert cli.record(TRAIN).returncode == 0
    return cli


def test_a_model_is_registered_with_files_signature_and_metrics(trained: Program) -> None:
    made = trained.json("model", "register", "net", "--name", "m")

    assert (made["name"], made["version"], made["metrics"]) == ("m", 1, {"acc": 0.5})
    (file,) = trained.json("model", "show", "m")["files"]
    assert (file["format"], file["tensors"]) == ("safetensors", [{"name": "w", "dtype": "F32", "shape": [3]}])
    assert trained.json("model", "register", "net", "--name", "m")["version"] == 1


def test_an_alias_moves_only_from_where_it_was_expected(trained: Program) -> None:
    trained.json("model", "register", "net", "--name", "m")

    assert trained.json("model", "alias", "m", "prod", "1", "--expect", "0")["before"] is None
    lost = trained("model", "alias", "m", "prod", "1", "--expect", "2", "--json")
    assert (lost.code, lost.error["code"]) == (1, "action_failed")
    assert trained.json("model", "show", "m@prod")["aliases"] == ["prod"]
    assert [row["action"] for row in trained.json("audit", "list")["items"]].count("model alias") == 2


def test_a_model_is_traced_to_the_dataset_that_it_learned_from(trained: Program) -> None:
    trained.json("model", "register", "net", "--name", "m")

    up = trained.json("lineage", "up", "m@1")
    down = trained.json("lineage", "down", "digits")
    path = trained.json("lineage", "path", "m@1", "digits")

    assert {"digits", "net"} <= {node["label"] for node in up["nodes"]}
    assert "version:m@1" in {node["key"] for node in down["nodes"]}
    assert [edge["role"] for edge in path["edges"]] == ["same bytes", "used", "registered"]


TUNE = """
import sys, mlconsole
with mlconsole.start_run(experiment="e", name=sys.argv[1]) as run:
    run.use_model(sys.argv[2])
    with open("tuned", "w") as file:
        file.write(sys.argv[1])
    run.log_model("tuned")
"""


def test_a_fine_tuned_model_goes_back_to_what_its_base_learned_from(trained: Program) -> None:
    """By the base's bytes, by its registered name, and by what a launch says; up to what is live of a file."""
    trained = Indoors(trained.home, trained.cwd)
    trained.json("model", "register", "net", "--name", "m")
    trained.json("model", "alias", "m", "champion", "1")
    for name, base in (("by-bytes", "w.safetensors"), ("by-name", "m@1"), ("by-nobody", "m@7")):
        assert trained.record(TUNE, name, base).returncode == 0
    trained.json("launch", "--model", "m@champion", "--name", "by-launch", "--", "true")
    trained.json("run", "relaunch", "by-launch", "--name", "again")

    learned = {node["label"] for node in trained.json("lineage", "down", "digits")["nodes"]}
    assert {"by-bytes", "by-name", "by-launch", "again"} <= learned and "by-nobody" not in learned
    up = trained.json("lineage", "up", "run:by-bytes")
    assert {("used", "w.safetensors"), ("made", "net"), ("used", "digits")} <= {
        (edge["role"], next(node["label"] for node in up["nodes"] if node["key"] == edge["from"]))
        for edge in up["edges"]
    }
    assert trained("launch", "--model", "m@7", "--", "true").code == 4

    trained.json("model", "register", "by-bytes", "--name", "tuned")
    trained.json("release", "create", "--model", "tuned@1", "--name", "v1")
    trained.json("env", "create", "prod", "--target", f"directory:{trained.cwd / 'served'}")
    assert trained("env", "rollout", "prod", "v1", "--yes").code == 0
    live = trained.json("lineage", "down", "data/a.csv", "--live")["items"]
    assert [one["label"] for one in live] == ["prod #1"]


def test_a_large_base_is_known_by_the_digest_that_its_copy_has(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    with open(base / "large", "wb") as file:
        file.truncate((64 << 20) + 1)
    (base / "config").write_text("{}")

    for source in (base, base / "large"):
        assert measure(str(source)).digest == store(str(source), str(tmp_path / "kept"), source.name).digest


def test_a_run_that_goes_on_from_its_own_model_is_not_its_own_past(cli: Program) -> None:
    own = """
import mlconsole
with mlconsole.start_run(name="on") as run:
    open("w", "w").write("1")
    run.log_model("w")
    run.use_model("w")
"""
    assert cli.record(own).returncode == 0
    assert {edge["role"] for edge in cli.json("lineage", "up", "run:on")["edges"]} <= {"environment", "code"}


def test_a_file_that_was_only_logged_is_known_by_its_bytes(trained: Program) -> None:
    trained = Indoors(trained.home, trained.cwd)
    (trained.cwd / "alone.csv").write_text("x\n3\n")
    assert trained.record(TRAIN.replace('"data"', '"alone.csv"').replace('"net"', '"other"')).returncode == 0
    (trained.cwd / "copy.csv").write_text("x\n3\n")
    (trained.cwd / "stray.csv").write_text("x\n4\n")

    (trained.cwd / "folder" / "in").mkdir(parents=True)
    (trained.cwd / "folder" / "in" / "b.csv").write_text("x\n5\n")
    assert trained.record(TRAIN.replace('"data"', '"folder"').replace('"net"', '"third"')).returncode == 0
    (trained.cwd / "inner.csv").write_text("x\n5\n")
    trained.json("model", "register", "third", "--name", "m")
    trained.json("release", "create", "--model", "m@1", "--name", "v1")
    trained.json("env", "create", "prod", "--target", f"directory:{trained.cwd / 'served'}")
    assert trained("env", "rollout", "prod", "v1", "--yes").code == 0

    live = trained.json("lineage", "down", "inner.csv", "--live")["items"]
    assert [one["label"] for one in live] == ["prod #1"], "a file inside of a folder that was only logged"
    assert trained.json("lineage", "down", "copy.csv", "--live")["items"] == []
    assert trained("lineage", "down", "stray.csv", "--live").code == 4


def test_a_name_of_several_things_is_not_guessed(trained: Program) -> None:
    trained.json("model", "register", "net", "--name", "digits")

    several = trained("lineage", "up", "digits")

    assert several.code == 2 and "Say which: model:digits, dataset:digits" in several.err
    assert trained.json("lineage", "up", "model:digits")["start"] == "version:digits@1"
    assert trained.json("lineage", "up", "dataset:digits")["start"].startswith("blake3:")
    assert trained("lineage", "up", "run:digits").code == 4


def test_two_models_differ_by_their_data(trained: Program) -> None:
    trained.json("model", "register", "net", "--name", "m")
    (trained.cwd / "data" / "a.csv").write_text("x\n2\n")
    trained.json("dataset", "add", "data", "--name", "digits")
    assert trained.record(TRAIN.replace('"net"', '"again"')).returncode == 0
    trained.json("model", "register", "again", "--name", "m")

    found = trained.json("lineage", "diff", "m@1", "m@2")
    changed = trained.json("model", "diff", "m@1", "m@2")

    assert {node["key"] for node in found["only_before"]} >= {trained.json("dataset", "show", "digits@1")["id"]}
    assert {node["key"] for node in found["only_after"]} >= {trained.json("dataset", "show", "digits@2")["id"]}
    assert [row["what"] for row in changed["rows"]] == ["run"]


def test_a_card_tells_of_data_metrics_and_files(trained: Program) -> None:
    trained.json("model", "register", "net", "--name", "m")

    card = trained("model", "card", "m").out

    assert card.startswith("# m@1\n")
    assert all(word in card for word in ("| acc | 0.5 |", "dataset digits", "w.safetensors", "safetensors"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("model", "register", "net"), 2),
        (("model", "register", "none", "--name", "m"), 4),
        (("model", "register", "net", "--name", "m", "--artifact", "none"), 4),
        (("model", "alias", "m", "prod", "1"), 4),
        (("model", "show", "m"), 4),
        (("model", "alias", "m", "prod", "latest"), 2),
        (("model", "alias", "m", "7", "1"), 2),
        (("lineage", "up", "nothing"), 4),
        (("lineage", "up", "net", "--dot", "--mermaid"), 2),
        (("lineage", "up", "net", "--limit", "0"), 2),
        (("--read-only", "model", "register", "net", "--name", "m"), 2),
    ],
)
def test_what_cannot_be_done_ends_with_its_code(trained: Program, words: tuple[str, ...], code: int) -> None:
    assert trained(*words).code == code


@pytest.mark.parametrize("path", ["../../../../../../../../etc/passwd", "..", "link/passwd", "link"])
def test_an_artifact_that_leads_out_of_its_run_is_refused(cli: Program, path: str) -> None:
    script = (
        "import mlconsole\nwith mlconsole.start_run(name='evil') as run:\n"
        f"    run._describe('model', 'm', {path!r}, 1, '', None)\n"
    )
    assert cli.record(script).returncode == 0
    run = cli.json("run", "show", "evil")["id"]
    folder = cli.home / "runs" / run / "artifacts"
    folder.mkdir(exist_ok=True)
    (folder / "link").symlink_to("/etc")

    done = cli("model", "register", "evil", "--name", "m")

    assert done.code == 1 and "not in its run's folder" in done.err
    assert cli.json("model", "list")["items"] == []


def test_a_model_whose_bytes_changed_is_refused(trained: Program) -> None:
    (path,) = trained.home.glob("runs/*/artifacts/w.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    done = trained("model", "register", "net", "--name", "m")

    assert done.code == 1 and "changed" in done.err


def nodes_of(labels: list[str]) -> list[Node]:
    return [Node(n, "run", f"run:{n}", label, from_us(0)) for n, label in enumerate(labels)]


@pytest.mark.parametrize("label", STRINGS)
def test_a_picture_of_hostile_names_is_still_one(label: str) -> None:
    nodes, edges = nodes_of([STRINGS[label], "plain"]), [Edge(1, 0, "made")]

    for lines in (dot(nodes, edges), mermaid(nodes, edges)):
        assert raw_controls("\n".join(lines)) == set()
    assert all(re.fullmatch(r'  n\d \[label="([^"\\]|\\["\\])*"\];', line) for line in dot(nodes, edges)[3:5])
    assert all(re.fullmatch(r'  n\d\["[^"\[\]<>`]*"\]', line) for line in mermaid(nodes, edges)[1:3])


def test_hostile_models_are_shown_safely(trained: Program) -> None:
    name = "a\x1b[2J\u202eb[/]|`<b>"

    trained.json("model", "register", "net", "--name", name)
    for words in (("model", "list"), ("model", "show", name), ("model", "card", name), ("lineage", "up", f"{name}@1")):
        done = trained(*words)
        assert done.code == 0
        assert raw_controls(done.out) == set()
    assert json.loads(trained("model", "list", "--json").out)["items"][0]["name"] == name


def test_a_picture_is_printed_as_such(trained: Program, tmp_path: Path) -> None:
    assert trained("lineage", "up", "net", "--dot").out.startswith("digraph lineage {\n")
    assert trained("lineage", "up", "net", "--mermaid").out.startswith("flowchart LR\n")
