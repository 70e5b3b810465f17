"""How a backend fared with what every backend promises."""

from __future__ import annotations

from mlconsole.records import record


@record
class Verdict:
    """How a backend fared with one promise: ``kept``, ``broken`` or ``not declared``."""

    name: str
    claim: str
    verdict: str
    detail: str = ""
    took_s: float = 0.0
