"""The README pages of the Slurm and the Ray backend: each of their commands as it stands, on real engines."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.looking import reaching
from engines.ray import Ray
from engines.slurm import Slurm
from program import Program

PLUGINS = Path(__file__).parents[2] / "plugins"
TRAIN = "import time\nprint('epoch 1', flush=True)\ntime.sleep(600)\n"


def page(name: str) -> tuple[str, list[list[str]]]:
    """The settings that a page shows, and its commands."""
    text = (PLUGINS / f"mlconsole_{name}" / "README.md").read_text(encoding="utf-8")
    settings = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    lines = re.findall(r"```\n(mlconsole .*?)```", text, re.DOTALL)[0].splitlines()
    return settings, [shlex.split(line)[1:] for line in lines]


def told(cli: Program, settings: str, folder: Path) -> Program:
    """A person with these settings, and with a training that goes on until it is stopped."""
    config = folder / "config.toml"
    config.write_text(f'{settings}\npython = "{sys.executable}"\n')
    (cli.cwd / "train.py").write_text(TRAIN)
    found = reaching(cli)
    return replace(found, env={**found.env, "MLCONSOLE_CONFIG": str(config)})


def follow(person: Program, commands: list[list[str]]) -> dict[str, dict[str, Any]]:
    """Do each command as it stands; gives the runs as they are then, by name."""
    followed = None
    for words in commands:
        if "-f" in words:
            followed = person.start(*words)
            assert followed.stdout is not None and followed.stdout.readline() == b"epoch 1\n"
            continue
        done = person(*words)
        assert done.code == 0, f"{words}: {done.err}"
    assert followed is not None and followed.communicate(timeout=60)[0] == b"" and followed.returncode == 0
    return {each["name"]: each for each in person.json("run", "list")["items"]}


@pytest.mark.engine("slurm")
def test_each_command_of_slurms_page_does_what_it_says(engine: Slurm, cli: Program, tmp_path: Path) -> None:
    settings, commands = page("slurm")
    person = told(cli, settings, tmp_path)
    runs = follow(person, commands)
    assert runs["hand"]["outcome"] == "cancelled" and runs["again"]["state"] != "ended"
    assert person("teardown", "again", "--yes").code == 0


@pytest.mark.engine("ray")
def test_each_command_of_rays_page_does_what_it_says(engine: Ray, cli: Program, tmp_path: Path) -> None:
    settings, commands = page("ray")
    runs = follow(told(cli, settings.replace("http://127.0.0.1:8265", engine.address), tmp_path), commands)
    assert {name: run["outcome"] for name, run in runs.items()} == {"hand": "cancelled", "tpu": "cancelled"}
