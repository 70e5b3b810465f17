"""What configuration, lock files and code say of themselves. Nothing is executed or imported."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping

from mlconsole.domain.contracts import Contract, Requirement, parse_requirement
from mlconsole.errors import UsageError

DECLARATION = "mlconsole.toml"
MOST_BYTES = 16 << 20
LONGEST_VALUE = 200
_LOCKED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;#\\]+)")


def config_contract(path: str) -> Contract:
    """The keys and values of a JSON or TOML file; of any other, that they are not known."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".json", ".toml"):
        return Contract(requires=(), note=f"a {suffix or 'nameless'} file is not read for its keys")
    try:
        found = _table(path)
    except (OSError, ValueError, RecursionError) as error:
        return Contract(requires=(), note=f"it does not parse: {type(error).__name__}")
    return Contract(dict(_flat(found, "")), (), is_closed=True)


def _table(path: str) -> Mapping[str, object]:
    if os.path.getsize(path) > MOST_BYTES:
        raise ValueError("too large")
    with open(path, "rb") as file:
        if path.lower().endswith(".toml"):
            import tomllib  # 4 ms, where there is a file of it

            return tomllib.load(file)
        found = json.load(file)
    if not isinstance(found, dict):
        raise ValueError("no table")
    return found


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            yield f"{prefix}{name}", text[:LONGEST_VALUE]


def lock_contract(path: str) -> Contract:
    """The libraries and versions that a lock file fixes, one ``name==version`` a line."""
    try:
        if os.path.getsize(path) > MOST_BYTES:
            raise ValueError("too large")
        with open(path, encoding="utf-8", errors="replace") as file:
            found = [_LOCKED.match(line.strip()) for line in file]
    except (OSError, ValueError) as error:
        return Contract(requires=(), note=f"it cannot be read: {type(error).__name__}")
    libraries = {library(one[1]): one[2] for one in found if one}
    if not libraries:
        return Contract(requires=(), note="no line of it is NAME==VERSION")
    return Contract(libraries, (), is_closed=True)


def library(name: str) -> str:
    """A library's name as packaging normalises it: lower case, one dash between words."""
    return re.sub(r"[-_.]+", "-", name).lower()


def code_contract(folder: str) -> Contract:
    """What ``mlconsole.toml`` in the code's folder declares; without one nobody knows what the code requires.

    Raises:
        UsageError: it is there and does not say what it should.
    """
    path = os.path.join(folder, DECLARATION)
    if not os.path.isfile(path) or os.path.islink(path):
        return Contract(note=f"the code has no {DECLARATION} that says what it requires")
    try:
        found = _table(path)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f'"{path}" does not parse: {error}.', "Mend it.") from error
    provides, requires = found.get("provides", {}), found.get("requires", [])
    if not isinstance(provides, dict) or not isinstance(requires, list):
        raise UsageError(f'"{path}" must have a table "provides" and a list "requires".', "Mend it.")
    return Contract({key: str(value) for key, value in provides.items()}, tuple(map(requirement, requires)), True)


def requirement(text: object) -> Requirement:
    """The requirement that a text says.

    Raises:
        UsageError: it says none.
    """
    found = parse_requirement(str(text))
    if found is None:
        raise UsageError(f'"{text}" is no requirement.', "Write AXIS:KEY or AXIS:KEY>=1.2,<2, as in env:torch>=2.")
    if found.axis.value == "env":
        return found._replace(key=library(found.key))
    return found
