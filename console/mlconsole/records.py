"""Records: what ``@dataclass(frozen=True, slots=True)`` makes, at a tenth of its price.

For the modules that every command and the first picture load. ``dataclass`` writes, compiles and runs the source of six
methods for each class, 0.8 ms, and importing it loads inspect, 8 ms: together more than half of a command's time. A
record shares its methods with all others, its ``__init__`` is compiled when the first object is made, and its
``__dataclass_fields__`` are made when somebody asks, so that all of :mod:`dataclasses` works with it.
"""

from __future__ import annotations

import sys

# The real one costs the 3 ms that importing typing takes; type checkers know it by its name.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn, TypeVar, dataclass_transform

    T = TypeVar("T")


class Missing:
    """The type of :data:`MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
"""The default of a field that has none."""


class Field:
    """One field of a record.

    Attributes:
        name: its name.
        type: its annotation, as it is written.
        default: its default, :data:`MISSING` where it has none.
        default_factory: makes a default, None where it does not.
        compare: whether it counts in comparisons.
        metadata: what its maker wants to know of it.
    """

    __slots__ = ("compare", "default", "default_factory", "metadata", "name", "type")

    def __init__(
        self,
        default: object = MISSING,
        default_factory: Callable[[], object] | None = None,
        compare: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = ""
        self.type = ""
        self.default = default
        self.default_factory = default_factory
        self.compare = compare
        self.metadata = metadata or {}

    @property
    def is_required(self) -> bool:
        """True where an object cannot be made without it."""
        return self.default is MISSING and self.default_factory is None


def field(
    *,
    default: Any = MISSING,
    default_factory: Callable[[], Any] | None = None,
    compare: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """A field with more to it than a default; keyword arguments as in :class:`Field`.

    It serves a standard dataclass too: a module that makes one has loaded :mod:`dataclasses`, whose own field it gets.
    """
    if "dataclasses" in sys.modules:
        return _standard(Field(default, default_factory, compare, metadata))
    return Field(default, default_factory, compare, metadata)


def _standard(one: Field) -> Any:
    import dataclasses  # 9 ms, where it is not loaded already

    if one.default_factory is not None:
        return dataclasses.field(default_factory=one.default_factory, compare=one.compare, metadata=one.metadata)
    default = dataclasses.MISSING if one.default is MISSING else one.default
    return dataclasses.field(default=default, compare=one.compare, metadata=one.metadata)


def _own(standard: Any) -> Field:
    """Our field for one of :mod:`dataclasses`."""
    import dataclasses

    factory = None if standard.default_factory is dataclasses.MISSING else standard.default_factory
    default = MISSING if standard.default is dataclasses.MISSING else standard.default
    one = Field(default, factory, bool(standard.compare), standard.metadata)
    one.name, one.type = standard.name, standard.type
    return one


def fields(of: object) -> tuple[Field, ...]:
    """The fields of a record or of a standard dataclass, or of the class of one."""
    found: dict[str, Field] | None = getattr(of, "__record_fields__", None)
    if found is None:
        return tuple(_own(one) for one in getattr(of, "__dataclass_fields__").values())  # noqa: B009
    return tuple(found.values())


def is_record(value: object) -> bool:
    """True for an object of a record or of a standard dataclass; False for a class."""
    kind = type(value)
    return hasattr(kind, "__record_fields__") or hasattr(kind, "__dataclass_fields__")


def replace(value: T, /, **changes: Any) -> T:
    """A copy of a record with other values for some fields."""
    kept = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in changes}
    return type(value)(**kept, **changes)


def asdict(value: object) -> dict[str, Any]:
    """The fields of a record by name; records in them, also those in lists, tuples and mappings, are mappings too."""
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}


def _plain(value: object) -> object:
    if is_record(value):
        return asdict(value)
    if isinstance(value, (list, tuple)):
        plain = [_plain(each) for each in value]
        return tuple(plain) if isinstance(value, tuple) else plain
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
    def record(cls: type[T]) -> type[T]:
        """Make a record of a class."""
        ...

else:

    def record(cls: type) -> type:
        """Make a record of a class: frozen, slotted, compared by its values."""
        own = {name: _field_of(cls, name, annotation) for name, annotation in cls.__annotations__.items()}
        every = {}
        for base in reversed(cls.__mro__[1:]):
            every |= base.__dict__.get("__record_fields__", {})
        every |= own
        body = {k: v for k, v in cls.__dict__.items() if k not in own and k not in ("__dict__", "__weakref__")}
        body |= {"__slots__": tuple(own), "__match_args__": tuple(every), "__record_fields__": every}
        body = {**METHODS, "__init__": _first_init, **body}
        if "__eq__" in cls.__dict__ and "__hash__" not in cls.__dict__:
            body["__hash__"] = None
        return type(cls)(cls.__name__, cls.__bases__, body)


def _field_of(cls: type, name: str, annotation: str) -> Field:
    given = cls.__dict__.get(name, MISSING)
    if isinstance(given, Field):
        one = given
    elif type(given).__module__ == "dataclasses" and hasattr(given, "default_factory"):
        one = _own(given)
    else:
        one = Field(given)
    one.name, one.type = name, annotation
    return one


def _first_init(self: object, /, *values: object, **named: object) -> None:
    """Compile the real ``__init__`` of the object's class, put it in this one's place, and call it."""
    owner = next(kind for kind in type(self).__mro__ if kind.__dict__.get("__init__") is _first_init)
    made = _compiled(owner)
    setattr(owner, "__init__", made)  # noqa: B010
    made(self, *values, **named)


def _compiled(cls: type) -> Callable[..., None]:
    space: dict[str, Any] = {}
    words, lines = [], []
    for one in fields(cls):
        name = one.name
        space[f"_set_{name}"] = getattr(cls, name).__set__
        value = name
        if one.default_factory is not None:
            space |= {f"_new_{name}": one.default_factory, "_MISSING": MISSING}
            words.append(f"{name}=_MISSING")
            value = f"_new_{name}() if {name} is _MISSING else {name}"
        elif one.default is not MISSING:
            space[f"_default_{name}"] = one.default
            words.append(f"{name}=_default_{name}")
        else:
            words.append(name)
        lines.append(f" _set_{name}(_self, {value})")
    exec(f"def __init__({', '.join(['_self', *words])}):\n" + ("\n".join(lines) or " pass"), space)  # noqa: S102
    made: Callable[..., None] = space["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _values(value: object) -> tuple[object, ...]:
    return tuple([getattr(value, one.name) for one in fields(value) if one.compare])


def _equal(self: object, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash(_values(self))


def _repr(self: object) -> str:
    inside = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self))
    return f"{type(self).__qualname__}({inside})"


def _refuse_change(self: object, name: str, value: object = None) -> NoReturn:
    from dataclasses import FrozenInstanceError  # 9 ms, for what is a mistake in the program

    raise FrozenInstanceError(f'a {type(self).__qualname__} is not to be changed: "{name}"')


def _reduce(self: object) -> tuple[type, tuple[object, ...]]:
    """For :mod:`copy`."""
    return type(self), tuple([getattr(self, one.name) for one in fields(self)])


class _StandardFields:
    """``__dataclass_fields__`` of a record, made when it is first asked for."""

    def __get__(self, value: object, cls: type) -> dict[str, Any]:
        import dataclasses  # 9 ms, for those who ask

        listed = [(one.name, one.type, _standard(one)) for one in fields(cls)]
        standard: Any = dataclasses.make_dataclass(cls.__name__, listed)
        found: dict[str, Any] = standard.__dataclass_fields__
        setattr(cls, "__dataclass_fields__", found)  # noqa: B010
        return found


METHODS = {
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _refuse_change,
    "__delattr__": _refuse_change,
    "__reduce__": _reduce,
    "__dataclass_fields__": _StandardFields(),
}
