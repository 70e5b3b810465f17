"""Engines whose nodes see one folder, and not the catalog: run logs are brought from there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from engines.looking import reaching
from program import Program

TRAIN = """
import mlconsole
with mlconsole.start_run():
    for step in range(50):
        mlconsole.log({"loss": 1.0}, step=step)
"""


@pytest.mark.parametrize("backend", ["slurm", "ray"])
def test_metrics_come_from_a_folder_that_the_nodes_see(backend: str, cli: Program, tmp_path: Path) -> None:
    shared, config = tmp_path / "shared", tmp_path / "config.toml"
    shared.mkdir()
    settings = Path(os.environ["MLCONSOLE_CONFIG"]).read_text()
    head = f"[backends.{backend}]\n"
    config.write_text(settings.replace(head, f'{head}folder = "{shared}"\n'))
    cli = reaching(cli)
    cli = replace(cli, env={**cli.env, "MLCONSOLE_CONFIG": str(config)})
    (cli.cwd / "train.py").write_text(TRAIN)

    found = cli.json("launch", "-b", backend, "--name", "shared", "--", "python3", "train.py")
    ended = cli.ended(found["id"], 60)

    assert (ended["outcome"], ended["metrics"]["loss"]["count"]) == ("succeeded", 50)
    assert list(shared.glob("home/runs/*/log/*.mlog"))
