"""What people hand to a recorder, made into what a log can hold. Nothing here raises on a strange value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Callable

JSON = object
Scalars = (str, float, int, bool)

_TEXT = 10_000
_DEPTH = 32
_NODES = 100_000
_INT_BITS = 13_000  # json refuses integers of more than 4300 digits


def numbers(metrics: Mapping[object, object], lose: Callable[[str, object], None]) -> dict[str, float]:
    """The values of a mapping as floats under text keys; nested mappings give keys joined by ``/``.

    Args:
        metrics: what was logged.
        lose: called with the key and the value of each that is no number.
    """
    found: dict[str, float] = {}
    _collect(metrics, "", 0, found, lose)
    return found


def _collect(
    metrics: Mapping[object, object],
    path: str,
    depth: int,
    found: dict[str, float],
    lose: Callable[[str, object], None],
) -> None:
    for key, value in metrics.items():
        name = path + as_text(key)
        if isinstance(value, Mapping) and depth < _DEPTH:
            _collect(value, name + "/", depth + 1, found, lose)
            continue
        try:
            found[name] = as_float(value)
        except Exception:  # noqa: BLE001  a foreign object's conversion may raise anything
            lose(name, value)


def as_float(value: object) -> float:
    """A number, or the one in a tensor or an array.

    A tensor that is part of a graph says by ``item()`` what ``float()`` gives with a warning only.

    Raises:
        Exception: anything that a foreign object's conversion may raise.
    """
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError("text is not a number")
    return float(value.item() if is_array(value) else value)  # type: ignore[arg-type, attr-defined]


def is_array(value: object) -> bool:
    """Whether a value is a tensor, an array or a scalar of a foreign library."""
    return not isinstance(value, (float, int)) and hasattr(value, "item")


def as_text(value: object, limit: int = _TEXT) -> str:
    """A value as text, cut to a limit."""
    if isinstance(value, str):
        return value
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  a foreign object's text may raise anything
        return f"<{type(value).__name__} that has no text>"
    return text if len(text) <= limit else text[:limit] + "..."


class Cleaner:
    """Makes any value one that JSON has a form for: scalars, lists and dicts stay, the rest becomes text."""

    def __init__(self) -> None:
        self._left = _NODES

    def clean(self, value: object, depth: int = 0) -> object:
        """The value in JSON's terms; what is too deep or too much is cut to text."""
        self._left -= 1
        if value is None or isinstance(value, (str, bool, float)):
            return value
        if isinstance(value, int):
            return value if value.bit_length() <= _INT_BITS else as_text(hex(value))
        if depth >= _DEPTH or self._left < 0:
            return as_text(value, 100)
        if isinstance(value, Mapping):
            return {as_text(key): self.clean(item, depth + 1) for key, item in list(value.items())}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(item, depth + 1) for item in value]
        return self._scalar(value)

    def _scalar(self, value: object) -> object:
        """A foreign scalar (of numpy, torch) as Python's own, anything else as text."""
        item = getattr(value, "item", None)
        if callable(item) and getattr(value, "ndim", None) == 0:
            try:
                plain = item()
            except Exception:  # noqa: BLE001  a foreign object's conversion may raise anything
                plain = None
            if isinstance(plain, (str, bool, int, float)):
                return plain
        return as_text(value)


def as_mapping(value: object) -> dict[str, object]:
    """A mapping, or an object's attributes (such as those of ``argparse.Namespace``), in JSON's terms.

    Raises:
        TypeError: it is neither.
    """
    if not isinstance(value, Mapping) and not hasattr(value, "__dict__"):
        raise TypeError(f"neither a mapping nor an object with attributes: {type(value).__name__}")
    source = value if isinstance(value, Mapping) else vars(value)
    cleaned = Cleaner().clean(source)
    assert isinstance(cleaned, dict)
    return cleaned


def as_tags(tags: object) -> dict[str, str]:
    """Tags from a mapping, a list of names, or one name; a bare name has an empty value.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(tags, str):
        return {tags: ""}
    if isinstance(tags, Mapping):
        return {as_text(key): "" if value is None else as_text(value) for key, value in tags.items()}
    if not isinstance(tags, Iterable):
        raise TypeError(f"neither a mapping nor names: {type(tags).__name__}")
    return {as_text(tag): "" for tag in tags}
