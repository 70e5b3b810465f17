"""The process target: no request fails while one release takes another's place, and what is broken never gets one."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from jobkit import until
from mlconsole.plugin_api import ActionFailed, TargetObservation, TargetOrder, UsageError
from mlconsole_local import shim
from mlconsole_process import ProcessTarget
from mlconsole_process.site import Site
from targetkit import SERVED, member_of

FULL = os.environ.get("MLCONSOLE_FAULTS") == "full"


class Served:
    """An environment with an endpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.settings = folder, folder / "state", dict[str, str]()
        self.state.mkdir()
        self.target = ProcessTarget()

    def order(self, generation: int, text: str) -> TargetOrder:
        source = self.folder / f"source-{generation}"
        model = member_of("model", source / "model", {"weights.bin": text.encode()})
        members = {"model": model, "code": member_of("code", source / "code", SERVED)}
        return TargetOrder("prod", text, generation, members, self.settings, self.state)

    def roll_out(self, generation: int, text: str) -> TargetOrder:
        order = self.order(generation, text)
        self.target.prepare(order)
        self.target.activate(order)
        return order

    def see(self) -> TargetObservation:
        return self.target.observe("prod", self.settings, self.state)

    @property
    def port(self) -> int:
        return int((self.see().endpoint or "").rpartition(":")[2])

    def get(self, path: str = "/", body: bytes | None = None, method: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with closing(connection):
            connection.request(method or ("POST" if body else "GET"), path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def pids(self) -> list[int]:
        """Of the servers that live."""
        site = Site(self.state, self.settings)
        records = [shim.read(f"{one.folder}/job", "start.json") or {} for one in site.servers.tries()]
        return [each["child"]["pid"] for each in records if shim.is_alive(each["child"]["pid"], each["child"]["start"])]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path)
    yield found
    found.target.withdraw("prod", found.settings, found.state)
    assert found.pids() == []


class Clients:
    """Threads that ask without a pause: half of them keep their connection, half open one for each request."""

    def __init__(self, served: Served, count: int) -> None:
        self.answers: Counter[tuple[int, bytes]] = Counter()
        self.failures: list[str] = []
        self._port, self._stop = served.port, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(bool(n % 2),)) for n in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def asked(self) -> int:
        return sum(self.answers.values()) + len(self.failures)

    def _ask(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while not self._stop.is_set():
            try:
                connection.request("POST", "/", b"+body")
                answer = connection.getresponse()
                self.answers[answer.status, answer.read()] += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            if not keeps:
                connection.close()
        connection.close()


def test_no_request_fails_while_releases_take_each_others_place(served: Served) -> None:
    served.roll_out(1, "release 1")
    wanted, generation = 10_000 if FULL else 1_500, 2
    with Clients(served, 4) as clients:
        while clients.asked < wanted and not clients.failures:
            served.roll_out(generation, f"release {generation}")
            generation += 1
        served.roll_out(generation, "the last")
        until(lambda: (200, b"the last+body") in clients.answers)
    print(f"{clients.asked} requests over {generation - 1} switches")

    assert clients.failures == []
    assert {status for status, _ in clients.answers} == {200}
    assert generation > 2
    assert len(served.pids()) == 1


def test_a_request_that_is_under_way_ends_before_its_server_does(served: Served) -> None:
    served.roll_out(1, "old")
    answers: list[tuple[int, bytes]] = []
    slow = threading.Thread(target=lambda: answers.append(served.get("/slow")))
    slow.start()
    until(lambda: len(_connections(served)) >= 1)
    served.roll_out(2, "new")
    slow.join(20)

    assert answers == [(200, b"old")]
    assert served.get() == (200, b"new")


def _connections(served: Served) -> list[str]:
    """Connections to the live server's own port."""
    live = Site(served.state, served.settings).servers.tries()[-1].port
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[2].endswith(f":{live:04X}") and line.split()[3] == "01"]


