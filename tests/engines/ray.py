"""Ray on one machine: a head with the Jobs REST API and a worker, with pretended GPUs, from an environment of its own.

It lets in who has its token.

The environment holds the one version of :data:`VERSION` and is kept in the user's cache, 380 MB, for the next time.
``ray stop`` is never called: it ends every Ray of the machine. Ray's gRPC ports listen on every interface of where they
run, so that all of it runs in a network namespace; its REST API is reached at an address of a link between.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from pathlib import Path

from engines.daemons import OWN, Daemons, NotHad, end_below, needs, run, wait_for

VERSION = "2.60.0"
NET = f"10.215.{OWN}"
SPACE = f"mlce-ray{OWN}"
PORT = 28265
SHARE = ("--num-cpus=4", "--num-gpus=4", "--object-store-memory=100000000", "--disable-usage-stats", "--block")


def environment() -> Path:
    """The folder of the virtual environment that has Ray; made the first time, which takes a minute or two."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "mlconsole-engines" / f"ray-{VERSION}-py{sys.version_info.major}.{sys.version_info.minor}"
    if not (place / "bin" / "ray").exists():
        shutil.rmtree(place, ignore_errors=True)
        run(sys.executable, "-m", "venv", place)
        quiet = ("-q", "--disable-pip-version-check", "--only-binary=:all:")
        run(place / "bin" / "python", "-m", "pip", "install", *quiet, f"ray[default]=={VERSION}", within_s=900)
    return place


class Ray:
    """One cluster of two nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons = Daemons(folder / "logs")
        self.address = f"http://{NET}.2:{PORT}"
        self.program = Path()
        self.token = secrets.token_hex(32)

    def up(self) -> None:
        needs("ip", "setpriv")
        self.down()
        if len(str(self.folder)) > 44:
            raise NotHad(f"its unix sockets want a shorter path than {self.folder}")
        self.program = environment() / "bin" / "ray"
        os.environ["RAY_AUTH_TOKEN"] = self.token
        run("ip", "netns", "add", SPACE)
        run("ip", "link", "add", SPACE, "type", "veth", "peer", "name", "eth0", "netns", SPACE)
        run("ip", "addr", "add", f"{NET}.1/24", "dev", SPACE)
        run("ip", "link", "set", SPACE, "up")
        for number in (2, 3):
            run("ip", "-n", SPACE, "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
        run("ip", "-n", SPACE, "link", "set", "lo", "up")
        run("ip", "-n", SPACE, "link", "set", "eth0", "up")
        self.start()

    def start(self) -> None:
        """Start head and worker."""
        port = ("--port=26379", f"--dashboard-host={NET}.2", f"--dashboard-port={PORT}")
        self._node("head", "--head", f"--node-ip-address={NET}.2", *port)
        wait_for(self.answers, "the head", 120)
        self._node("worker", f"--address={NET}.2:26379", f"--node-ip-address={NET}.3")
        wait_for(lambda: self.nodes() == 2, "the worker", 120)

    def _node(self, name: str, *argv: str) -> None:
        env = {**os.environ, "RAY_TMPDIR": str(self.folder), "RAY_USAGE_STATS_ENABLED": "0"}
        env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        env |= {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        enter = ("ip", "netns", "exec", SPACE)
        self.daemons.start(name, [*enter, self.program, "start", *argv, *SHARE], env)

    def _get(self, path: str) -> dict[str, object]:
        import httpx

        try:
            found = httpx.get(self.address + path, timeout=5.0, headers={"Authorization": f"Bearer {self.token}"})
            return dict(found.json()) if found.is_success else {}
        except (httpx.HTTPError, ValueError):
            return {}

    def answers(self) -> bool:
        return bool(self._get("/api/version"))

    def nodes(self) -> int:
        found = self._get("/nodes?view=summary").get("data") or {}
        summary = found.get("summary", []) if isinstance(found, dict) else []
        return sum(each.get("raylet", {}).get("state") == "ALIVE" for each in summary)

    def stop(self) -> None:
        """End all of it at once, as a machine that stops does."""
        end_below([process.pid for process in self.daemons.all.values()])
        self.daemons.stop()
        if Path(f"/run/netns/{SPACE}").exists():
            left = run("ip", "netns", "pids", SPACE, check=False).split()
            end_below([int(pid) for pid in left])

    def down(self) -> None:
        self.stop()
        run("ip", "link", "del", SPACE, check=False)
        run("ip", "netns", "del", SPACE, check=False)
