"""What every action has, whoever adds it: a command, help, a plan if it changes something, a key of its own."""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import Any

import pytest

from mlconsole import actions
from mlconsole.actions.base import Action, option_of
from mlconsole.actions.keys import KEYED
from mlconsole.cli.parser import build, params_of, takes_remainder, wanted, with_values_joined
from mlconsole.domain.plans import Effect

EVERY = actions.every()
PARAMS = [
    pytest.param(action, field, id=f"{action.name} {field.name}")
    for action in EVERY
    for field in dataclasses.fields(action.params)
]
WORD_FOR = {"str": "word", "int": "3", "float": "0.5"}
each = pytest.mark.parametrize("action", EVERY, ids=lambda action: action.name)


def test_no_two_actions_share_a_name() -> None:
    names = [action.name for action in EVERY]

    assert len(names) == len(set(names)) > 15


def test_no_two_actions_share_a_key() -> None:
    keys = [action.key for action in EVERY if action.key]

    assert sorted(keys) == sorted(set(keys))


def test_the_list_of_keys_says_what_the_actions_say() -> None:
    listed = [(keyed.name, keyed.key, keyed.wants) for keyed in KEYED]
    wanted = {a.name: {option_of(field).cursor for field in dataclasses.fields(a.params)} - {""} for a in EVERY}

    assert sorted(listed) == sorted((a.name, a.key, frozenset(wanted[a.name])) for a in EVERY if a.key)


@each
def test_the_registry_calls_an_action_by_its_own_name(action: Action[Any]) -> None:
    assert actions.named(action.name) is action
    assert action in actions.of_noun(action.noun)


@each
def test_a_name_is_a_noun_and_a_verb_or_one_word(action: Action[Any]) -> None:
    assert re.fullmatch(r"[a-z]+( [a-z]+)?", action.name)


@each
def test_a_summary_is_one_line_without_a_full_stop(action: Action[Any]) -> None:
    assert re.fullmatch(r"[A-Z][^\n]{8,78}[^.\s]", action.summary)


@each
def test_what_changes_something_has_a_plan_and_what_reads_has_none(action: Action[Any]) -> None:
    assert (action.plan is not None) == (action.effect is not Effect.READ)


@each
def test_params_are_frozen_and_documented(action: Action[Any]) -> None:
    assert dataclasses.is_dataclass(action.params)
    assert action.params.__setattr__ is not object.__setattr__
    assert action.params.__doc__ and action.run.__doc__


@pytest.mark.parametrize(("action", "field"), PARAMS)
def test_a_param_has_help_of_one_line(action: Action[Any], field: dataclasses.Field[Any]) -> None:
    assert re.fullmatch(r"[^\n]{3,110}[^.\s]", option_of(field).help)


@pytest.mark.parametrize(("action", "field"), PARAMS)
def test_a_param_that_takes_a_value_says_what(action: Action[Any], field: dataclasses.Field[Any]) -> None:
    option = option_of(field)
    is_switch = field.type == "bool"

    assert is_switch or option.choices or option.remainder or option.metavar


@each
def test_an_action_is_a_command_with_help(action: Action[Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build([action]).parse_args([*action.name.split(), "--help"])

    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert action.summary in said
    for field in dataclasses.fields(action.params):
        assert option_of(field).help.split()[0] in said


@pytest.mark.parametrize(
    "action, example", [pytest.param(one, text, id=text) for one in EVERY for text in one.examples]
)
def test_an_example_of_the_help_is_such_a_command(action: Action[Any], example: str) -> None:
    program, *words = shlex.split(example)
    own = words[: words.index("--")] if "--" in words else words
    known = wanted(own)

    namespace = build(known).parse_args(with_values_joined(own if takes_remainder(known) else words, known))
    assert program == "mlconsole" and namespace.action == action


def test_help_begins_with_what_is_given_by_place_and_keeps_the_lines_of_its_examples(
    capsys: pytest.CaptureFixture[str],
) -> None:
    action = actions.named("run list")

    with pytest.raises(SystemExit):
        build([action]).parse_args(["run", "list", "--help"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: mlconsole run list [options] [FILTER ...]"
    assert lines[-len(action.examples) - 1 :] == ["examples:", *(f"  {line}" for line in action.examples)]


@each
def test_a_command_gives_the_action_its_params(action: Action[Any]) -> None:
    words = [
        WORD_FOR[str(field.type)]
        for field in dataclasses.fields(action.params)
        if option_of(field).positional and field.default is dataclasses.MISSING
    ]

    namespace = build([action]).parse_args([*action.name.split(), *words])

    assert namespace.action is action
    params = params_of(action, namespace, ())
    given = [getattr(params, field.name) for field in dataclasses.fields(params)]
    expected = [
        WORD_FOR[str(field.type)] if field.default is dataclasses.MISSING else field.default
        for field in dataclasses.fields(params)
    ]
    assert given == expected


@each
def test_every_flag_gives_its_param_a_value(action: Action[Any]) -> None:
    for field in dataclasses.fields(action.params):
        option = option_of(field)
        if option.positional or option.remainder:
            continue
        kind = str(field.type).replace("tuple[", "").split(",")[0].removesuffix("]").split(" |")[0]
        value = option.choices[0] if option.choices else WORD_FOR.get(kind, "")
        flag = f"--{field.name.replace('_', '-')}"
        required = [
            WORD_FOR[str(other.type)]
            for other in dataclasses.fields(action.params)
            if option_of(other).positional and other.default is dataclasses.MISSING
        ]

        namespace = build([action]).parse_args([*action.name.split(), *required, flag, *([value] if value else [])])

        assert getattr(namespace, field.name) not in (None, [], False), flag
