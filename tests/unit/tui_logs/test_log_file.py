from __future__ import annotations

import os
from pathlib import Path

import pytest
from logkit import append

from mlconsole.tui.logs.file import Change, FileCut, LogFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


def test_a_file_may_come_later(path: Path) -> None:
    file = LogFile(path)
    assert file.look() is Change.NONE
    path.write_bytes(b"hello\n")
    assert file.look() is Change.GREW
    assert file.read(0, 100) == b"hello\n"


def test_growth_is_told_once(path: Path) -> None:
    file = LogFile(path)
    append(path, b"a\n")
    assert [file.look(), file.look()] == [Change.GREW, Change.NONE]
    append(path, b"b\n")
    assert [file.look(), file.look()] == [Change.GREW, Change.NONE]


def test_nothing_is_read_beyond_the_last_look(path: Path) -> None:
    file = LogFile(path)
    append(path, b"a\n")
    file.look()
    append(path, b"b\n")
    assert file.read(0, 100) == b"a\n"


def test_a_file_that_was_cut_short_starts_over(path: Path) -> None:
    file = LogFile(path)
    append(path, b"one\ntwo\n")
    file.look()
    os.truncate(path, 0)
    append(path, b"new\n")
    assert file.look() is Change.CUT
    assert file.read(0, 100) == b"new\n"


def test_a_file_written_anew_in_place_starts_over_even_when_it_is_longer(path: Path) -> None:
    file = LogFile(path)
    append(path, b"one\ntwo\n")
    file.look()
    os.truncate(path, 0)
    append(path, b"other words, and more of them\n")
    assert file.look() is Change.CUT


def test_a_file_with_the_same_head_and_another_body_starts_over(path: Path) -> None:
    file = LogFile(path)
    append(path, b"=" * 100 + b"\nfirst try of the training\n")
    file.look()
    os.truncate(path, 0)
    append(path, b"=" * 100 + b"\nsecond try of the training, longer\n")
    assert file.look() is Change.CUT


def test_a_replaced_file_starts_over(path: Path, tmp_path: Path) -> None:
    file = LogFile(path)
    append(path, b"old\n")
    file.look()
    (tmp_path / "new").write_bytes(b"old\nnew\n")
    os.replace(tmp_path / "new", path)
    assert file.look() is Change.REPLACED
    assert file.read(0, 100) == b"old\nnew\n"


def test_a_removed_file_can_still_be_read_and_its_end_is_told_once(path: Path) -> None:
    file = LogFile(path)
    append(path, b"kept\n")
    file.look()
    path.unlink()
    assert [file.look(), file.look()] == [Change.GONE, Change.NONE]
    assert file.read(0, 100) == b"kept\n"


def test_reading_what_was_cut_away_meanwhile_says_so(path: Path) -> None:
    file = LogFile(path)
    append(path, b"x" * 1000)
    file.look()
    os.truncate(path, 10)
    with pytest.raises(FileCut):
        file.read(0, 1000)
    with pytest.raises(FileCut):
        file.read_into(bytearray(100), 500)


@pytest.mark.parametrize("kind", ["directory", "pipe", "symlink"])
def test_what_is_no_regular_file_is_refused_at_once(path: Path, tmp_path: Path, kind: str) -> None:
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        LogFile(path).look()
