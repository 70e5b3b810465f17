"""A launch as a command to copy: every wish that was given, secrets left out."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlconsole.actions.redaction import values_without_secrets, words_without_secrets

if TYPE_CHECKING:
    from mlconsole.actions.launch_order import LaunchParams


def command_of(params: LaunchParams) -> str:
    """The command that launches the same."""
    words = ["mlconsole", "launch"]
    for one in dataclasses.fields(params):
        if one.name != "command":
            words += _option(one.name, getattr(params, one.name))
    return shlex.join([*words, "--", *words_without_secrets(list(params.command))])


def _option(name: str, value: Any) -> Iterator[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        yield from (flag,) if value else ()
        return
    for each in value if isinstance(value, tuple) else (value,) if value else ():
        yield from (flag, _shown(name, str(each)))


def _shown(name: str, text: str) -> str:
    """A value without a secret: a variable loses it by its name, a teardown command by its words."""
    if name == "env":
        key, _, value = text.partition("=")
        return f"{key}={values_without_secrets({key: value})[key]}"
    if name == "teardown":
        return shlex.join(words_without_secrets(shlex.split(text)))
    return words_without_secrets([text])[0]
