"""A record is what a frozen, slotted dataclass is, for those who use it and for the dataclasses module."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from mlconsole.records import asdict, field, fields, is_record, record, replace


@record
class Point:
    """A record as they are written."""

    x: int
    y: float = 0.5
    names: Mapping[str, int] = field(default_factory=dict)
    note: str = field(default="", compare=False)

    @property
    def doubled(self) -> int:
        """Twice ``x``."""
        return self.x * 2


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """The same, made by the standard library."""

    x: int
    y: float = 0.5
    names: Mapping[str, int] = field(default_factory=dict)
    note: str = field(default="", compare=False)


@record
class Deep(Point):
    """A record with one more field."""

    z: int = 3


@record
class Nothing:
    """A record without fields."""


@pytest.mark.parametrize(
    ("values", "named"),
    [((1,), {}), ((1, 2.0), {"note": "n"}), ((), {"x": 4, "names": {"a": 1}}), ((1, 2.0, {}, "n"), {})],
)
def test_a_record_is_made_and_shown_as_a_dataclass_is(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    assert repr(Point(*values, **named)) == repr(Standard(*values, **named)).replace("Standard", "Point")


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, {}, "", 5), {}), ((1,), {"x": 1}), ((1,), {"nope": 2})]
)
def test_a_record_refuses_the_arguments_that_a_dataclass_refuses(
    values: tuple[Any, ...], named: dict[str, Any]
) -> None:
    for kind in (Standard, Point):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_a_failed_first_object_spoils_nothing() -> None:
    @record
    class Fresh:
        """Made for this test."""

        x: int

    with pytest.raises(TypeError):
        Fresh()  # type: ignore[call-arg]
    assert Fresh(1).x == 1


def test_each_record_gets_a_default_of_its_own_from_a_factory() -> None:
    assert Point(1).names is not Point(1).names


def test_records_compare_by_their_values_without_those_that_do_not_count() -> None:
    assert Point(1, note="a") == Point(1, note="b")
    assert Point(1) != Point(2)
    assert Point(1) != Standard(1)
    assert Nothing() == Nothing()
    assert hash(Deep(1, 2.0, ())) == hash(Deep(1, 2.0, ()))  # type: ignore[arg-type]


def test_a_record_with_a_mutable_value_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Point(1))


def test_a_record_cannot_be_changed() -> None:
    point = Point(1)

    for change in (lambda: setattr(point, "x", 2), lambda: setattr(point, "new", 2), lambda: delattr(point, "x")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert not hasattr(point, "__dict__")


def test_a_record_of_a_record_has_the_fields_of_both() -> None:
    deep = Deep(1, z=9)

    assert [one.name for one in fields(deep)] == ["x", "y", "names", "note", "z"]
    assert (deep.x, deep.y, deep.z, deep.doubled) == (1, 0.5, 9, 2)
    assert Point(1) != deep


@pytest.mark.parametrize("exchange", [replace, dataclasses.replace])
def test_a_copy_with_changes_keeps_the_rest(exchange: Any) -> None:
    assert repr(exchange(Point(1, 2.0, {"a": 1}, "n"), x=7)) == "Point(x=7, y=2.0, names={'a': 1}, note='n')"


def test_the_dataclasses_module_knows_a_record() -> None:
    mine, theirs = dataclasses.fields(Point), dataclasses.fields(Standard)

    assert dataclasses.is_dataclass(Point)
    assert dataclasses.asdict(Point(1)) == dataclasses.asdict(Standard(1))
    assert [(f.name, f.type, f.default, f.default_factory, f.compare) for f in mine] == [
        (f.name, f.type, f.default, f.default_factory, f.compare) for f in theirs
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Holder:
    """Records in all that may hold them."""

    one: Point | None
    several: tuple[Point, ...]
    named: Mapping[str, list[Point]]


def test_a_record_with_records_in_it_is_mappings_of_mappings() -> None:
    holder = Holder(Point(1), (Point(2), Point(3)), {"a": [Point(4)]})

    assert asdict(holder) == dataclasses.asdict(holder)
    assert asdict(Point(1, names={"a": 1})) == dataclasses.asdict(Point(1, names={"a": 1}))


def test_our_view_of_fields_is_the_same_for_both() -> None:
    def seen(kind: type) -> list[tuple[object, ...]]:
        return [(f.name, f.type, f.default, f.default_factory, f.compare, f.is_required) for f in fields(kind)]

    assert seen(Point) == seen(Standard)
    assert is_record(Point(1)) and is_record(Standard(1))
    assert not is_record(Point) and not is_record(3)


def test_a_record_can_be_matched_and_copied() -> None:
    match Point(1, 2.0):
        case Point(x, y):
            assert (x, y) == (1, 2.0)
    point = Point(1, 2.0, {"a": 1})
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


def test_making_and_using_a_record_loads_no_dataclasses() -> None:
    program = """
import sys
from mlconsole.records import field, record, replace
@record
class One:
    a: int
    b: dict = field(default_factory=dict)
assert replace(One(1), a=2) == One(2)
print(*sorted({"dataclasses", "inspect", "typing", "re"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PATHS + program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


PATHS = f"import sys; sys.path[:0] = {[path for path in sys.path if path.endswith('console')]!r}"
