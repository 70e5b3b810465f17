"""The stable endpoint: ``python -I -m mlconsole_process.forwarder FOLDER PORT|SOCKET``; outlives the console.

Forwards HTTP/1.1 request by request: each goes where the route in the folder leads at its beginning, so that a client
that keeps its connection is moved to the next release between two of its requests. A second socket in the folder,
``control``, answers ``idle ROUTE`` once no request is under way on any other route: then the old server may stop.

Messages are parsed and written by h11, never copied through, so that none can be smuggled in another.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterable

import h11

from mlconsole_process import route as routes

PIECE = 1 << 16
KEEP_ALIVE_S = 75.0
_HOPS = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade", b"expect"))
_PEER = struct.Struct("3i")
_AWAY = (OSError, h11.RemoteProtocolError, h11.LocalProtocolError)


class Side:
    """One connection with its protocol state."""

    def __init__(self, role: type[h11.CLIENT] | type[h11.SERVER], streams: _Streams) -> None:
        self.protocol = h11.Connection(role)
        self._reader, self._writer = streams

    async def receive(self) -> h11.Event | type[h11.PAUSED]:
        """The next event of the peer."""
        while True:
            event = self.protocol.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            if self.protocol.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.protocol.receive_data(await self._reader.read(PIECE))

    async def send(self, event: h11.Event) -> None:
        """Write one event."""
        if data := self.protocol.send(event):
            self._writer.write(data)
            await self._writer.drain()

    def close(self) -> None:
        """Let the connection go."""
        self._writer.close()


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Forwarder:
    """Serves one endpoint.

    Args:
        folder: where the route is.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._under_way: Counter[str] = Counter()
        self._ended = asyncio.Condition()

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All requests of one client's connection."""
        client = Side(h11.SERVER, (reader, writer))
        try:
            while True:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    event = await client.receive()
                if not isinstance(event, h11.Request):
                    return
                await self._answer(client, event)
                if client.protocol.our_state is not h11.DONE or client.protocol.their_state is not h11.DONE:
                    return
                client.protocol.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await _refuse(client, error.error_status_hint, "this is no HTTP request")
        except (*_AWAY, TimeoutError, asyncio.CancelledError):
            pass  # The client is gone; there is nobody to tell.
        finally:
            client.close()

    async def _answer(self, client: Side, request: h11.Request) -> None:
        names = [name for name, _ in request.headers]
        if b"transfer-encoding" in names and b"content-length" in names:
            await _refuse(client, 400, "a request has one length (RFC 9112, 6.1)")
            return
        taken = routes.read(self._folder)
        while taken is not None:
            key = taken.text
            self._under_way[key] += 1
            try:
                streams = await asyncio.open_connection("127.0.0.1", taken.port)
                await _exchange(client, Side(h11.CLIENT, streams), request)
                return
            except ConnectionRefusedError:
                before, taken = taken, routes.read(self._folder)
                if taken == before:
                    break
            finally:
                await self._done(key)
        await _refuse(client, 502, "no server answers")

    async def _done(self, text: str) -> None:
        self._under_way[text] -= 1
        if self._under_way[text] <= 0:
            del self._under_way[text]
        async with self._ended:
            self._ended.notify_all()

    async def serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question of another process of the same user."""
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        try:
            if _PEER.unpack(peer)[1] not in (os.getuid(), 0):
                return
            word, _, text = (await reader.readline()).decode("ascii", "replace").strip().partition(" ")
            if word == "idle":
                async with self._ended:
                    await self._ended.wait_for(lambda: not set(self._under_way) - {text})
            writer.write(b"ok\n")
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


async def _exchange(client: Side, server: Side, request: h11.Request) -> None:
    """One request there and its answer back."""
    sending = asyncio.ensure_future(_send_request(client, server, request))
    try:
        await _send_answer(client, server)
        await sending
    except _AWAY as error:
        if client.protocol.our_state is not h11.SEND_RESPONSE:
            raise  # Half an answer is out: only the end of the connection can tell the client.
        await _refuse(client, 502, f"the server gave no answer: {type(error).__name__}")
    finally:
        sending.cancel()
        server.close()


async def _send_request(client: Side, server: Side, request: h11.Request) -> None:
    headers = _through(request.headers)
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", b"localhost"))
    try:
        await server.send(h11.Request(method=request.method, target=request.target, headers=headers))
        while not isinstance(event := await client.receive(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return
            await server.send(h11.Data(data=event.data))
        await server.send(h11.EndOfMessage())
    except ConnectionError:
        pass  # A server may answer and close before it has read everything; its answer counts.


async def _send_answer(client: Side, server: Side) -> None:
    while True:
        event = await server.receive()
        if isinstance(event, h11.Response):
            headers = _through(event.headers, closing=False)
            await client.send(h11.Response(status_code=event.status_code, headers=headers, reason=event.reason))
        elif isinstance(event, h11.Data):
            await client.send(h11.Data(data=event.data))
        elif isinstance(event, h11.EndOfMessage):
            await client.send(h11.EndOfMessage())
            return
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("closed without an answer")


def _through(headers: Iterable[tuple[bytes, bytes]], *, closing: bool = True) -> list[tuple[bytes, bytes]]:
    """The headers that are for the other end (RFC 9110, 7.6.1)."""
    found = list(headers)
    named = {word.strip().lower() for name, value in found if name == b"connection" for word in value.split(b",")}
    kept = [(name, value) for name, value in found if name not in _HOPS and name not in named]
    return [*kept, (b"connection", b"close")] if closing else kept


async def _refuse(client: Side, status: int, words: str) -> None:
    if client.protocol.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    body = f"mlconsole: {words}\n".encode()
    headers = [("content-type", "text/plain"), ("content-length", str(len(body))), ("connection", "close")]
    try:
        await client.send(h11.Response(status_code=status, headers=headers))
        await client.send(h11.Data(data=body))
        await client.send(h11.EndOfMessage())
    except _AWAY:
        pass


def unix_listener(folder: str, name: str) -> socket.socket:
    """A socket in a folder for this user alone; the path may be longer than a socket's address can be."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    before = os.umask(0o177)
    try:
        try:
            os.unlink(os.path.join(folder, name))
        except FileNotFoundError:
            pass
        listener.bind(f"/proc/self/fd/{handle}/{name}")
    finally:
        os.umask(before)
        os.close(handle)
    listener.listen(1024)
    return listener


def listener_at(endpoint: str) -> socket.socket:
    """The endpoint's own socket: a loopback port, or the path of a unix socket."""
    if not endpoint.isdecimal():
        return unix_listener(os.path.dirname(endpoint), os.path.basename(endpoint))
    return socket.create_server(("127.0.0.1", int(endpoint)), backlog=1024)


async def serve(folder: str, endpoint: str) -> None:
    """Serve until ended."""
    forwarder = Forwarder(folder)
    front = await asyncio.start_server(forwarder.serve_client, sock=listener_at(endpoint))
    control = await asyncio.start_server(forwarder.serve_control, sock=unix_listener(folder, routes.CONTROL))
    async with front, control:
        await asyncio.gather(front.serve_forever(), control.serve_forever())


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:3]))