@pytest.mark.parametrize(("text", "word"), [("broken", "no such model"), ("ill", "no healthy answer")])
def test_a_release_that_does_not_come_up_gets_no_request_and_leaves_nothing(
    served: Served, text: str, word: str
) -> None:
    served.roll_out(1, "good")
    served.settings["start_s"] = "0.5"
    with pytest.raises(ActionFailed, match=word):
        served.target.prepare(served.order(2, text))

    assert served.get() == (200, b"good")
    assert len(served.pids()) == 1


def test_a_port_that_others_have_is_seen_before_anything_moves(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        served.settings["port"] = str(other.getsockname()[1])
        with pytest.raises(ActionFailed, match="Address already in use"):
            served.target.prepare(served.order(1, "good"))

    assert served.pids() == []


def test_the_endpoint_stays_the_same_over_generations(served: Served) -> None:
    served.roll_out(1, "one")
    first = served.see().endpoint
    served.roll_out(2, "two")

    assert served.see().endpoint == first


def test_a_server_that_was_killed_is_seen_and_the_same_order_mends_it(served: Served) -> None:
    order = served.roll_out(1, "one")
    (pid,) = served.pids()
    os.kill(pid, signal.SIGKILL)
    seen = until(lambda: seen if "ended" in (seen := served.see()).words else None)
    assert (seen.release_id, seen.generation, seen.healthy) == ("one", 1, False)
    served.target.activate(order)

    assert served.see().healthy is True
    assert served.get() == (200, b"one")


def test_an_endpoint_that_was_killed_is_seen_and_comes_back_on_its_port(served: Served) -> None:
    order = served.roll_out(1, "one")
    port = served.port
    site = Site(served.state, served.settings)
    forwarder = site.forwarders.running(0)
    assert forwarder is not None
    site.forwarders.stop(forwarder, 0.0)
    assert served.see().healthy is False and "forwarder" in served.see().words
    served.target.activate(order)

    assert served.port == port
    assert served.get() == (200, b"one")


def test_bytes_that_were_changed_in_place_are_seen(served: Served) -> None:
    served.roll_out(1, "one")
    (laid_out,) = (served.state / "process").glob("generations/*/model/weights.bin")
    laid_out.write_bytes(b"two")

    assert served.see().healthy is False
    assert "weights.bin" in served.see().words


def test_a_socket_instead_of_a_port_is_for_its_user_alone(served: Served) -> None:
    path = served.folder / ("long-" * 20) / "serve.sock"
    path.parent.mkdir()
    served.settings["socket"] = str(path)
    served.roll_out(1, "one")

    assert served.see().healthy is True
    assert served.see().endpoint == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (served.state / "process" / "control").stat().st_mode & 0o777 == 0o600


def test_the_endpoint_listens_on_the_loopback_address_alone(served: Served) -> None:
    served.roll_out(1, "one")
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{served.port:04X}")]

    assert listening == [f"0100007F:{served.port:04X}"]


def test_answers_come_through_as_they_are(served: Served) -> None:
    served.roll_out(1, "one")
    large = os.urandom(3 << 20)

    assert served.get(body=large) == (200, b"one" + large)
    assert served.get(method="HEAD") == (200, b"")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\xff garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_client_is_served(served: Served, request_bytes: bytes) -> None:
    served.roll_out(1, "one")
    with socket.create_connection(("127.0.0.1", served.port), 20) as client:
        try:
            client.sendall(request_bytes)
            answer = client.recv(1 << 16)
        except ConnectionResetError:
            answer = b""
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert served.get() == (200, b"one")


@pytest.mark.parametrize(
    ("settings", "word"), [({"port": "no"}, "port"), ({"socket": "relative"}, "socket"), ({"start_s": "x"}, "wrong")]
)
def test_wrong_settings_are_named_and_nothing_moves(served: Served, settings: dict[str, str], word: str) -> None:
    order = replace(served.order(1, "one"), settings=settings)
    with pytest.raises(UsageError, match=word):
        served.target.prepare(order)
        served.target.activate(order)

    assert served.see().release_id is None


def test_a_release_that_does_not_say_how_it_is_served_is_refused(served: Served) -> None:
    order = served.order(1, "one")
    model = order.members["model"]
    with pytest.raises(UsageError, match="how it is served"):
        served.target.prepare(replace(order, members={"model": model}))
