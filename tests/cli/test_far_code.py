"""``--snapshot`` on hosts elsewhere: the copy's size is told first, and only what is missing there is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from farkit import FarHosts
from program import Program

TRAIN = (
    "import sys, pathlib, lib\nprint(lib.WORD, pathlib.Path(sys.argv[1]).read_text(), pathlib.Path.cwd(), flush=True)\n"
)


@pytest.fixture
def far(tmp_path: Path) -> FarHosts:
    return FarHosts(tmp_path / "hosts", "h1")


@pytest.fixture
def lab(far: FarHosts, cli: Program) -> Program:
    """A folder of code, as large as is easily told."""
    (cli.cwd / "train.py").write_text(TRAIN)
    (cli.cwd / "lib.py").write_text("WORD = 'first'\n")
    (cli.cwd / "data.txt").write_text("x" * 2048)
    return far.known_to(cli)


def steps(cli: Program, *more: str) -> str:
    command = ("launch", "-b", "ssh", "--snapshot", *more, "--dry-run", "--", "python3", "train.py", "data.txt")
    return " | ".join(f"{each['text']} [{each['touches']}]" for each in cli.json(*command)["steps"])


def launch(cli: Program) -> str:
    path = str(cli.cwd / "data.txt")
    run: str = cli.json("launch", "-b", "ssh", "--snapshot", "--", "python3", "train.py", path)["id"]
    assert cli.ended(run)["outcome"] == "succeeded"
    return cli("run", "logs", run).out


def code_of(far: FarHosts) -> Path:
    return far.folder / "h1" / ".cache" / "mlconsole" / "code"


def test_the_plan_tells_the_size_first_and_sends_nothing(lab: Program, far: FarHosts) -> None:
    told = steps(lab)
    assert "copy the code: 3 files, 2.1 KiB" in told
    assert "send 3 files, 2.1 KiB of it; the rest is there [h1]" in told
    assert not code_of(far).exists() or not list(code_of(far).iterdir())


def test_a_run_works_from_the_copy_there_and_its_arguments_lead_into_it(lab: Program, far: FarHosts) -> None:
    said = launch(lab)
    (copy,) = [each for each in code_of(far).iterdir() if each.is_dir()]
    assert said.startswith(f"first {'x' * 2048} {copy}")
    assert oct((copy / "train.py").stat().st_mode & 0o777) == "0o444"


def test_only_what_is_missing_there_is_sent(lab: Program, far: FarHosts) -> None:
    launch(lab)
    assert "send nothing of it: all of it is there" in steps(lab)
    (lab.cwd / "lib.py").write_text("WORD = 'second'\n")
    assert "send 1 file, 16 B of it; the rest is there" in steps(lab)
    assert launch(lab).startswith("second xxx")
    assert len([each for each in code_of(far).iterdir() if each.is_dir()]) == 2


def test_a_file_there_that_is_not_what_its_digest_says_is_sent_again(lab: Program, far: FarHosts) -> None:
    launch(lab)
    (copy,) = [each for each in code_of(far).iterdir() if each.is_dir()]
    (copy / "data.txt").chmod(0o644)
    (copy / "data.txt").write_text("y" * 2048)
    (lab.cwd / "lib.py").write_text("WORD = 'second'\n")
    assert launch(lab).startswith("second xxx")


def test_a_host_that_is_away_leaves_the_plan_with_the_most_that_it_may_be(lab: Program, far: FarHosts) -> None:
    far.down("h1")
    told = steps(lab)
    assert "how much cannot be told now, 3 files, 2.1 KiB at most" in told and "No route to host" in told


def test_what_only_the_queue_of_this_machine_can_do_is_refused_with_a_way_out(lab: Program) -> None:
    for flag in ("--hold", "--retry=failed=1", "--nproc=2"):
        refused = lab("launch", "-b", "ssh", flag, "--json", "--", "true")
        assert refused.code == 2
        assert json.loads(refused.err)["error"]["hint"].startswith(("Leave it out", "Start the ranks"))
