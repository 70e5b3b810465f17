"""A run is run again from what was recorded of it, and what keeps it from being the same is named."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from program import Program

TRAIN = """
import csv, random, sys
import mlconsole

RATE = 0.1
random.seed(7)
with mlconsole.start_run(experiment="e", params={"rate": RATE}) as run:
    run.log_dataset(sys.argv[1], name="rows")
    rows = [float(row[0]) for row in csv.reader(open(sys.argv[1]))]
    for step, row in enumerate(rows):
        run.log({"loss": row * RATE + random.random() * NOISE}, step=step)
    open("out.txt", "w").write(str(sum(rows) * RATE))
    run.log_artifact("out.txt")
"""
DIGITS = """
import csv, gzip, importlib.util, pathlib, torch, mlconsole

file = pathlib.Path(importlib.util.find_spec("sklearn").origin).parent / "datasets" / "data" / "digits.csv.gz"
rows = torch.tensor([[float(cell) for cell in row] for row in csv.reader(gzip.open(file, "rt"))])
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
with mlconsole.start_run(experiment="digits") as run:
    run.log_dataset(file)
    for step, batch in enumerate(rows[torch.randperm(len(rows))].split(64)):
        loss = torch.nn.functional.cross_entropy(model(batch[:, :64] / 16), batch[:, 64].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log({"loss": loss.item()}, step=step)
    pathlib.Path("out.txt").write_bytes(b"".join(bytes(p.detach().numpy()) for p in model.parameters()))
    run.log_model("out.txt")
"""
WHEEL = "Metadata-Version: 2.1\nName: tinylib\nVersion: {version}\n"


class Lab:
    """A repository with a training script, and data outside of it."""

    def __init__(self, cli: Program) -> None:
        self.cli, self.repo, self.data = cli, cli.cwd / "repo", cli.cwd / "rows.csv"
        self.repo.mkdir()
        self.script = self.repo / "train.py"
        self.data.write_text("1\n2\n3\n")
        self.write("0")
        self.git("init", "-q")
        (self.repo / ".gitignore").write_text("out.txt\n")
        self.commit()

    def write(self, noise: str) -> None:
        self.script.write_text(TRAIN.replace("NOISE", noise))

    def git(self, *words: str) -> None:
        who = ("-c", "user.name=n", "-c", "user.email=n@example.org")
        subprocess.run(["git", *who, *words], cwd=self.repo, check=True, capture_output=True, timeout=30)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "a change")

    def train(self, name: str, python: str = sys.executable) -> str:
        words = ("launch", "--json", "--name", name, "--cwd", str(self.repo), "--", python, "train.py", str(self.data))
        run = str(self.cli(*words).document["id"])
        assert self.cli.ended(run)["outcome"] == "succeeded"
        return run

    def again(self, thing: str, *words: str, python: str = sys.executable) -> tuple[int, dict[str, Any]]:
        own = () if "--wheels" in words else ("--python", python)
        done = self.cli("reproduce", thing, *own, *words, "--json", deadline_s=100)
        return done.code, done.document

    def from_index(self, thing: str, wheels: Path) -> tuple[int, dict[str, Any]]:
        """Again, with packages from the index that pip is configured with: these wheels, on loopback."""
        with index(wheels) as url:
            added = {"PIP_INDEX_URL": url, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            done = self.cli("reproduce", thing, "--json", deadline_s=100, **added)
        return done.code, done.document


@contextmanager
def index(wheels: Path) -> Iterator[str]:
    """A package index of the simple form (PEP 503) that serves some wheels of one project."""
    (name,) = os.listdir(wheels)
    page = f'<!doctype html><a href="/files/{name}">{name}</a>'.encode()

    class Simple(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_file, is_page = self.path == f"/files/{name}", self.path == "/simple/tinylib/"
            body = (wheels / name).read_bytes() if is_file else page if is_page else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/octet-stream" if is_file else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Simple) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/"
        finally:
            server.shutdown()


@pytest.fixture
def lab(cli: Program) -> Lab:
    return Lab(cli)


def test_a_run_with_uncommitted_changes_is_bit_identical_whatever_the_tree_is_now(lab: Lab) -> None:
    lab.script.write_text(lab.script.read_text().replace("RATE = 0.1", "RATE = 0.25"))
    run = lab.train("first")
    lab.script.write_text("raise SystemExit('another time')")
    lab.commit()

    code, found = lab.again("first")

    assert (code, found["verdict"], found["inputs"], found["outputs"]) == (0, "bit-identical", [], [])
    again = lab.cli.json("run", "show", found["again"])
    assert again["tags"] == {"reproduces": run}
    assert again["params"]["rate"] == 0.25
    assert "reproduces" in [edge["role"] for edge in lab.cli.json("lineage", "up", found["again"])["edges"]]
    assert [entry.name for entry in (lab.cli.home / "reproduced").iterdir()] == []


def test_a_changed_row_is_named_before_anything_runs_and_diverges_if_it_runs_anyway(lab: Lab) -> None:
    lab.cli.json("dataset", "add", str(lab.data), "--name", "rows")
    lab.train("first")
    lab.data.write_text("1\n9\n3\n")

    code, found = lab.again("first")
    anyway_code, anyway = lab.again("first", "--anyway")

    assert (code, found["verdict"], found["again"]) == (6, "could not run", None)
    assert (found["first_difference"]["axis"], found["first_difference"]["key"]) == ("data", "rows: rows.csv")
    assert (anyway_code, anyway["verdict"], anyway["first_difference"]["axis"]) == (6, "diverged", "data")
    assert {row["key"] for row in anyway["outputs"]} == {"loss", "out.txt"}
    assert next(row for row in anyway["outputs"] if row["key"] == "loss")["after"].endswith("at step 1")


def test_an_edited_line_is_named(lab: Lab) -> None:
    lab.train("first")
    lab.script.write_text(lab.script.read_text().replace("RATE = 0.1", "RATE = 0.2"))
    lab.train("edited")
    lab.commit()
    lab.train("committed")

    for other in ("edited", "committed"):
        found = lab.cli.json("run", "diff", "first", other)
        line = next(row for row in found["rows"] if row["key"] == "train.py:5")
        assert (line["axis"], line["before"], line["after"]) == ("code", "RATE = 0.1", "RATE = 0.2")
        assert found["first_input"]["axis"] == "code"
        assert {"params", "metrics", "files"} <= {row["axis"] for row in found["rows"]}


def test_a_bumped_library_is_named_and_the_recorded_one_is_built_from_wheels_or_an_index(lab: Lab) -> None:
    wheels, newer = lab.cli.cwd / "wheels", lab.cli.cwd / "newer"
    for folder, version in ((wheels, "1.0"), (newer, "1.1")):
        folder.mkdir()
        make_wheel(folder, version)
    old, new = (environment(lab.cli.cwd / name, folder) for name, folder in (("old", wheels), ("new", newer)))
    lab.train("first", python=old)

    _, missing = lab.again("first", "--wheels", str(newer))
    _, bumped_there = lab.from_index("first", newer)
    _, from_index = lab.from_index("first", wheels)
    shutil.rmtree(lab.cli.home / "reproduced" / "environments")
    built_code, built = lab.again("first", "--wheels", str(wheels))
    _, other = lab.again("first", python=new)
    _, anyway = lab.again("first", "--anyway", python=new)

    assert (built_code, built["verdict"]) == (0, "bit-identical"), built
    bumped = {"axis": "packages", "key": "tinylib", "before": "1.0", "after": "1.1"}
    assert [one["verdict"] for one in (missing, bumped_there, other)] == ["could not run"] * 3
    assert [one["first_difference"] for one in (missing, bumped_there, other)] == [bumped] * 3
    assert from_index["verdict"] == "bit-identical", from_index
    assert anyway["first_difference"] == bumped and anyway["verdict"] == "bit-identical"


def make_wheel(folder: Path, version: str) -> None:
    info = f"tinylib-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tinylib-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinylib.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", WHEEL.format(version=version))
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def environment(folder: Path, wheels: Path) -> str:
    """A virtual environment without pip, the wheel unpacked into it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    (site,) = folder.glob("lib/python*/site-packages")
    (wheel,) = wheels.iterdir()
    zipfile.ZipFile(wheel).extractall(site)
    return str(folder / "bin" / "python")


@pytest.mark.parametrize(("tolerance", "verdict", "code"), [("1e-3", "within tolerance", 0), ("0", "diverged", 6)])
def test_noise_is_within_the_tolerance_that_was_asked_for(lab: Lab, tolerance: str, verdict: str, code: int) -> None:
    lab.write("0 + __import__('os').getpid() * 1e-9")
    lab.commit()
    lab.train("first")

    found_code, found = lab.again("first", "--tolerance", tolerance)

    assert (found_code, found["verdict"]) == (code, verdict)


def test_metrics_that_measure_time_can_be_left_out(lab: Lab) -> None:
    lab.write("0 + __import__('os').getpid() * 1e-9")
    lab.commit()
    lab.train("first")

    assert lab.again("first", "--ignore", "lo*")[1]["verdict"] == "bit-identical"


def test_code_that_was_not_kept_is_named(lab: Lab) -> None:
    (lab.repo / "fresh.py").write_text(lab.script.read_text())
    lab.script.rename(lab.repo / "old.py")
    lab.commit()
    (lab.repo / "train.py").write_text((lab.repo / "old.py").read_text())
    lab.train("untracked")

    code, found = lab.again("untracked")

    assert (code, found["verdict"]) == (6, "could not run")
    assert found["first_difference"] == {"axis": "code", "key": "train.py", "before": "not in git", "after": "not kept"}


def test_a_commit_that_is_gone_is_named_and_another_repository_can_have_it(lab: Lab) -> None:
    lab.train("first")
    copy = lab.cli.cwd / "copy"
    lab.repo.rename(copy)

    code, found = lab.again("first")
    with_repo = lab.again("first", "--repo", str(copy))[1]

    assert (code, found["first_difference"]["axis"]) == (6, "code")
    assert with_repo["verdict"] == "bit-identical"


def test_a_model_stands_for_the_run_that_it_came_from(lab: Lab) -> None:
    run = lab.train("first")
    lab.cli.json("model", "register", "first", "--name", "m", "--artifact", "out.txt")

    assert lab.again("m@1")[1]["run"] == run


def test_a_run_in_a_folder_that_git_does_not_keep_runs_in_one_that_is_empty(lab: Lab) -> None:
    (lab.repo / ".gitignore").write_text("scratch/\n")
    (lab.repo / "scratch").mkdir()
    lab.commit()
    program = (sys.executable, str(lab.script), str(lab.data))
    run = str(lab.cli("launch", "--json", "--cwd", str(lab.repo / "scratch"), "--", *program).document["id"])
    assert lab.cli.ended(run)["outcome"] == "succeeded"

    code, found = lab.again(run)

    assert (code, found["verdict"]) == (0, "bit-identical"), found
    assert any('"scratch"' in note for note in found["notes"])


def test_data_that_git_does_not_keep_is_read_where_it_was_and_results_are_not_written_over(lab: Lab) -> None:
    (lab.repo / ".gitignore").write_text("data.txt\nmade.txt\n")
    lab.script.write_text(
        "import mlconsole, sys\n"
        "with mlconsole.start_run():\n"
        "    open(sys.argv[2], 'w').write(open(sys.argv[1]).read())\n"
    )
    lab.commit()
    data, made = lab.repo / "data.txt", lab.repo / "made.txt"
    data.write_text("rows")
    os.utime(data, (1, 1))
    words = ("launch", "--json", "--cwd", str(lab.repo), "--", sys.executable, "train.py", str(data), str(made))
    run = str(lab.cli(*words).document["id"])
    assert lab.cli.ended(run)["outcome"] == "succeeded"
    made.write_text("kept")

    _, found = lab.again(run, "--anyway")
    again = lab.cli.json("run", "show", found["again"])

    assert again["outcome"] == "succeeded" and str(data) in again["command"]
    assert made.read_text() == "kept"
    assert any(str(data) in note for note in found["notes"])


def test_an_interpreter_is_looked_for_from_where_the_person_stands(lab: Lab) -> None:
    run = lab.train("first")
    here = os.path.relpath(sys.executable, lab.cli.cwd)

    code, found = lab.again(run, python=here)

    assert (code, found["verdict"]) == (0, "bit-identical"), found


def test_the_plan_says_what_would_be_done_and_does_nothing(lab: Lab) -> None:
    lab.train("first")

    planned = lab.cli.json("reproduce", "first", "--dry-run")

    assert [step["text"].split()[0] for step in planned["steps"]] == ["check", "check", "have", "launch", "compare"]
    assert len(lab.cli.json("run", "list")["items"]) == 1


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torch", "sklearn")), reason="torch or its digits are not here"
)
def test_a_real_torch_training_is_bit_identical_on_the_cpu(lab: Lab) -> None:
    lab.script.write_text(DIGITS)
    lab.commit()
    words = ("launch", "--json", "--cwd", str(lab.repo), "--", sys.executable, "train.py")
    run = str(lab.cli(*words, OMP_NUM_THREADS="1").document["id"])
    assert lab.cli.ended(run, 90)["outcome"] == "succeeded"

    code, found = lab.again(run)

    assert (code, found["verdict"]) == (0, "bit-identical"), found
    assert found["words"].endswith(" 1 file")


def test_a_patch_that_leads_out_of_the_checkout_is_refused(lab: Lab) -> None:
    lab.script.write_text(lab.script.read_text().replace("RATE = 0.1", "RATE = 0.3"))
    run = lab.train("first")
    patch = lab.cli.home / "runs" / run / "code" / "diff.patch"
    outside = lab.cli.cwd / "outside.txt"
    patch.write_text(
        f"diff --git a/../../{outside.name} b/../../{outside.name}\nnew file mode 100644\n--- /dev/null\n"
        f"+++ b/../../{outside.name}\n@@ -0,0 +1 @@\n+escaped\n"
    )

    code, found = lab.again("first")

    assert (code, found["verdict"]) == (6, "could not run")
    assert not outside.exists() and not os.path.exists(lab.cli.home / outside.name)
