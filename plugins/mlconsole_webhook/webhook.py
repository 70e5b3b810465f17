"""Sends notices as signed JSON, in the form of Standard Webhooks 1.0 (standardwebhooks.com).

Rules against being sent to where nobody meant (OWASP, "Server-Side Request Forgery Prevention"): HTTPS; a name is
looked up once and the address that was checked is the one connected to; private, loopback and link-local addresses
are refused unless ``allow_private`` is set; no redirects, no proxies of the environment, five seconds in all, 64 KB
each way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict

from mlconsole.plugin_api import ActionFailed, MlconsoleError, Notice, UsageError

DEADLINE_S = 5.0
LARGEST = 64 << 10
SECRET_PREFIX = "whsec_"


class WebhookNotifier:
    """POSTs to ``url``; signs with the secret in the environment variable that ``secret_env`` names.

    Args:
        deadline_s: how long one notice may take in all.
    """

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s

    def send(self, notice: Notice, options: Mapping[str, object]) -> None:
        """Send one notice before the deadline."""
        unknown = set(options) - {"url", "secret_env", "allow_private"}
        if unknown:
            raise UsageError(f'A webhook has no option "{sorted(unknown)[0]}".', "url, secret_env, allow_private.")
        outcome: list[BaseException | None] = []

        def run() -> None:
            try:
                _post(notice, options, self._deadline_s)
                outcome.append(None)
            except BaseException as error:  # noqa: BLE001  handed to who waits
                outcome.append(error)

        # A name server that hangs has no deadline of its own.
        thread = threading.Thread(target=run, name="mlconsole-webhook", daemon=True)
        thread.start()
        thread.join(self._deadline_s)
        if not outcome:
            raise ActionFailed(f"The webhook took longer than {self._deadline_s:g} s.")
        if isinstance(outcome[0], MlconsoleError):
            raise outcome[0]
        if outcome[0] is not None:
            raise ActionFailed(f"The webhook failed: {type(outcome[0]).__name__}.") from outcome[0]


def _post(notice: Notice, options: Mapping[str, object], deadline_s: float) -> None:
    import httpx  # 120 ms, where a webhook is sent

    url = httpx.URL(str(options.get("url", "")))
    allow_private = options.get("allow_private") is True
    if url.scheme != "https" and not (url.scheme == "http" and allow_private):
        raise UsageError(f'A webhook goes to https, not "{url.scheme}".')
    if url.userinfo:
        raise UsageError("A webhook's URL holds no user and password; sign it with secret_env.")
    address = _address(url.host, url.port or (443 if url.scheme == "https" else 80), allow_private)
    body = body_of(notice)
    headers = {"host": url.netloc.decode(), "content-type": "application/json", **signature(notice.id, body, options)}
    ended_s = time.monotonic() + deadline_s
    try:
        with (
            httpx.Client(timeout=deadline_s, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", url.copy_with(host=address), content=body, headers=headers,
                          extensions={"sni_hostname": url.host}) as reply,
        ):  # fmt: skip
            _read(reply.iter_raw(), ended_s)
            status = reply.status_code
    except httpx.HTTPError as error:
        raise ActionFailed(f"The webhook was not reached: {type(error).__name__}: {error}.") from error
    if 300 <= status < 400:
        raise ActionFailed(f"The webhook answers {status}: it is not followed elsewhere.")
    if status >= 400:
        raise ActionFailed(f"The webhook answers {status}.")


def _read(chunks: object, ended_s: float) -> None:
    size = 0
    for chunk in chunks:  # type: ignore[attr-defined]
        size += len(chunk)
        if size > LARGEST:
            raise ActionFailed("The webhook answers with more than 64 KB.")
        if time.monotonic() > ended_s:
            raise ActionFailed("The webhook took too long to answer.")


def _address(host: str, port: int, allow_private: bool) -> str:
    """The address to connect to: all that a name stands for must be public."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise ActionFailed(f'No address is known for "{host}": {error}.') from error
    for text in found:
        if not allow_private and not is_public(ipaddress.ip_address(text.partition("%")[0])):
            raise UsageError(f'"{host}" is {text}, which is not public.', "If it is meant: allow_private = true.")
    return sorted(found, key=lambda text: ":" in text)[0]


NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that was given out of IPv6 (RFC 4291, 2.4); beyond it is what is old or of one site, as fec0::1."""
PROTOCOL_ASSIGNMENTS = ipaddress.IPv4Network("192.0.0.0/24")


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """True for an address of the public net, also behind what carries IPv4 in IPv6 (RFC 4291, 3056, 4380, 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and address not in PROTOCOL_ASSIGNMENTS
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if any(address in net for net in NAT64):
        return address.is_global and is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    carried = all(is_public(each) for each in (address.sixtofour, *(address.teredo or ())) if each is not None)
    return carried and address.is_global and address in GLOBAL_UNICAST


def body_of(notice: Notice) -> bytes:
    """The notice as JSON of at most 64 KB; what is too large goes without its data, and its texts are cut."""
    told = asdict(notice) | {"at": notice.at.isoformat()}
    body = json.dumps(told, default=str).encode()
    if len(body) > LARGEST:
        cut = {name: value[:1000] if isinstance(value, str) else value for name, value in told.items()}
        body = json.dumps(cut | {"data": {}}, default=str).encode()
    return body


def signature(notice_id: str, body: bytes, options: Mapping[str, object]) -> dict[str, str]:
    """The headers of Standard Webhooks; without a secret the notice is not signed."""
    at = str(int(time.time()))
    headers = {"webhook-id": notice_id, "webhook-timestamp": at}
    name = options.get("secret_env")
    if name is None:
        return headers
    secret = os.environ.get(str(name), "")
    if not secret:
        raise UsageError(f'The environment variable "{name}" holds no secret.', "It is the one of the watcher.")
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX)) if secret.startswith(SECRET_PREFIX) else secret.encode()
    mark = hmac.new(key, f"{notice_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return headers | {"webhook-signature": f"v1,{base64.b64encode(mark).decode()}"}
