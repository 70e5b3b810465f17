"""``mlconsole alert``: what is wrong, in which words, and what a person can say to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogkit import NOW
from hostile import STRINGS, raw_controls
from mlconsole.catalog import Catalog
from mlconsole.catalog.alerts import tell
from mlconsole.domain.alerts import Part, Severity, Signal, Verdict
from program import Program


def alarm(home: Path, title: str = "loss is no number", cause: str = "nan:r1", parts: tuple[Part, ...] = ()) -> None:
    catalog = Catalog(home)
    signal = Signal(cause, "run", "run:r1", Verdict.BAD, title, Severity.CRITICAL, parts)
    catalog.write(lambda db: tell(db, signal, NOW))
    catalog.close()


def test_an_alert_has_the_fields_that_scripts_rely_on(cli: Program) -> None:
    alarm(cli.home)

    (alert,) = cli.json("alert", "list")["items"]
    assert {key: alert[key] for key in ("state", "severity", "source", "opened_at")} == {
        "state": "firing",
        "severity": "critical",
        "source": "run",
        "opened_at": "2026-05-04T12:00:00.000Z",
    }
    shown = cli.json("alert", "show", alert["id"][:3])
    assert shown["kind"] == "alert" and [each["what"] for each in shown["timeline"]] == ["alert firing"]


def test_who_is_at_it_and_why_is_kept_and_audited(cli: Program) -> None:
    alarm(cli.home)
    (alert,) = cli.json("alert", "list")["items"]

    done = cli.json("alert", "ack", alert["id"], "--why", "lowering the rate")

    assert done["state"] == "acked" and done["why"] == "lowering the rate"
    assert cli.json("audit", "list")["items"][0]["action"] == "alert ack"
    assert cli("alert", "snooze", alert["id"], "2h").code == 0
    assert cli.json("alert", "list")["items"][0]["state"] == "snoozed"


def test_a_second_answer_stands_beside_the_first(cli: Program) -> None:
    alarm(cli.home)
    assert cli("alert", "ack", "nan:r1", "--why", "lowering the rate").code == 0

    said = cli("alert", "ack", "nan:r1", "--why", "it is the batches").out

    (alert,) = cli.json("alert", "list")["items"]
    assert [each["why"] for each in alert["answers"]] == ["lowering the rate", "it is the batches"]
    for told in (said, cli("alert", "list").out):
        assert "it is the batches" in told and "lowering the rate" in told
    assert [each["words"] for each in cli.json("alert", "show", "nan:r1")["timeline"]][1:] == [
        "lowering the rate",
        "it is the batches",
    ]


def test_what_was_said_before_it_fired_again_is_of_the_time_before(cli: Program) -> None:
    alarm(cli.home)
    assert cli("alert", "snooze", "nan:r1", "0.001s", "--why", "it is late").code == 0

    (alert,) = cli.json("alert", "list")["items"]
    assert (alert["state"], alert["answers"]) == ("firing", [])


def test_a_snooze_that_is_over_is_none_though_nobody_watches(cli: Program) -> None:
    alarm(cli.home)
    (alert,) = cli.json("alert", "list")["items"]

    assert cli("alert", "snooze", alert["id"], "0.001s").code == 0

    (again,) = cli.json("alert", "list")["items"]
    assert (again["state"], again["snoozed_until"]) == ("firing", None)
    assert cli.json("alert", "show", alert["id"])["state"] == "firing"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("alert", "show", "nothing"), 4),
        (("alert", "ack", "nothing"), 4),
        (("alert", "snooze", "nan:r1", "soon"), 2),
        (("alert", "snooze", "nan:r1", "-5m"), 2),
        (("--read-only", "alert", "ack", "nan:r1"), 2),
    ],
)
def test_what_cannot_be_is_one_line_and_its_exit_code(cli: Program, words: tuple[str, ...], code: int) -> None:
    alarm(cli.home)

    done = cli(*words)
    assert done.code == code and len(done.err.strip().splitlines()) == 1


def test_a_catalog_without_alerts_says_so(cli: Program) -> None:
    assert "Nothing fires." in cli("alert", "list").out


def test_hostile_text_reaches_no_terminal(cli: Program) -> None:
    for text in STRINGS.values():
        alarm(cli.home, text, f"nan:{text}", (Part(text, text, float("nan")),))

    listed = cli("alert", "list")
    assert listed.code == 0 and len(cli.json("alert", "list")["items"]) == len(STRINGS)
    assert raw_controls(listed.out) == set()
    for alert in cli.json("alert", "list")["items"][:4]:
        assert raw_controls(cli("alert", "show", alert["id"]).out) == set()
