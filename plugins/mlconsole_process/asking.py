"""Questions to a server's health path, and to the forwarder's control socket."""

from __future__ import annotations

import http.client
import os
import socket

from mlconsole_process.route import CONTROL

ANSWER_S = 2.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = unix_connection(self._path, self.timeout or ANSWER_S)


def unix_connection(path: str, timeout_s: float) -> socket.socket:
    """A connection to a unix socket, whose path may be longer than an address can be."""
    handle = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        connection.connect(f"/proc/self/fd/{handle}/{os.path.basename(path)}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(handle)
    return connection


def answers(endpoint: str) -> bool:
    """Whether anybody takes a connection there."""
    try:
        if endpoint.isdecimal():
            socket.create_connection(("127.0.0.1", int(endpoint)), ANSWER_S).close()
        else:
            unix_connection(endpoint, ANSWER_S).close()
    except OSError:
        return False
    return True


def is_healthy(endpoint: str, path: str, timeout_s: float = ANSWER_S) -> bool:
    """Whether a loopback port, or a unix socket, answers 2xx."""
    connection = (
        http.client.HTTPConnection("127.0.0.1", int(endpoint), timeout=timeout_s)
        if endpoint.isdecimal()
        else _UnixConnection(endpoint, timeout_s)
    )
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ask_forwarder(folder: str, question: str, timeout_s: float = ANSWER_S) -> bool:
    """Whether the forwarder said ok in time."""
    try:
        with unix_connection(os.path.join(folder, CONTROL), timeout_s) as connection:
            connection.sendall(f"{question}\n".encode("ascii"))
            return connection.recv(16) == b"ok\n"
    except OSError:
        return False
