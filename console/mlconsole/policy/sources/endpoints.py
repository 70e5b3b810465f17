"""Endpoints of the settings: do they answer, how fast, and with how many errors.

``health``: the URL answers below 400. ``prometheus``: the URL gives the Prometheus text format (version 0.0.4), in
which two counters are named; the error rate is how far the one moved by how far the other did since the look before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlconsole.domain.alerts import AlertRules, Part, Severity, Signal, Verdict
from mlconsole.policy.duties import words_of

RULES = AlertRules(k=2, n=3, m=3, cool_down_s=60.0)
TIMEOUT_S = 5.0
LARGEST = 4 << 20
LOWER_BAR = 0.8
SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(\{[^}]*\})?\s+([^\s]+)(?:\s+-?\d+)?\s*$")


@dataclass
class Endpoint:
    """One endpoint and what was seen of it last.

    Args:
        name: what the settings call it.
        options: ``url``, ``kind``, ``latency_ms``, ``errors``, ``requests``, ``error_rate``.
    """

    name: str
    options: Mapping[str, Any]
    _before: tuple[float, float] | None = field(default=None)

    def look(self) -> Signal:
        """Ask once."""
        import httpx  # 120 ms, where an endpoint is watched

        began_s = time.monotonic()
        try:
            with (
                httpx.Client(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
                client.stream("GET", str(self.options["url"])) as reply,
            ):
                text = b""
                for chunk in reply.iter_bytes():
                    text += chunk
                    if len(text) > LARGEST or time.monotonic() - began_s > TIMEOUT_S:
                        break
                status = reply.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._signal([(Verdict.BAD, Part("answer", words_of(error)))], Severity.CRITICAL)
        latency_ms = (time.monotonic() - began_s) * 1000
        if status >= 400:
            return self._signal([(Verdict.BAD, Part("answer", f"it answers {status}"))], Severity.CRITICAL)
        found = [_against(latency_ms, self.options.get("latency_ms"), "latency", f"it took {latency_ms:.0f} ms")]
        if self.options.get("kind") == "prometheus":
            found.append(self._errors(text.decode("utf-8", "replace")))
        return self._signal([each for each in found if each is not None], Severity.WARNING)

    def _errors(self, text: str) -> tuple[Verdict, Part] | None:
        totals = sums(text)
        now = tuple(total(totals, str(self.options.get(key, ""))) for key in ("errors", "requests"))
        before, self._before = self._before, (now[0], now[1])
        if before is None or now[1] <= before[1] or now[0] < before[0]:
            return None  # The first look, nothing asked since, or a counter that began anew.
        rate = (now[0] - before[0]) / (now[1] - before[1])
        return _against(rate, self.options.get("error_rate", 0.05), "errors", f"{rate:.1%} of its requests failed")

    def _signal(self, found: list[tuple[Verdict, Part]], severity: Severity) -> Signal:
        verdicts = [verdict for verdict, _ in found]
        verdict = next((each for each in (Verdict.BAD, Verdict.BETWEEN) if each in verdicts), Verdict.CLEAN)
        parts = tuple(part for each, part in found if each is Verdict.BAD)
        words = ", ".join(part.words for part in parts) or "it answers as it should"
        cause = f"endpoint:{self.name}"
        data = {"endpoint": self.name, "url": str(self.options["url"])}
        return Signal(
            cause, "endpoint", cause, verdict, f'endpoint "{self.name}": {words}', severity, parts, data, RULES
        )


def _against(value: float, bar: object, name: str, words: str) -> tuple[Verdict, Part] | None:
    if not isinstance(bar, (int, float)):
        return None
    verdict = Verdict.BAD if value > bar else Verdict.BETWEEN if value > bar * LOWER_BAR else Verdict.CLEAN
    return verdict, Part(name, words, value)


def sums(text: str) -> dict[str, float]:
    """The samples of a Prometheus text: each by its name with its labels, and summed by its name alone."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else SAMPLE.match(line)
        if match is None:
            continue
        name, labels, value = match.groups()
        try:
            number = float(value)
        except ValueError:
            continue
        if labels:
            found[name + labels] = number
        found[name] = found.get(name, 0.0) + number
    return found


def total(found: Mapping[str, float], wanted: str) -> float:
    """The sum of a counter: by name, or by name and some of its labels, as in ``http_total{status="500"}``."""
    name, brace, labels = wanted.partition("{")
    if not brace:
        return found.get(wanted, 0.0)
    asked = {part.strip() for part in labels.rstrip("}").split(",") if part.strip()}
    return sum(
        value
        for key, value in found.items()
        if key.startswith(name + "{") and asked <= {part.strip() for part in key[len(name) + 1 : -1].split(",")}
    )
