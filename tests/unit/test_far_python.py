"""What travels to a host needs Python 3.6 there and nothing else."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from farkit import far_gpu, put_driver
from mlconsole_local import copies, package
from mlconsole_ssh.channel import Channel

FOLDER = Path(package.__file__).parent


def old_python() -> str:
    """The oldest interpreter of this machine that a host may have; this one where there is no other."""
    known = sorted(Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python3"))
    names = [*map(str, known), "python3.6", "python3.7", "python3.8", "python3.9", sys.executable]
    return next(name for name in names if shutil.which(name))


@pytest.mark.parametrize("name", package.PARTS)
def test_it_is_written_in_the_words_of_python_3_6(name: str) -> None:
    ast.parse((FOLDER / name).read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Channel]:
    driver = put_driver(tmp_path / "bin", [far_gpu("h1")])
    path = f"PATH={driver}{os.pathsep}/usr/bin{os.pathsep}/bin"
    found = Channel(("env", "-i", path, "sh", "-c"), old_python(), str(tmp_path / "root"), 10.0)
    yield found
    found.close()


def test_the_oldest_python_at_hand_serves_jobs_code_and_gpus(agent: Channel, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text("print('trained')\n")
    entries, there = copies.entries_of(str(code)), str(tmp_path / "there")
    request = {"folder": there, "digest": "d1", "entries": entries}
    lacks = agent.call({"verb": "lacks", **request})[0]["lacks"]
    body = io.BytesIO()
    copies.archive(str(code), entries, lacks, body)
    laid = agent.call({"verb": "lay", **request}, body.getvalue())[0]

    folder = str(tmp_path / "root" / "jobs" / "t.1")
    job = {"token": "t.1", "run_id": "t", "argv": ["python3", "train.py"], "cwd": laid["path"], "env": {}}
    job.update(time_limit_s=None, grace_s=1.0, teardown=[], warning=None)
    agent.call({"verb": "submit", "folder": folder}, json.dumps(job).encode(), 30.0)
    while True:
        asked = json.dumps([{"folder": folder, "token": "t.1", "run_id": "t", "output": 0}]).encode()
        reply, data = agent.call({"verb": "observe", "home": str(tmp_path), "gpus": True}, asked)
        if reply["seen"][0]["state"] == "ended":
            break
    gpus = agent.call({"verb": "gpus", "wait_s": 8.0}, timeout_s=20.0)[0]["gpus"]

    assert (reply["seen"][0]["outcome"], data) == ("succeeded", b"trained\n")
    assert (gpus["state"], [each["uuid"] for each in gpus["gpus"]]) == ("ok", ["GPU-h1-0"])
