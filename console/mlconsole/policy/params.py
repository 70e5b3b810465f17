"""An action's params out of a policy's: checked when the policy is read, filled in when it fires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlconsole.actions.base import Action
from mlconsole.domain.event_filter import MISSING, look_up
from mlconsole.domain.events import KINDS, Event
from mlconsole.errors import UsageError
from mlconsole.records import fields as fields_of

PLACE = re.compile(r"\{([A-Za-z_][\w.]*)\}")
OF_EVERY_EVENT = ("subject", "event", "at")
TYPES: dict[str, tuple[type, ...]] = {"str": (str, int, float), "int": (int,), "float": (int, float), "bool": (bool,)}


def problems(action: Action[Any], given: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the params of a policy: (param, words) each."""
    fields = {field.name: field for field in fields_of(action.params)}
    for name, value in given.items():
        if name not in fields:
            yield name, f'"{action.name}" has no param "{name}"; it has {", ".join(fields) or "none"}'
            continue
        type_, repeated = _type(str(fields[name].type))
        for one in value if repeated and isinstance(value, list) else [value]:
            if not _may_be(one, type_) or (isinstance(value, list) and not repeated):
                yield name, f'"{name}" of "{action.name}" cannot be {value!r}'
        for place in _places(value):
            root = place.partition(".")[0]
            if root not in (*KINDS[kind].fields, *OF_EVERY_EVENT):
                known = ", ".join((*KINDS[kind].fields, *OF_EVERY_EVENT))
                yield name, f'"{kind}" has no field "{place}"; it has {known}'
    for name, field in fields.items():
        if field.is_required and name not in given:
            yield name, f'"{action.name}" needs "{name}"'


def _may_be(value: object, type_: str) -> bool:
    if isinstance(value, bool):
        return type_ == "bool"
    is_filled_later = isinstance(value, str) and PLACE.search(value) is not None
    return isinstance(value, TYPES[type_]) or (is_filled_later and type_ != "bool")


def _places(value: object) -> Iterator[str]:
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str):
            yield from PLACE.findall(text)


def filled(given: Mapping[str, Any], event: Event | None) -> dict[str, Any]:
    """The params with the event's fields in their places.

    Raises:
        UsageError: the event does not have one of them.
    """
    return {name: _fill(value, event) for name, value in given.items()}


def _fill(value: Any, event: Event | None) -> Any:
    if isinstance(value, list):
        return [_fill(one, event) for one in value]
    return PLACE.sub(lambda match: _field(match.group(1), event), value) if isinstance(value, str) else value


def _field(path: str, event: Event | None) -> str:
    if event is None:
        return "{" + path + "}"
    own = {"subject": event.subject, "event": event.number, "at": event.at.isoformat()}
    found = look_up(event.data, path)
    found = own.get(path, MISSING) if found is MISSING else found
    if found is MISSING:
        raise UsageError(f'The event has no "{path}".')
    return str(found)


def params_of(action: Action[Any], given: Mapping[str, Any]) -> Any:
    """The params object of an action.

    Raises:
        UsageError: a value is not of its param's type.
    """
    values: dict[str, Any] = {}
    for field in fields_of(action.params):
        if field.name in given:
            type_, repeated = _type(str(field.type))
            value = given[field.name]
            listed = value if isinstance(value, list) else [value]
            made = [_as(one, type_, field.name) for one in listed]
            values[field.name] = tuple(made) if repeated else made[0]
    try:
        return action.params(**values)
    except TypeError as error:
        raise UsageError(f'"{action.name}" cannot be called so: {error}.') from error


def _as(value: Any, type_: str, name: str) -> Any:
    try:
        return {"str": str, "int": int, "float": float, "bool": bool}[type_](value)
    except (ValueError, TypeError) as error:
        raise UsageError(f'"{name}" cannot be "{value}".') from error


def _type(annotation: str) -> tuple[str, bool]:
    """(type of one value, may be repeated) of a field's annotation."""
    text = annotation.replace(" ", "").removesuffix("|None")
    return text.removeprefix("tuple[").removesuffix(",...]"), text.startswith("tuple[")
