"""An interpreter with a run's packages: one that is there already, or a virtual environment built for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mlconsole.domain.reproduce import Obstacle
from mlconsole.domain.run_diff import Axis, Difference
from mlconsole.recorder.machine import packages

BYSTANDERS = frozenset(("pip", "setuptools", "wheel", "mlconsole", "python"))
"""What no training's result hangs on; the interpreter's own version is looked at apart."""
DEADLINE_S = 3600
PROBE = "import json, sys; print(json.dumps([sys.path, list(sys.version_info[:3]), sys.implementation.name]))"
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
UNHAD = re.compile(r"the requirement ([\w.-]+)==(\S+) \(from versions: ([^)]*)\)")
"""What pip says of a version that its index does not have."""
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")


def probed(python: str) -> dict[str, str]:
    """The packages of an interpreter, and its own version as ``python``.

    Raises:
        Obstacle: it does not run.
    """
    try:
        done = subprocess.run([python, "-I", "-c", PROBE], capture_output=True, timeout=60, check=True, cwd="/")
        path, version, implementation = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise _obstacle("python", "recorded", f"{python} does not run") from None
    return {**packages(path), "python": f"{'.'.join(map(str, version))} {implementation}"}


def unlike(wanted: Mapping[str, str], there: Mapping[str, str]) -> list[Difference]:
    """The packages that are not as they were, the interpreter first."""
    names = sorted((wanted.keys() | there.keys()) - BYSTANDERS)
    return [
        Difference(Axis.PACKAGES, name, wanted.get(name, ""), there.get(name, ""))
        for name in ("python", *names)
        if wanted.get(name) != there.get(name)
    ]


def build(wanted: Mapping[str, str], wheels: str | None, folder: Path) -> str:
    """Build a virtual environment of exactly these packages; returns its interpreter.

    Args:
        wanted: versions by package, and the interpreter's as ``python``.
        wheels: a folder of wheels to take instead of asking an index.
        folder: where to; what is there already was built before and is used.

    Raises:
        Obstacle: the interpreter or a package cannot be had.
    """
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return str(python)
    pinned = {name: version for name, version in sorted(wanted.items()) if name not in BYSTANDERS}
    for name, version in pinned.items():
        if not NAME.fullmatch(name) or not VERSION.fullmatch(version):
            raise _obstacle(name, version, "is no package")
    if wheels is not None:
        _check_wheels(pinned, wheels)
    shutil.rmtree(folder, ignore_errors=True)
    _run([_interpreter(wanted.get("python", "")), "-m", "venv", str(folder)], "venv")
    if pinned:
        where = ["--no-index", "--find-links", os.path.abspath(wheels)] if wheels is not None else []
        pins = [f"{name}=={version}" for name, version in pinned.items()]
        _run([str(python), "-I", "-m", "pip", "install", "--quiet", "--no-deps", *where, *pins], "packages")
    (folder / "complete").touch()
    return str(python)


def _check_wheels(pinned: Mapping[str, str], wheels: str) -> None:
    try:
        names = os.listdir(wheels)
    except OSError as error:
        raise _obstacle("packages", f"{len(pinned)} wheels", f"{wheels}: {error.strerror}") from None
    there = set()
    for name in names:
        project, _, rest = name.partition("-")
        there.add((re.sub(r"[-_.]+", "-", project).lower(), rest.partition("-")[0].removesuffix(".tar.gz")))
    for name, version in pinned.items():
        if (name, version) not in there:
            found = ", ".join(sorted(other for project, other in there if project == name))
            raise _obstacle(name, version, found or "no wheel")


def _interpreter(recorded: str) -> str:
    """An interpreter of the recorded version's series."""
    version = recorded.partition(" ")[0].split(".")
    if not recorded or version[:2] == [str(part) for part in sys.version_info[:2]]:
        return sys.executable
    series = ".".join(version[:2])
    if not re.fullmatch(r"\d+\.\d+", series) or (found := shutil.which(f"python{series}")) is None:
        raise _obstacle("python", recorded, f"no python{series} here")
    return found


def _run(argv: list[str], what: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, timeout=DEADLINE_S, cwd="/")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _obstacle(what, "recorded", str(error)) from None
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        if found := next((match for line in said if (match := UNHAD.search(line))), None):
            raise _obstacle(found[1], found[2], found[3] if found[3] != "none" else "not in the index")
        raise _obstacle(what, "recorded", next((line for line in said if "ERROR" in line), said[-1] if said else ""))


def _obstacle(key: str, before: str, after: str) -> Obstacle:
    return Obstacle(Difference(Axis.PACKAGES, key, before, after))
