"""The recorder's smaller parts: any value cleaned, the last step found, losses summed up."""

from __future__ import annotations

import enum
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlconsole.recorder import resume
from mlconsole.recorder.format import MAGIC, encode_event, encode_row
from mlconsole.recorder.losses import Losses
from mlconsole.recorder.values import Cleaner, as_mapping, as_tags, numbers


class Color(enum.IntEnum):
    RED = 3


class Scalar:
    """As numpy's and torch's scalars are: no number by type, one by ``item``."""

    ndim = 0

    def __init__(self, value: object) -> None:
        self.value = value

    def item(self) -> object:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Scalar, st.floats()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.text()),
    max_leaves=20,
)


@given(ANYTHING)
def test_every_value_gets_a_form_that_json_has(value: object) -> None:
    json.dumps(Cleaner().clean(value))


def test_scalars_of_other_libraries_become_our_own() -> None:
    values = [Scalar(2.5), Scalar(7), Scalar(RuntimeError("lost")), Color.RED]
    cleaned = Cleaner().clean(values)
    assert isinstance(cleaned, list)
    assert cleaned[:2] == [2.5, 7]
    assert isinstance(cleaned[2], str)
    assert json.dumps(cleaned[3]) == "3"


def test_a_value_too_large_is_cut_and_not_walked_for_ever() -> None:
    wide = {"rows": [[0] * 1000] * 1000}
    assert len(json.dumps(Cleaner().clean(wide))) < 2_000_000


def test_an_object_with_attributes_is_a_mapping_and_a_number_is_none() -> None:
    assert as_mapping(Scalar(3)) == {"value": 3}
    with pytest.raises(TypeError):
        as_mapping(3)


def test_tags_come_as_one_name_names_or_values() -> None:
    assert as_tags("a") == {"a": ""}
    assert as_tags(["a", 3]) == {"a": "", "3": ""}
    assert as_tags({"a": None, "b": 1}) == {"a": "", "b": "1"}


def test_text_is_no_number_even_if_it_reads_as_one() -> None:
    lost: list[str] = []
    assert numbers({"a": "1", "b": b"1", "c": 1}, lambda key, _: lost.append(key)) == {"c": 1.0}
    assert lost == ["a", "b"]


def write_log(run: Path, name: str, steps: list[int]) -> None:
    (run / "log").mkdir(parents=True, exist_ok=True)
    keys = encode_event({"e": "keys", "t": 0.0, "schema": 1, "keys": ["a"]})
    rows = b"".join(encode_row(1, step, 0.0, [0.0]) for step in steps)
    (run / "log" / f"{name}.mlog").write_bytes(MAGIC + keys + rows)


def test_the_last_step_is_the_largest_of_all_writers(tmp_path: Path) -> None:
    write_log(tmp_path, "first", [5, 90, 20])
    write_log(tmp_path, "second", [1, 2, 3])
    assert resume.last_step(str(tmp_path)) == 90


def test_without_a_log_there_is_no_last_step(tmp_path: Path) -> None:
    assert resume.last_step(str(tmp_path)) is None
    write_log(tmp_path, "empty", [])
    assert resume.last_step(str(tmp_path)) is None


def test_the_last_step_of_a_log_too_long_to_read_is_found_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("_WHOLE", 10_000), ("_PIECE", 1_000), ("_TAIL", 2_500)):
        monkeypatch.setattr(resume, name, size)
    write_log(tmp_path, "long", [*range(10_000), 7])
    assert resume.last_step(str(tmp_path)) == 9_999


def test_the_last_step_is_found_behind_damage(tmp_path: Path) -> None:
    write_log(tmp_path, "torn", [1, 2])
    path = tmp_path / "log" / "torn.mlog"
    path.write_bytes(path.read_bytes() + b"\xff" * 100 + encode_row(1, 8, 0.0, [0.0]) + b"\x01")
    assert resume.last_step(str(tmp_path)) == 8


def test_losses_are_said_once_a_kind_and_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    losses = Losses()
    told = [losses.add(1, "write", "No space left on device") for _ in range(3)]
    losses.add(9, "value", "not a number\x1b[2J")
    assert told == [True, False, False]
    assert losses.summary(388) == (
        "12 of 400 records could not be written (No space left on device; not a number\x1b[2J)"
    )
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    assert "\x1b" not in said
    assert Losses().summary(5) == ""
