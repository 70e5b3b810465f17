"""The demo's training on this machine, over SSH, in Slurm and in Ray at once, and a picture of the Jobs screen.

Usage, as root: python tests/engines/side_by_side.py

The engines are real ones that the tests bring up on this machine. Only the backend's name differs between the runs;
each is live, stopped and torn down by the same commands, and the script ends with 1 where one is not.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "screenshots"))

from make import Picture, draw, save

from engines.plugin import Engines
from mlconsole.demo import digits
from mlconsole.tui.places import Location

PICTURE = Picture("backends", Location("jobs"), size=(130, 20))
TRAIN = (sys.executable, digits.__file__, "--epochs", "100000", "--pause", "0.2", "--minutes", "10")
WITHIN_S = 120.0


def console(*words: str) -> str:
    """What a command printed."""
    done = subprocess.run([sys.executable, "-P", "-m", "mlconsole", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def shown(run: str) -> dict[str, Any]:
    return dict(json.loads(console("run", "show", run, "--json")))


def points(run: str) -> int:
    """How many points of its first metric are known here."""
    return max((each["count"] for each in shown(run)["metrics"].values()), default=0)


def until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not fact():
        if time.monotonic() > deadline:
            sys.exit(f"not so within {WITHIN_S:g} s: {what}")
        time.sleep(0.2)


def side_by_side(names: list[str]) -> None:
    """Launch, see alive, draw, stop and tear down."""
    home = Path(os.environ["MLCONSOLE_HOME"])
    for name in names:
        console("launch", "-b", name, "-e", "digits", "-n", f"mlp-64-{name}", "--", *TRAIN)
    for name in names:
        until(lambda name=name: points(f"mlp-64-{name}") > 0, f"points of the run on {name}")  # type: ignore[misc]
        before = points(f"mlp-64-{name}")
        until(lambda name=name, before=before: points(f"mlp-64-{name}") > before, f"the run on {name} goes on")  # type: ignore[misc]
        print(f"{name:6} live: {points(f'mlp-64-{name}')} points and more to come", flush=True)
    save(asyncio.run(draw(home, PICTURE)), PICTURE.name)
    for name in names:
        console("run", "stop", f"mlp-64-{name}", "--grace", "5s", "--yes")
        console("teardown", f"mlp-64-{name}", "--yes")
        print(f"{name:6} {shown(f'mlp-64-{name}')['outcome']}, torn down", flush=True)


def main() -> None:
    engines = Engines(["ssh", "slurm", "ray"])
    try:
        os.environ["MLCONSOLE_HOME"] = str(engines.folder / "catalog")
        os.chdir(engines.folder)
        side_by_side(["local", *engines.up])
        for name, why in engines.missing.items():
            print(f"{name:6} not had: {why}")
    finally:
        engines.close()


if __name__ == "__main__":
    main()
