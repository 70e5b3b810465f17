"""Files of policies: what is wrong is named with file and line, what is sound goes on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from catalogkit import NOW
from mlconsole.domain.event_filter import condition, fits
from mlconsole.domain.events import Event
from mlconsole.errors import ConfigError
from mlconsole.policy.rules import of_table, read

SOUND = """
[policy.sound]
when = "run.ended"
do = "run tag"
with = { run = "{run}", tags = ["seen"] }
"""


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[policy.p]\nwhen = "run.melted"\ndo = "launch"', 2, 'unknown event "run.melted"; known: run.ended'),
        ('[policy.p]\nwhen = "run.ended"\ndo = "run melt"', 3, 'unknown action "run melt"'),
        ('[policy.p]\nwhen = "run.ended"\ndo = "watch"', 3, 'unknown action "watch"'),
        ('[policy.p]\nwhen = "run.ended"', 1, 'needs "do"'),
        ('[policy.p]\ndo = "backup"', 1, 'either "when", an event, or "cron"'),
        ('[policy.p]\ncron = "61 * * * *"\ndo = "launch"', 2, "no cron expression: bad minute"),
        ('[policy.p]\ncron = "* * *"\ndo = "launch"', 2, "has 3 fields"),
        ('[policy.p]\ncron = "0 0 30 2 *"\ndo = "launch"', 2, "no cron expression"),
        ('[policy.p]\ncron = "0 3 * * *"\ntimezone = "Mars/Base"\ndo = "launch"', 3, "no time zone"),
        ('[policy.p]\nwhen = "run.ended"\nif = "outcome:"\ndo = "launch"', 3, "a value after"),
        ('[policy.p]\nwhen = "run.ended"\nif = "loss<3"\ndo = "launch"', 3, 'has no field "loss"'),
        ('[policy.p]\nwhen = "run.ended"\nif = "sort:name"\ndo = "launch"', 3, "neither sorts"),
        ('[policy.p]\nwhen = "run.ended"\ndo = "run tag"\nwith = { run = "{rum}" }', 4, 'no field "rum"'),
        ('[policy.p]\nwhen = "run.ended"\ndo = "run tag"\n[policy.p.with]\nruns = "x"', 5, 'no param "runs"'),
        ('[policy.p]\nwhen = "run.ended"\ndo = "run tag"', 3, 'needs "run"'),
        ('[policy.p]\nwhen = "dataset.added"\ndo = "launch"\n[policy.p.with]\ngpus = "two"', 5, "'two'"),
        ('[policy.p]\nwhen = "dataset.added"\ndo = "launch"\ncooldown = "soon"', 4, "no duration"),
        ('[policy.p]\nwhen = "dataset.added"\ndo = "launch"\nper_day = 0', 4, "1 to 10,000"),
        ('[policy.p]\nwhen = "dataset.added"\ndo = "launch"\nallow = 1', 4, "true or false"),
        ('[policy.p]\nwhen = "dataset.added"\ndo = "launch"\nbudget_usd = -5', 4, "sum of dollars"),
        ('[policy.p]\nwhen = "dataset.added"\ndo = "launch"\nwindow = "night"', 4, "part of a day"),
        ('[policy.p]\nwhen = "dataset.added"\ndo = "launch"\ncolour = "red"', 4, 'unknown key "colour"'),
        ('[policies.p]\nwhen = "x"', 1, 'unknown "policies"'),
        ('[policy."a b\\u001b"]\nwhen = "run.ended"', 1, "a name has"),
        ('[policy.p]\nwhen = "run.ended"\nif = "host:a"\ndo = "run relaunch"\nwith = { run = "{run}" }', 4, "p > p"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_line_with_file_and_line_and_the_rest_is_sound(text: str, line: int, words: str) -> None:
    whole = f"{text}\n{SOUND}"

    policies, problems = of_table(tomllib.loads(whole), whole, "/lab/p.toml")

    assert [policy.name for policy in policies] == ["sound"]
    (problem,) = problems
    assert str(problem).startswith(f"/lab/p.toml:{line}: ") and words in problem.words


def test_a_cycle_over_three_policies_is_refused_for_all_three() -> None:
    text = """
[policy.a]
when = "run.ended"
do = "model register"
with = { run = "{run}", name = "m" }
[policy.b]
when = "model.registered"
do = "dataset add"
with = { path = "x", name = "d" }
[policy.c]
when = "dataset.added"
do = "launch"
with = { command = ["true"] }
[policy.d]
when = "dataset.added"
do = "run tag"
with = { run = "x" }
"""
    policies, problems = of_table(tomllib.loads(text), text, "p.toml")

    assert [policy.name for policy in policies] == ["d"]
    assert [problem.line for problem in problems] == [4, 8, 12]
    assert "a > b > c > a" in problems[0].words


def test_what_asks_for_another_experiment_than_the_one_it_launches_is_no_cycle() -> None:
    text = """
[policy.retrain]
when = "run.ended"
if = "outcome:failed experiment:prod"
do = "launch"
with = { command = ["true"], experiment = "retrain" }
"""
    assert of_table(tomllib.loads(text), text, "p.toml")[1] == []
    wrong = text.replace('experiment = "retrain"', 'experiment = "prod"')
    assert len(of_table(tomllib.loads(wrong), wrong, "p.toml")[1]) == 1
    accepted = wrong + "max_depth = 3\n"
    assert of_table(tomllib.loads(accepted), accepted, "p.toml")[1] == []


def test_a_launch_because_of_a_monitor_s_alert_is_no_cycle_and_because_of_a_run_s_is_one() -> None:
    text = """
[policy.retrain]
when = "alert.opened"
if = "source:monitor severity:critical"
do = "launch"
with = { command = ["true"] }
"""
    assert of_table(tomllib.loads(text), text, "p.toml")[1] == []
    for other in ("source:run", "severity:critical"):
        wrong = text.replace("source:monitor severity:critical", other)
        assert len(of_table(tomllib.loads(wrong), wrong, "p.toml")[1]) == 1


@pytest.mark.parametrize("text", [b"[policy.p\nwhen = 1", b"\xff\xfe", b"[[[[", b'a = "\x00"'])
def test_what_is_no_toml_is_one_error_with_its_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(text)

    with pytest.raises(ConfigError, match=r"p\.toml:1: this is no TOML"):
        read(str(path))


def test_a_file_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read the policies"):
        read(str(tmp_path / "none.toml"))


DATA = {"outcome": "failed", "exit_code": 3, "name": "churn", "parent": None, "tag": {"team": "nlp"}, "effect": 0.3}


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("", True),
        ("outcome:failed", True),
        ("outcome=failed exit_code>2", True),
        ("exit_code<3 or name~chu", True),
        ("not outcome:failed", False),
        ("name=churn2", False),
        ("name!=other", True),
        ("parent=x", False),
        ("parent!=x", True),
        ("has:parent", False),
        ("has:name", True),
        ("tag.team=nlp", True),
        ("tag:team=nlp", True),
        ("tag:debug", False),
        ("effect>=0.3", True),
        ("effect>0.3", False),
        ("churn", True),
        ("subject:run:a", True),
    ],
)
def test_a_condition_is_the_filter_language_over_an_events_fields(text: str, is_so: bool) -> None:
    assert fits(condition(text), Event(1, NOW, "run.ended", "run:a", DATA)) is is_so
