"""Endpoints: what does not answer, answers late, or answers with errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_notifiers import Receiver

from mlconsole.domain.alerts import Severity, Verdict
from mlconsole.policy.sources.endpoints import Endpoint, sums, total

METRICS = """# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/a b"} 90 1395066363000
http_requests_total{code="500",path="/"} 10
http_requests_total{code="503",path="/"} NaN
up 1
broken line here
latency_bucket{le="+Inf"} 1e3
"""


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A server on the loopback address that answers what a test says."""
    made = Receiver(status=200)
    running = made.serve()
    yield made
    running.shutdown()
    running.server_close()


def test_samples_are_summed_by_name_and_by_some_labels() -> None:
    found = sums(METRICS.replace("NaN", "5"))

    assert found["http_requests_total"] == 105 and found["up"] == 1 and found["latency_bucket"] == 1000
    assert total(found, 'http_requests_total{code="500"}') == 10
    assert total(found, 'http_requests_total{path="/",code="503"}') == 5
    assert total(found, "none") == 0


def test_nobody_listening_is_critical() -> None:
    signal = Endpoint("api", {"url": "http://127.0.0.1:1/health"}).look()

    assert signal.verdict is Verdict.BAD and signal.severity is Severity.CRITICAL and "ConnectError" in signal.title


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://x/", "http://[::1", "http://a b/"])
def test_a_url_that_is_none_is_said_and_breaks_nothing(url: str) -> None:
    assert Endpoint("api", {"url": url}).look().verdict is Verdict.BAD


def asked(server: Receiver, **options: object) -> Endpoint:
    return Endpoint("api", {"url": f"http://127.0.0.1:{server.port}/", **options})


@pytest.mark.parametrize(("status", "verdict"), [(200, Verdict.CLEAN), (302, Verdict.CLEAN), (503, Verdict.BAD)])
def test_health_is_what_it_answers(server: Receiver, status: int, verdict: Verdict) -> None:
    server.status = status

    assert asked(server).look().verdict is verdict


def test_an_answer_that_comes_late_is_told_with_its_time(server: Receiver) -> None:
    signal = asked(server, latency_ms=0.001).look()

    assert signal.verdict is Verdict.BAD and signal.parts[0].name == "latency"


def test_errors_are_counted_between_two_looks(server: Receiver) -> None:
    options = {"kind": "prometheus", "errors": "bad_total", "requests": "all_total", "error_rate": 0.05}
    endpoint = asked(server, **options)
    verdicts = []
    for bad, everything in ((100, 200), (100, 1200), (160, 2200), (205, 3200), (3, 10)):
        server.answer = f"bad_total {bad}\nall_total {everything}\n".encode()
        verdicts.append(endpoint.look().verdict)

    assert verdicts == [Verdict.CLEAN, Verdict.CLEAN, Verdict.BAD, Verdict.BETWEEN, Verdict.CLEAN]
