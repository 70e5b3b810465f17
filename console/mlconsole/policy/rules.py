"""Reads policies out of TOML files: every mistake is named with file and line, and what is sound goes on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any

from mlconsole import actions
from mlconsole.actions.base import Action
from mlconsole.domain.event_filter import condition, fields_of
from mlconsole.domain.events import KINDS
from mlconsole.domain.plans import Effect
from mlconsole.domain.policies import Policy, Window
from mlconsole.domain.query import FieldKind
from mlconsole.domain.times import parse_duration
from mlconsole.errors import ConfigError, QueryError
from mlconsole.policy import clock, cycles, params
from mlconsole.records import fields as params_fields
from mlconsole.records import record, replace

NEVER = ("watch", "web", "demo")
KEYS = (
    "when", "cron", "timezone", "if", "do", "with", "allow", "cooldown", "per_day", "budget_usd", "budget_per",
    "in_flight", "max_depth", "window", "below_usd_per_h", "expires",
)  # fmt: skip
HEADER = re.compile(r"""\s*\[\s*policy\s*\.\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*(\.[^\]]*)?\]""")
NAME = re.compile(r"[\w.-]{1,80}")
LARGEST_FILE = 1 << 20


@record
class Problem:
    """A mistake in a file of policies."""

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words}"


class Mistake(Exception):
    """A mistake in one policy, at one of its keys."""

    def __init__(self, key: str, words: str) -> None:
        super().__init__(words)
        self.key = key


def read(path: str) -> tuple[list[Policy], list[Problem]]:
    """The sound policies of a file, and what is wrong with the others.

    Raises:
        ConfigError: it cannot be read or is no TOML; the message has the line.
    """
    import tomllib  # 4 ms, where there is a file

    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_FILE + 1).decode()
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f'Cannot read the policies "{path}": {error.strerror}.') from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"{path}:{line.group(1) if line else 1}: this is no TOML: {error}.") from error
    return of_table(table, text, os.path.abspath(path))


def of_table(table: Mapping[str, Any], text: str, file: str) -> tuple[list[Policy], list[Problem]]:
    """The sound policies of a parsed file, and what is wrong with the others."""
    lines = Lines(text)
    problems = [Problem(file, lines.of_key(key), f'unknown "{key}"; a file of policies holds [policy.NAME]')
                for key in table if key != "policy"]  # fmt: skip
    found: list[Policy] = []
    policies = table.get("policy", {})
    if not isinstance(policies, Mapping):
        return [], [*problems, Problem(file, 1, '"policy" must be a table: [policy.NAME]')]
    for name, body in policies.items():
        try:
            found.append(replace(_policy(name, body), file=file, line=lines.of(name)))
        except Mistake as mistake:
            problems.append(Problem(file, lines.of(name, mistake.key), f'policy "{name}": {mistake}'))
    sound, bad = cycles.without(found)
    problems += [Problem(file, lines.of(name, "do"), words) for name, words in bad]
    return sound, sorted(problems, key=lambda each: each.line)


def _policy(name: str, body: object) -> Policy:
    if not isinstance(body, Mapping):
        raise Mistake("", "it must be a table")
    if not NAME.fullmatch(name):
        raise Mistake("", "a name has letters, digits, dots and dashes, 80 at the most")
    for key in body:
        if key not in KEYS:
            raise Mistake(key, f'unknown key "{key}"; known: {", ".join(KEYS)}')
    when = _when(body)
    action = _action(body)
    return Policy(
        name=name,
        when=when,
        do=action.name,
        given=_given(body, action, when),
        condition=_condition(body, when),
        cron=body.get("cron", ""),
        zone=body.get("timezone", "UTC"),
        allow=_typed(body, "allow", bool, False),
        cooldown_s=_seconds(body, "cooldown", 0.0),
        per_day=_count(body, "per_day", 24),
        budget_microusd=_microusd(body, "budget_usd"),
        budget_per=_one_of(body, "budget_per", ("day", "week", "month"), "month"),
        in_flight=_count(body, "in_flight", 1),
        max_depth=_count(body, "max_depth", 1),
        windows=_windows(body),
        below_microusd_per_h=_microusd(body, "below_usd_per_h"),
        expires_s=_seconds(body, "expires", 86_400.0),
    )


def _when(body: Mapping[str, Any]) -> str:
    when, cron = body.get("when"), body.get("cron")
    if (when is None) == (cron is None):
        raise Mistake("when", 'it needs either "when", an event, or "cron", a clock')
    zone = _typed(body, "timezone", str, "UTC")
    if wrong := clock.check("0 0 * * *" if cron is None else str(cron), zone):
        raise Mistake("cron" if "cron" in body and "zone" not in wrong else "timezone", wrong)
    if cron is not None:
        return "cron"
    if when not in KINDS or when == "cron":
        known = ", ".join(kind for kind in KINDS if kind != "cron")
        raise Mistake("when", f'unknown event "{when}"; known: {known}')
    return str(when)


def _action(body: Mapping[str, Any]) -> Action[Any]:
    name = body.get("do")
    if name not in actions.ACTIONS or name in NEVER or str(name).startswith("policy "):
        raise Mistake("do", f'unknown action "{name}"; see: mlconsole --help' if name else 'it needs "do", an action')
    action = actions.named(str(name))
    if action.streams and action.effect is not Effect.READ:
        raise Mistake("do", f'"{name}" does not end by itself')
    return action


def _given(body: Mapping[str, Any], action: Action[Any], when: str) -> dict[str, Any]:
    given: dict[str, Any] = _typed(body, "with", dict, {})
    for name, words in params.problems(action, given, when):
        raise Mistake(name if name in given else "do", words)
    return given


def with_directory(policy: Policy) -> dict[str, Any]:
    """The params with the file's own folder for what would otherwise run wherever the watcher does."""
    has_cwd = any(field.name == "cwd" for field in params_fields(actions.named(policy.do).params))
    given = dict(policy.given)
    return {"cwd": os.path.dirname(policy.file), **given} if has_cwd and policy.file else given


