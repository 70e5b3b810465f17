"""One environment's folder on this machine: what is laid out, its servers, its endpoint."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from mlconsole.plugin_api import ActionFailed, State, TargetOrder, UsageError
from mlconsole_directory import records
from mlconsole_directory.generations import Generations, told
from mlconsole_process import route
from mlconsole_process.asking import answers, ask_forwarder, is_healthy
from mlconsole_process.route import Route
from mlconsole_process.servers import Server, Servers, free_port
from mlconsole_process.serving import Serving, serving_of

FOLDER = "process"
FORWARDER_START_S = 30.0
IDENTITY, ENDPOINT = "identity.json", "endpoint.json"


@contextmanager
def opened(state_dir: Path, settings: Mapping[str, str]) -> Iterator[Site]:
    """The site, made unless it is there, for one process at a time."""
    site = Site(state_dir, settings)
    site.place.open()
    os.chmod(site.folder, 0o700)
    with records.locked(site.place.lock):
        if records.read(site.path(IDENTITY)) is None:
            records.publish(site.path(IDENTITY), {"id": os.urandom(6).hex()})
        yield site


class Site:
    """See the module.

    Args:
        state_dir: the environment's folder.
        settings: as the target has them.
    """

    def __init__(self, state_dir: Path, settings: Mapping[str, str]) -> None:
        self.folder = os.path.join(os.path.abspath(state_dir), FOLDER)
        self._settings = settings
        self.place = Generations(self.folder)

    def path(self, name: str) -> str:
        """Where a record of the site is."""
        return os.path.join(self.folder, name)

    @cached_property
    def _identity(self) -> str:
        return str((records.read(self.path(IDENTITY)) or {}).get("id", ""))

    @cached_property
    def servers(self) -> Servers:
        """The servers of all generations."""
        return Servers(self.folder, "servers", self._identity)

    @cached_property
    def forwarders(self) -> Servers:
        """The process that owns the endpoint, and those before it."""
        return Servers(self.folder, "forwarders", self._identity)

    @property
    def endpoint(self) -> str:
        """A port's digits, or the path of a socket; empty when none was ever opened.

        Raises:
            UsageError: a setting is wrong.
        """
        path, port = self._settings.get("socket", ""), self._settings.get("port", "")
        if path and (port or not os.path.isabs(path) or "\0" in path):
            raise UsageError(f'"{path}" is no place for a socket.', "Give an absolute path, and no port beside it.")
        if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise UsageError(f'"{port}" is no port.', "Give 1 to 65535, or leave it out.")
        return path or port or str((records.read(self.path(ENDPOINT)) or {}).get("port", ""))

    @property
    def url(self) -> str:
        """The endpoint as people write it."""
        return f"http://127.0.0.1:{self.endpoint}" if self.endpoint.isdecimal() else f"unix:{self.endpoint}"

    def serving(self, generation: int) -> Serving:
        """How a generation is served."""
        return serving_of(self._settings, self.place.path(generation))

    def bring_up(self, order: TargetOrder) -> Server:
        """The generation's server, running and healthy.

        Raises:
            ActionFailed: it did not come up; nothing of it is left.
        """
        generation = order.generation
        serving = self.serving(generation)
        server = self.servers.running(generation)
        if server is None:
            release, port = self.place.path(generation), free_port()
            code = os.path.join(release, "code")
            env = {"PORT": str(port), "HOST": "127.0.0.1", "MLCONSOLE_RELEASE": order.release_id}
            env |= {"MLCONSOLE_RELEASE_FOLDER": release, "PYTHONDONTWRITEBYTECODE": "1"}
            cwd = code if os.path.isdir(code) else release
            server = self.servers.start(generation, serving.argv(port, release), cwd, env, port)
        port_text = str(server.port)
        self.servers.wait(server, lambda: is_healthy(port_text, serving.health), serving.start_s)
        if self.servers.see(server).state is State.ENDED:
            raise ActionFailed(f"The server of generation {generation} ended: {self.servers.last_words(server)}")
        return server

    def check_endpoint(self) -> None:
        """See that the port is ours or free.

        Raises:
            ActionFailed: somebody else listens there.
        """
        port = self.endpoint
        if not port.isdecimal() or (self.forwarders.running(0) is not None and answers(port)):
            return
        try:
            socket.create_server(("127.0.0.1", int(port))).close()
        except OSError as error:
            raise ActionFailed(
                f"The endpoint cannot be port {port}: {error.strerror or error}.", "Choose another: --set port=PORT"
            ) from error

    def open_endpoint(self) -> None:
        """Have the forwarder run.

        Raises:
            ActionFailed: it did not come up: the port is taken, or the socket's folder is not there.
        """
        if not self.endpoint:
            records.publish(self.path(ENDPOINT), {"port": free_port()})
        forwarder = self.forwarders.running(0)
        if forwarder is not None and ask_forwarder(self.folder, "up") and not answers(self.endpoint):
            self.forwarders.stop_all(self.forwarders.tries(), 0.0)  # It serves what the endpoint was before.
            forwarder = None
        if forwarder is None:
            argv = (sys.executable, "-I", "-m", "mlconsole_process.forwarder", self.folder, self.endpoint)
            forwarder = self.forwarders.start(0, argv, "/", {}, 0)
        self.forwarders.wait(forwarder, lambda: ask_forwarder(self.folder, "up"), FORWARDER_START_S)

    def switch(self, server: Server, serving: Serving) -> None:
        """Send requests to a server, and stop what is older once it has answered what it was asked."""
        new = Route(server.generation, server.port)
        if route.read(self.folder) != new:
            route.swap(self.folder, new)
            records.sync_folder(self.folder)
        old = [one for one in self.servers.tries() if one.generation <= new.generation and one != server]
        if any(self.servers.see(one).state is not State.ENDED for one in old):
            ask_forwarder(self.folder, f"idle {new.text}", serving.drain_s)
        self.servers.stop_all(old, serving.grace_s)

    def trouble(self, live: Route) -> str:
        """What is wrong with what is live; empty when nothing is."""
        server = next((one for one in self.servers.tries(live.generation) if one.port == live.port), None)
        if server is None or self.servers.see(server).state is State.ENDED:
            return f"the server of generation {live.generation} has ended"
        if not ask_forwarder(self.folder, "up"):
            return f"nobody answers at {self.url}: its forwarder has ended"
        if touched := self.place.touched(live.generation, new_too=False):
            return told(touched)
        if not is_healthy(self.endpoint, self.serving(live.generation).health):
            return f"the server of generation {live.generation} gives no healthy answer"
        return ""
