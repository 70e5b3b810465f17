"""The servers of an environment: local jobs, a folder each, so that they outlive the console and end as a whole."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from mlconsole.plugin_api import ActionFailed, Handle, JobSpec, Observation, State
from mlconsole_directory import records
from mlconsole_local import LocalBackend

PAUSE_S = 0.02
TAIL = 400


@dataclass(frozen=True, slots=True)
class Server:
    """One try at starting a generation's server, or the endpoint's forwarder."""

    folder: str
    token: str
    generation: int
    port: int


class Servers:
    """Jobs below one folder; ``name`` tells servers and forwarders apart."""

    def __init__(self, folder: str, name: str, identity: str) -> None:
        self._folder = os.path.join(folder, name)
        self._prefix = f"{identity}.{name}"
        self._backend = LocalBackend()

    def tries(self, generation: int | None = None) -> list[Server]:
        """Every try that was begun, in order; of one generation, or of all."""
        found: list[Server] = []
        names = os.listdir(self._folder) if os.path.isdir(self._folder) else []
        for name in sorted(names):
            record = records.read(os.path.join(self._folder, name, "server.json"))
            if record is not None and generation in (None, record["generation"]):
                token = f"{self._prefix}.{name}"
                found.append(Server(os.path.join(self._folder, name), token, record["generation"], record["port"]))
        return found

    def running(self, generation: int) -> Server | None:
        """The try that is alive."""
        alive = [one for one in self.tries(generation) if self.see(one).state is not State.ENDED]
        return alive[-1] if alive else None

    def start(self, generation: int, argv: tuple[str, ...], cwd: str, env: dict[str, str], port: int) -> Server:
        """Begin another try.

        Raises:
            ActionFailed: it could not be started.
        """
        count = 1 + max((int(os.path.basename(one.folder)[-4:]) for one in self.tries(generation)), default=0)
        name = f"{generation:06}.{count:04}"
        folder = os.path.join(self._folder, name)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        records.publish(os.path.join(folder, "server.json"), {"generation": generation, "port": port})
        server = Server(folder, f"{self._prefix}.{name}", generation, port)
        spec = JobSpec(run_id=name, name=name, argv=argv, cwd=cwd, directory=folder, env=env)
        self._backend.submit(spec, server.token)
        return server

    def see(self, server: Server) -> Observation:
        """Look at one."""
        handle = self._backend.find(server.token, server.folder)
        if handle is None:
            return Observation(server.token, State.ENDED, evidence="it was never started")
        return self._backend.observe([handle])[0]

    def stop(self, server: Server, grace_s: float) -> None:
        """End one with everything that it started.

        Raises:
            ActionFailed: something of it would not end.
        """
        handle = self._backend.find(server.token, server.folder)
        if handle is None:
            return
        seen = self._backend.cancel(handle, grace_s)
        left = seen.survivors or self._backend.release(handle)
        if left:
            raise ActionFailed(f"Of the server in {server.folder} this would not end: {', '.join(left)}.")

    def stop_all(self, servers: list[Server], grace_s: float) -> None:
        """End them, and remove their records."""
        for server in servers:
            self.stop(server, grace_s)
            shutil.rmtree(server.folder, ignore_errors=True)

    def last_words(self, server: Server) -> str:
        """The end of what it wrote."""
        handle = Handle(self._backend.name, server.token, {"directory": server.folder})
        path = self._backend.log_path(handle, "output")
        try:
            with open(path or "", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                return file.read(TAIL).decode("utf-8", "replace").strip().rpartition("\n")[2]
        except OSError:
            return ""

    def wait(self, server: Server, is_up: Callable[[], bool], within_s: float) -> None:
        """Wait until it does what it should.

        Raises:
            ActionFailed: it ended before, or took too long; it is stopped then.
        """
        deadline = time.monotonic() + within_s
        pause = PAUSE_S
        while not is_up():
            seen = self.see(server)
            why = f"it ended: {seen.reason or seen.outcome}" if seen.state is State.ENDED else ""
            if not why and time.monotonic() > deadline:
                why = f"no healthy answer within {within_s:g} s"
            if why:
                self.stop(server, 0.0)
                said = self.last_words(server)
                what = f"server of generation {server.generation}" if server.generation else "endpoint"
                raise ActionFailed(f"The {what} did not come up: {why}{f'. {said}' if said else ''}")
            time.sleep(pause)
            pause = min(pause * 1.3, 0.25)


def free_port() -> int:
    """A loopback port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
