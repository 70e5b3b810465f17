"""Releases for targets: orders with real bytes, and verbs carried out by a process that is killed at its n-th step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from mlconsole.domain.targets import MemberRef, TargetOrder

#: Runs one verb and kills itself at the n-th thing that it does to the outside; exits 0 when there was no n-th.
STEPPER = """
import json, os, signal, sys
sys.path[:0] = json.loads(sys.argv[1])
import targetkit
from mlconsole import targets
said = json.loads(sys.argv[2])
target, order, left = targets.one(said["target"]), targetkit.order_from(said["order"]), [said["step"]]
WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "subprocess.Popen",
           "socket.connect", "socket.bind", "signal.pidfd_send_signal", "os.kill", "fcntl.flock", "shutil.rmtree"}

def step(event, arguments):
    if event in WATCHED and not (event == "open" and str(arguments[0]).endswith((".py", ".pyc", ".so"))):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(step)
getattr(target, said["verb"])(order)
"""


def file_digest(path: Path) -> str:
    return str(blake3(path.read_bytes()).hexdigest())


def member_of(kind: str, folder: Path, files: Mapping[str, bytes]) -> MemberRef:
    """A member whose bytes are written below a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return MemberRef(kind, f"{kind}-id", folder, {name: file_digest(folder / name) for name in files})


def killed_at(step: int, name: str, verb: str, order: TargetOrder) -> bool:
    """Whether a process that carries out the verb was killed at that step; False when it came to its end before."""
    said = {"target": name, "verb": verb, "step": step, "order": order_document(order)}
    done = subprocess.run(
        [sys.executable, "-c", STEPPER, json.dumps(sys.path), json.dumps(said)],
        capture_output=True, text=True, timeout=60, cwd="/",
    )  # fmt: skip
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def order_document(order: TargetOrder) -> dict[str, object]:
    return {
        "environment": order.environment,
        "release_id": order.release_id,
        "generation": order.generation,
        "members": {n: [m.kind, m.id, os.fspath(m.path), dict(m.files)] for n, m in order.members.items()},
        "settings": dict(order.settings),
        "state_dir": os.fspath(order.state_dir),
    }


def order_from(said: dict[str, object]) -> TargetOrder:
    members = {n: MemberRef(k, i, Path(p), f) for n, (k, i, p, f) in said["members"].items()}  # type: ignore[attr-defined]
    return TargetOrder(**{**said, "members": members, "state_dir": Path(said["state_dir"])})  # type: ignore[arg-type]
