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

#: Runs one verb and kills itself at the n-th change that it makes; exits 0 when there was no n-th.
STEPPER = """
import json, os, signal, sys
sys.path[:0] = json.loads(sys.argv[1])
import targetkit
from mlconsole import targets
said = json.loads(sys.argv[2])
target, order, left = targets.one(said["target"]), targetkit.order_from(said["order"]), [said["step"]]
WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "subprocess.Popen",
           "os.posix_spawn", "socket.connect", "socket.bind", "signal.pidfd_send_signal", "os.kill", "fcntl.flock",
           "shutil.rmtree"}

def step(event, arguments):
    if event in WATCHED and (event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(step)
getattr(target, said["verb"])(order)
"""


#: A release's own server: answers with its model's bytes, and with what it was sent; ``/slow`` takes its time.
SERVE = """
import http.server, os, pathlib, sys, time
MODEL = pathlib.Path(os.environ["MLCONSOLE_RELEASE_FOLDER"], "model/weights.bin").read_bytes()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.5)
        body = MODEL + self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(503 if MODEL == b"ill" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_GET

    def log_message(self, *words):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

if MODEL == b"broken":
    sys.exit("no such model")
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SERVED = {
    "serve.py": SERVE.encode(),
    "serve.json": json.dumps(
        {"command": [sys.executable, "-I", "-S", "serve.py", "{port}"], "health": "/health", "grace_s": 2}
    ).encode(),
}


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