def _condition(body: Mapping[str, Any], when: str) -> str:
    text: str = _typed(body, "if", str, "")
    try:
        found = condition(text)
    except QueryError as error:
        raise Mistake(
            "if", f"{error.message} {error.hint}".strip() + f' (at "{text[error.start : error.end]}")'
        ) from error
    known = {*KINDS[when].fields, "subject", "tag"}
    for place in fields_of(found):
        if place.kind is not FieldKind.TAG and place.name.partition(".")[0] not in known:
            raise Mistake("if", f'"{when}" has no field "{place.name}"; it has {", ".join(KINDS[when].fields)}')
    return text


def _typed(body: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = body.get(key, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words = {str: "a text", bool: "true or false", dict: "a table", int: "a whole number", list: "a list"}[kind]
        raise Mistake(key, f'"{key}" must be {words}, not {value!r}')
    return value


def _count(body: Mapping[str, Any], key: str, default: int) -> int:
    value = int(_typed(body, key, int, default))
    if not 1 <= value <= 10_000:
        raise Mistake(key, f'"{key}" must be 1 to 10,000, not {value}')
    return value


def _seconds(body: Mapping[str, Any], key: str, default: float) -> float:
    if key not in body:
        return default
    seconds = parse_duration(str(body[key]))
    if seconds is None or not 0 <= seconds <= 366 * 86_400:
        raise Mistake(key, f'"{key}" is no duration: {body[key]!r}; write "90s", "2h" or "1d"')
    return seconds


def _microusd(body: Mapping[str, Any], key: str) -> int | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1e9:
        raise Mistake(key, f'"{key}" must be a sum of dollars, not {value!r}')
    return round(value * 1e6)


def _one_of(body: Mapping[str, Any], key: str, words: tuple[str, ...], default: str) -> str:
    value = body.get(key, default)
    if value not in words:
        raise Mistake(key, f'"{key}" must be one of {", ".join(words)}, not {value!r}')
    return str(value)


def _windows(body: Mapping[str, Any]) -> tuple[Window, ...]:
    value = body.get("window", [])
    found = []
    for text in value if isinstance(value, list) else [value]:
        begin, _, end = str(text).partition("-")
        try:
            found.append(Window(time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())))
        except ValueError as error:
            raise Mistake("window", f'{text!r} is no part of a day; write "22:00-06:00"') from error
    return tuple(found)


class Lines:
    """Where policies and their keys stand in a file: tomllib does not tell.

    Args:
        text: the file's text.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def of(self, policy: str, key: str = "") -> int:
        """The line of a policy's key, else of its header."""
        inside, header = False, 1
        for number, line in enumerate(self._lines, 1):
            if line.lstrip().startswith("["):
                match = HEADER.match(line)
                inside = match is not None and policy in match.groups()[:3]
                header = number if inside and header == 1 else header
            elif inside and key and re.search(rf"""(^|[{{,])\s*["']?{re.escape(key)}["']?\s*=""", line):
                return number
        return header

    def of_key(self, key: str) -> int:
        """The line that a table or key at the top begins in."""
        pattern: Callable[[str], object] = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}\b""").match
        return next((number for number, line in enumerate(self._lines, 1) if pattern(line)), 1)
