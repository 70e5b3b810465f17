"""Makes the argument parser from the actions."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from mlconsole import actions
from mlconsole.actions.base import Action, Option, option_of
from mlconsole.errors import UsageError
from mlconsole.records import Field, fields

DESCRIPTION = "A terminal console for machine learning: runs, live curves, logs and actions on one embedded catalog."
EPILOG = "Without a command, the console opens. Exit codes: 0 done, 1 failed, 2 usage, 3 confirmation needed, 4 not found, 5 backend unreachable, 6 a check found something, 130 interrupted."  # noqa: E501


class Formatter(argparse.HelpFormatter):
    """Help as wide as the terminal. argparse makes a formatter for each argument: left to itself it loads shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Text that has lines already, as examples have, keeps them."""
        return text if "\n" in text else super()._fill_text(text, width, indent)


@lru_cache(maxsize=1)
def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """An argument parser that raises our errors instead of ending the process, and wants its flags in full."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": Formatter, **keywords})

    def error(self, message: str) -> NoReturn:
        """Raise a usage error that names the command's own help."""
        raise UsageError(message[:1].upper() + message[1:] + ".", f"See: {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Name the command that was likely meant, not all that there are."""
        if not isinstance(action, argparse._SubParsersAction) or value in action.choices:
            super()._check_value(action, value)
            return
        from difflib import get_close_matches  # 2 ms, for a mistyped command

        verbs = [name for name in actions.ACTIONS if self.prog == "mlconsole" and name.endswith(f" {value}")]
        near = verbs[:1] or get_close_matches(str(value), action.choices, 1)
        meant = f"Did you mean: {self.prog} {near[0]}? " if near else ""
        raise UsageError(f'There is no command "{self.prog} {value}".', f"{meant}See: {self.prog} --help")


@lru_cache(maxsize=2)
def global_options(*, defaults: bool) -> argparse.ArgumentParser:
    """The flags that every command takes, before, within or behind its name."""
    shared = argparse.ArgumentParser(add_help=False, formatter_class=Formatter)
    group = shared.add_argument_group("global options")
    absent: Any = None if defaults else argparse.SUPPRESS
    off: Any = False if defaults else argparse.SUPPRESS
    group.add_argument("--catalog", metavar="DIR", default=absent, help="the catalog's directory")
    group.add_argument("--json", action="store_true", default=off, help="print one JSON document")
    group.add_argument("--yes", action="store_true", default=off, help="confirm what destroys something")
    group.add_argument("--dry-run", action="store_true", default=off, help="print the plan and change nothing")
    group.add_argument("--read-only", action="store_true", default=off, help="refuse to change anything")
    group.add_argument("--no-color", action="store_true", default=off, help="no colour sequences")
    group.add_argument("--plain", action="store_true", default=off, help="plain lines, never the alternate screen")
    return shared


def wanted(words: Sequence[str]) -> list[Action[Any]]:
    """The action that the words name; those of its noun where the verb is missing or unknown; else all.

    Only these are loaded, so that a command does not pay for the others.
    """
    plain = _plain_words(words)
    noun = next((word for word in plain if word in actions.NOUNS), None)
    if noun is None:
        return list(actions.every())
    verb = (*plain[plain.index(noun) + 1 :], "")[0]
    found = next((name for name in (f"{noun} {verb}", noun) if name in actions.ACTIONS), None)
    return [actions.named(found)] if found else list(actions.of_noun(noun))


def build(known: Sequence[Action[Any]]) -> Parser:
    """The parser of these actions."""
    parser = Parser(
        prog="mlconsole",
        usage="mlconsole [options] [COMMAND ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        parents=[global_options(defaults=True)],
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="noun", metavar="COMMAND", prog="mlconsole", parser_class=Parser)
    for noun in dict.fromkeys(action.noun for action in known):
        _add_noun(commands, noun, [action for action in known if action.noun == noun])
    return parser


def _add_noun(commands: Any, noun: str, found: Sequence[Action[Any]]) -> None:
    if not found[0].verb:
        _add_action(commands, found[0], noun)
        return
    summary = ", ".join(action.verb for action in found)
    group = commands.add_parser(
        noun,
        help=summary,
        usage=f"mlconsole {noun} VERB ...",
        description=f"{noun}: {summary}.",
        parents=[global_options(defaults=False)],
    )
    verbs = group.add_subparsers(
        dest="verb", metavar="VERB", required=True, prog=f"mlconsole {noun}", parser_class=Parser
    )
    for action in found:
        _add_action(verbs, action, action.verb)


def _add_action(commands: Any, action: Action[Any], name: str) -> None:
    parser = commands.add_parser(
        name,
        help=action.summary,
        usage=" ".join(["mlconsole", action.name, "[options]", *_places(action)]),
        description=f"{action.summary}.",
        epilog="\n  ".join(["examples:", *action.examples]) if action.examples else None,
        parents=[global_options(defaults=False)],
    )
    parser.set_defaults(action=action)
    for field in fields(action.params):
        _add_field(parser, field, option_of(field))


def _places(action: Action[Any]) -> Iterator[str]:
    """What is given by place, as the first line of help shows it."""
    for field in fields(action.params):
        option = option_of(field)
        word = option.metavar or field.name.upper()
        if option.remainder:
            yield f"-- {word} ..." if action.name == "launch" else f"[-- {word} ...]"
        elif option.positional:
            yield f"[{word} ...]" if _kind(str(field.type))[1] else word if field.is_required else f"[{word}]"


def _add_field(parser: argparse.ArgumentParser, field: Field, option: Option) -> None:
    kind, repeated, optional = _kind(str(field.type))
    required = field.is_required
    if option.remainder:
        parser.add_argument(field.name, nargs="*", help=option.help, metavar=option.metavar)
        return
    keywords: dict[str, Any] = {"help": option.help}
    if option.positional:
        keywords |= {"metavar": option.metavar or field.name.upper(), "type": kind}
        keywords["nargs"] = "*" if repeated else None if required else "?"
        if not required:
            keywords["default"] = field.default if not repeated else []
        parser.add_argument(field.name, **keywords)
        return
    flags = _flags(field, option)
    if kind is bool:
        parser.add_argument(*flags, dest=field.name, action="store_true", default=field.default, help=option.help)
        return
    keywords |= {"dest": field.name, "type": kind, "required": required}
    keywords |= {"action": "append"} if repeated else {}
    keywords |= {"choices": option.choices} if option.choices else {"metavar": option.metavar or kind.__name__.upper()}
    if not required:
        keywords["default"] = None if repeated or optional else field.default
    parser.add_argument(*flags, **keywords)


def _flags(field: Field, option: Option) -> list[str]:
    return [f"--{field.name.replace('_', '-')}", *([f"-{option.short}"] if option.short else [])]


def takes_remainder(known: Sequence[Action[Any]]) -> bool:
    """True when the one action that was named takes all that stands behind ``--`` as it is."""
    return len(known) == 1 and any(option_of(field).remainder for field in fields(known[0].params))


def _plain_words(words: Sequence[str]) -> list[str]:
    """The words that are neither a flag nor the value of a global one."""
    values = {i + 1 for i, word in enumerate(words) if word == "--catalog"}
    return [word for i, word in enumerate(words) if i not in values and not word.startswith("-")]


def with_values_joined(words: Sequence[str], known: Sequence[Action[Any]]) -> list[str]:
    """The words with ``--sort -loss`` as ``--sort=-loss``: argparse takes a value with a dash for a flag."""
    flags = {
        flag
        for action in known
        for field in fields(action.params)
        if not option_of(field).positional and _kind(str(field.type))[0] is not bool
        for flag in _flags(field, option_of(field))
    }
    out: list[str] = []
    for word in words:
        if out and out[-1] in flags and "--" not in out and len(word) > 1 and word[0] == "-" != word[1]:
            out[-1] += f"={word}"
        else:
            out.append(word)
    return out


def _kind(annotation: str) -> tuple[type, bool, bool]:
    """(type of one value, may be repeated, may be None) of a params field's annotation."""
    text = annotation.replace(" ", "")
    optional = text.endswith("|None")
    text = text.removesuffix("|None")
    repeated = text.startswith("tuple[")
    name = text.removeprefix("tuple[").removesuffix(",...]")
    return {"str": str, "int": int, "float": float, "bool": bool}[name], repeated, optional


def params_of(action: Action[Any], namespace: argparse.Namespace, remainder: Sequence[str]) -> Any:
    """The params object of an action from what was parsed."""
    values: dict[str, Any] = {}
    for field in fields(action.params):
        value = getattr(namespace, field.name)
        if option_of(field).remainder:
            value = (*value, *remainder)
        elif _kind(str(field.type))[1]:
            value = tuple(value or ())
        values[field.name] = value
    return action.params(**values)
