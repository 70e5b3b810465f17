"""One host's agent at the other end of an ``ssh`` process: requests and replies over its two streams."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from mlconsole.plugin_api import ActionFailed, BackendUnreachable
from mlconsole_local.package import package

Record = dict[str, Any]
CHUNK = 1 << 16
#: What shells and their start files print before the agent speaks is passed over, so much of it.
MOST_NOISE = 1 << 18
#: What is sent may take so long beyond a call's own time: it is on its way when it has left this process. A line that
#: is dead is told by ``ssh`` itself, within some ten seconds.
SLOWEST_BYTES_PER_S = 2048
GREETING = re.compile(rb"\nmlconsole (has|needs) it\n")
#: Runs with nothing of ours there yet: says whether the agent's file is there, takes it if not, and becomes the agent.
BOOTSTRAP = """
import os, sys
path = os.path.join(os.path.expanduser(%r), "lib", %r)
have = os.path.exists(path)
os.write(1, b"\\nmlconsole has it\\n" if have else b"\\nmlconsole needs it\\n")
if not have:
    data, left = b"", %d
    while left > len(data):
        more = os.read(0, left - len(data))
        if not more:
            sys.exit(1)
        data += more
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    draft = "%%s.%%d.tmp" %% (path, os.getpid())
    with open(draft, "wb") as file:
        file.write(data)
    os.rename(draft, path)
os.execv(sys.executable, [sys.executable, "-I", "-S", path, "serve"])
"""


def command_of(python: str, root: str) -> str:
    """What the far shell is asked to run: letters, digits and plain quotes only, so that every shell reads it alike."""
    found = package()
    text = BOOTSTRAP % (root, found.name, len(found.data))
    return f"{shlex.quote(python)} -I -S -c 'exec(bytes.fromhex(\"{text.encode().hex()}\").decode())'"


class Channel:
    """An agent on one host; one request at a time.

    Args:
        argv: the ``ssh`` command line up to and without the remote command.
        python: the interpreter there.
        root: the folder there that everything of ours is kept in.
        timeout_s: how long to wait for the host to answer at all.

    Raises:
        BackendUnreachable: there was no answer, and why.
    """

    def __init__(self, argv: Sequence[str], python: str, root: str, timeout_s: float) -> None:
        self._received, self._has_greeted = b"", False
        errors = os.memfd_create("ssh")
        (there, self._requests), (self._replies, back) = os.pipe(), os.pipe()
        try:
            self._process = subprocess.Popen(
                [*argv, command_of(python, root)], stdin=there, stdout=back, stderr=errors, start_new_session=True
            )
        finally:
            os.close(there)
            os.close(back)
        self._errors = errors
        self._end = weakref.finalize(self, _end, self._process, (self._requests, self._replies, errors))
        os.set_blocking(self._requests, False)
        try:
            deadline = time.monotonic() + timeout_s
            self._silence_s, travels_s = timeout_s, 0.0
            if self._greeting(deadline) == b"needs":
                travels_s = _travel_s(package().data)
                self._send(package().data, deadline + travels_s)
            self.hello, _ = self.call({"verb": "hello", "root": root}, timeout_s=timeout_s + travels_s)
        except BaseException:
            self.close()
            raise

    def call(self, request: Mapping[str, Any], body: bytes = b"", timeout_s: float = 10.0) -> tuple[Record, bytes]:
        """The reply to a request, and the bytes that came with it.

        Args:
            request: the verb and its words.
            body: the bytes that go with it.
            timeout_s: how long nothing may come; an answer that is on its way may take as long as it needs.

        Raises:
            ActionFailed: nothing was done, and why.
            BackendUnreachable: no answer came in time, or the line broke, or what was done cannot be told.
        """
        deadline, self._silence_s = time.monotonic() + timeout_s + _travel_s(body), timeout_s
        self._send(json.dumps({**request, "size": len(body)}).encode("ascii") + b"\n" + body, deadline)
        reply = json.loads(self._line(deadline))
        data = self._exactly(reply["size"], deadline)
        if "refused" in reply:
            raise ActionFailed(f"{reply['refused']}.")
        if "error" in reply:
            raise BackendUnreachable(f"the agent there failed: {reply['error']}")
        return reply, data

    def close(self) -> None:
        """End it, and the agent with it."""
        self._end()

    def is_open(self) -> bool:
        """Whether the ``ssh`` process still runs."""
        return self._process.poll() is None

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._requests, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._requests, view[:CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise BackendUnreachable(self._why()) from None

    def _greeting(self, deadline: float) -> bytes:
        """What the first of ours says there: whether it has the agent's file, or needs it."""
        while not (found := GREETING.search(self._received)):
            if len(self._received) > MOST_NOISE:
                raise BackendUnreachable("its shell prints without end, and starts nothing of ours")
            self._receive(deadline)
        self._received, self._has_greeted = self._received[found.end() :], True
        return found[1]

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._received:
            self._receive(deadline)
            deadline = max(deadline, time.monotonic() + self._silence_s)
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _exactly(self, size: int, deadline: float) -> bytes:
        parts, there = [self._received], len(self._received)
        while there < size:
            self._received = b""
            self._receive(deadline)
            deadline = max(deadline, time.monotonic() + self._silence_s)
            parts.append(self._received)
            there += len(self._received)
        data = b"".join(parts)
        self._received = data[size:]
        return data[:size]

    def _receive(self, deadline: float) -> None:
        self._wait(self._replies, select.POLLIN, deadline)
        more = os.read(self._replies, CHUNK)
        if not more:
            raise BackendUnreachable(self._why())
        self._received += more

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise BackendUnreachable("no answer in time")

    def _why(self) -> str:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "the connection broke"
        # A shell that lets nobody in may say so on its standard output, as nologin(8) does.
        noise = b"" if self._has_greeted else self._received[-(1 << 12) :]
        for data in (os.pread(self._errors, 1 << 12, 0), noise):
            if text := data.decode("utf-8", "replace").strip():
                return text.rpartition("\n")[2].strip()
        return f"ssh ended with code {code}"


def _travel_s(data: bytes) -> float:
    """How long these bytes may take on a slow line."""
    return len(data) / SLOWEST_BYTES_PER_S


def _end(process: subprocess.Popen[bytes], descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
    process.kill()
    process.wait()
