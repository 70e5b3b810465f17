"""Notices: each sent once, signed, to where they were meant to go; one that hangs blocks nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from catalogkit import NOW
from mlconsole import notifiers
from mlconsole.catalog.alerts import tell as tell_alert
from mlconsole.domain.alerts import Severity, Signal, Verdict
from mlconsole.domain.notices import Notice
from mlconsole.errors import ActionFailed, MlconsoleError, UsageError
from mlconsole.policy.duties import Duties
from mlconsole.policy.telling import duties, tell
from mlconsole_command import CommandNotifier
from mlconsole_webhook.webhook import DEADLINE_S, LARGEST, WebhookNotifier, body_of
from policykit import Desk
from program import wait_until

NOTICE = Notice("a-1-ops", NOW, "a", "firing", "critical", "run", "run:r", "it \x1b[31mfailed", "exit code 1", {"x": 1})


@dataclass
class Receiver:
    """A web server on the loopback address, and what it was sent."""

    status: int = 204
    answer: bytes = b""
    drips: bool = False
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    def serve(self) -> ThreadingHTTPServer:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("location", "http://127.0.0.1:1/")
                self.end_headers()
                try:
                    self.wfile.write(receiver.answer)
                    while receiver.drips:
                        self.wfile.write(b".")
                        time.sleep(0.05)
                except OSError:
                    return

            do_GET = do_POST

            def log_message(self, *words: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    @property
    def options(self) -> dict[str, object]:
        return {"url": f"http://127.0.0.1:{self.port}/hook", "allow_private": True}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    server = made.serve()
    yield made
    made.drips = False
    server.shutdown()
    server.server_close()


def send(options: dict[str, object], notice: Notice = NOTICE) -> None:
    notifiers.one("webhook").send(notice, options)


def test_a_webhook_is_signed_as_its_receiver_can_check(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_SECRET", "whsec_" + base64.b64encode(b"key").decode())

    send({**receiver.options, "secret_env": "OPS_SECRET"})

    ((path, headers, body),) = receiver.got
    assert path == "/hook" and json.loads(body)["title"] == NOTICE.title and headers["webhook-id"] == NOTICE.id
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mark = base64.b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mark}" and headers["host"] == f"127.0.0.1:{receiver.port}"
    assert b"whsec" not in body


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/", 'https, not "http"'),
        ("file:///etc/passwd", 'https, not "file"'),
        ("https://127.0.0.1/", "not public"),
        ("https://localhost/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://[::ffff:127.0.0.1]/", "not public"),
        ("https://0/", "not public"),
        ("https://2130706433/", "not public"),
        ("https://169.254.169.254/latest/meta-data/", "not public"),
        ("https://10.0.0.1/", "not public"),
        ("https://192.168.1.1/", "not public"),
        ("https://100.64.0.1/", "not public"),
        ("https://[64:ff9b::7f00:1]/", "not public"),
        ("https://[64:ff9b::a9fe:a9fe]/", "not public"),
        ("https://[2002:7f00:1::]/", "not public"),
        ("https://224.0.0.1/", "not public"),
        ("https://192.0.0.8/", "not public"),
        ("https://[::127.0.0.1]/", "not public"),
        ("https://[fec0::1]/", "not public"),
        ("https://user:pass@example.com/", "no user and password"),
        ("", "https"),
    ],
)
def test_a_webhook_goes_nowhere_that_nobody_meant(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        send({"url": url})


def test_a_webhook_follows_no_redirect(receiver: Receiver) -> None:
    receiver.status = 302

    with pytest.raises(ActionFailed, match="302"):
        send(receiver.options)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [400, 401, 500, 503])
def test_a_webhook_that_is_not_taken_says_so(receiver: Receiver, status: int) -> None:
    receiver.status = status

    with pytest.raises(ActionFailed, match=str(status)):
        send(receiver.options)


def test_a_webhook_reads_no_more_than_64_kb(receiver: Receiver) -> None:
    receiver.status, receiver.answer = 200, b"x" * (LARGEST + 1)

    with pytest.raises(ActionFailed, match="64 KB"):
        send(receiver.options)


def test_a_webhook_that_drips_is_left_after_its_deadline(receiver: Receiver) -> None:
    receiver.status, receiver.drips = 200, True

    with pytest.raises(ActionFailed, match=r"longer than 0.3 s|took too long"):
        WebhookNotifier(deadline_s=0.3).send(NOTICE, receiver.options)
    assert DEADLINE_S == 5.0


def test_a_notice_is_never_larger_than_64_kb() -> None:
    huge = Notice(
        "i", NOW, "a", "firing", "info", "run", "\x00" * 100_000, "t" * 100_000, "w" * 100_000, {"k": "v" * 9**6}
    )

    assert len(body_of(huge)) <= LARGEST and json.loads(body_of(huge))["data"] == {}


def test_a_missing_secret_sends_nothing(receiver: Receiver) -> None:
    with pytest.raises(UsageError, match='"NO_SUCH_SECRET" holds no secret'):
        send({**receiver.options, "secret_env": "NO_SUCH_SECRET"})
    assert receiver.got == []


def test_a_command_gets_the_notice_and_no_shell(tmp_path: Path) -> None:
    out = tmp_path / "out; touch x"

    notifiers.one("command").send(NOTICE, {"command": ["cp", "/dev/stdin", str(out)]})

    assert json.loads(out.read_bytes())["alert"] == "a" and list(tmp_path.iterdir()) == [out]


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(ActionFailed, match="ended with 3: no way"):
        notifiers.one("command").send(NOTICE, {"command": ["sh", "-c", "cat >/dev/null; echo no way >&2; exit 3"]})
    for wrong in ({}, {"command": "rm -rf"}, {"command": []}):
        with pytest.raises(UsageError):
            notifiers.one("command").send(NOTICE, wrong)
    with pytest.raises(ActionFailed, match="cannot be run"):
        notifiers.one("command").send(NOTICE, {"command": ["/no/such/program"]})


def test_a_command_that_hangs_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    words = ["sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid; wait"]

    with pytest.raises(ActionFailed, match=r"longer than 0.5 s"):
        CommandNotifier(deadline_s=0.5).send(NOTICE, {"command": words})
    child = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    wait_until(lambda: not child.exists() or child.read_text().split()[2] == "Z", "its child to be gone")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_apprise_tells_the_services_of_its_urls(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("apprise", reason="the extra mlconsole[apprise] is not installed")
    receiver.status = 200
    monkeypatch.setenv("OPS_URLS", f"json://127.0.0.1:{receiver.port}/hook")

    notifiers.one("apprise").send(NOTICE, {"urls_env": "OPS_URLS"})

    assert json.loads(receiver.got[0][2])["type"] == "failure"
    with pytest.raises(UsageError):
        notifiers.one("apprise").send(NOTICE, {"urls_env": "NONE"})


@dataclass
class Ear:
    """A notifier that keeps what it was told, and may refuse or hang."""

    refuses: int = 0
    hangs: threading.Event | None = None
    told: list[Notice] = field(default_factory=list)

    def send(self, notice: Notice, options: Any) -> None:
        if self.hangs is not None:
            self.hangs.wait()
        if self.refuses:
            self.refuses -= 1
            raise ActionFailed("not now")
        self.told.append(notice)


def alarm(desk: Desk, verdict: Verdict = Verdict.BAD, cause: str = "x", severity: Severity = Severity.WARNING) -> None:
    signal = Signal(cause, "run", "run:r", verdict, "it failed", severity)
    desk.catalog.write(lambda db: tell_alert(db, signal, desk.clock.now))


@pytest.fixture
def fence(desk: Desk) -> int:
    claim = desk.claim()
    assert claim.keep() and claim.fence is not None
    return claim.fence


def test_each_opening_and_each_end_is_told_once_however_often_it_is_asked(desk: Desk, fence: int) -> None:
    ear = Ear()
    alarm(desk, cause="before")
    options = {"kind": "ear"}
    for _ in range(3):
        tell(desk.ctx, fence, "ops", options, lambda kind: ear)
    alarm(desk)
    alarm(desk)
    for _ in range(3):
        tell(desk.ctx, fence, "ops", options, lambda kind: ear)
    alarm(desk, Verdict.CLEAN)
    tell(desk.ctx, fence, "ops", options, lambda kind: ear)

    assert [notice.state for notice in ear.told] == ["firing", "resolved"]
    assert len({notice.id for notice in ear.told}) == 2


def test_what_was_not_taken_comes_again_with_the_same_id_and_growing_pauses(desk: Desk, fence: int) -> None:
    ear = Ear(refuses=3)
    options = {"kind": "ear"}
    tell(desk.ctx, fence, "ops", options, lambda kind: ear)
    alarm(desk)
    tries = 0
    for _ in range(120):
        before = ear.refuses
        try:
            tell(desk.ctx, fence, "ops", options, lambda kind: ear)
        except MlconsoleError:
            tries += before - ear.refuses
        desk.clock.passes(seconds=1)

    assert tries == 3 and len(ear.told) == 1


def test_what_is_not_bad_enough_is_not_told(desk: Desk, fence: int) -> None:
    ear = Ear()
    options = {"kind": "ear", "severity": "critical"}
    tell(desk.ctx, fence, "ops", options, lambda kind: ear)
    alarm(desk)
    alarm(desk, cause="y", severity=Severity.CRITICAL)
    tell(desk.ctx, fence, "ops", options, lambda kind: ear)

    assert [notice.severity for notice in ear.told] == ["critical"]


def test_a_notifier_that_hangs_holds_up_no_other(desk: Desk, fence: int) -> None:
    hanging, well = Ear(hangs=threading.Event()), Ear()
    ears = {"hanging": hanging, "well": well}
    settings = {"a": {"kind": "hanging"}, "b": {"kind": "well"}}
    object.__setattr__(desk.ctx, "settings", type(desk.settings)(desk.home, "ann", "gpu-1", notify=settings))
    work = Duties(desk.said.append)
    work.start(duties(desk.ctx, fence, lambda kind: ears[kind]))
    wait_until(lambda: desk.catalog.outbox.is_idle("a", NOW) and desk.catalog.outbox.is_idle("b", NOW), "both to begin")
    alarm(desk)
    wait_until(lambda: len(well.told) == 1, "the well one to be told")

    assert hanging.told == []
    work.stop()
    assert hanging.hangs is not None
    hanging.hangs.set()
