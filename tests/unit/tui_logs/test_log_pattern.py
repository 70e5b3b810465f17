from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from logkit import append, finished, lines

from mlconsole.render.ansi import plain
from mlconsole.tui.logs.anycase import places
from mlconsole.tui.logs.file import LogFile
from mlconsole.tui.logs.filtered import FilteredLines, hit_before, next_hit
from mlconsole.tui.logs.index import LineIndex
from mlconsole.tui.logs.matches import Matches
from mlconsole.tui.logs.pattern import ERRORS, Pattern, typed

ANY_FILE = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.sampled_from(
    ["ab", "AB", "a", "b", "\n", "\n\n", "\r\n", "\r", "\x1b[31m", "\x1b[0m", " ", "é", "É", "x" * 9, "\x1b]0;ab\x07"]
)
TEXTS = st.lists(WORDS, max_size=40).map("".join)
WANTED = st.sampled_from(["ab", "AB", "aB", "b", "é", "É", "a b", "xx"])


def holds(pattern: Pattern, line: bytes) -> bool:
    """Whether a line matches when nothing else is there."""
    return bool(pattern.starts(bytearray(line)))


def wanted_starts(pattern: Pattern, data: bytes) -> list[int]:
    starts, at = [], 0
    for line in lines(data):
        if line and holds(pattern, line):
            starts.append(at)
        at += len(line) + 1
    return starts


def opened(path: Path) -> tuple[LogFile, LineIndex]:
    """An empty file, and its index in small blocks."""
    path.unlink(missing_ok=True)
    path.touch()
    file = LogFile(path)
    return file, LineIndex(file, 16)


def grown(file: LogFile, index: LineIndex, pieces: list[bytes], matches: Matches) -> Matches:
    """Matches in a file that grew by pieces and was looked through after each."""
    for piece in pieces:
        append(file.path, piece)
        file.look()
        while index.step():
            pass
        while matches.step():
            pass
    return matches


def all_after(matches: Matches) -> list[int]:
    found: list[int] = []
    while (start := finished(matches.after(found[-1] + 1 if found else 0))) is not None:
        found.append(start)
    return found


def all_before(matches: Matches, end: int) -> list[int]:
    found: list[int] = []
    while (start := finished(matches.before(found[0] if found else end))) is not None:
        found.insert(0, start)
    return found


@ANY_FILE
@given(TEXTS, WANTED, st.lists(st.integers(0, 200), max_size=5))
@example("ab" + "\n" * 20 + "ab", "ab", [3, 17])
def test_a_search_finds_the_lines_that_match_alone_however_the_file_grew(
    tmp_path: Path, text: str, wanted: str, cuts: list[int]
) -> None:
    data, pattern = text.encode(), typed(wanted)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[low:high] for low, high in pairwise(edges)]
    file, index = opened(tmp_path / "log")
    matches = grown(file, index, pieces, Matches(file, index, pattern))
    expected = wanted_starts(pattern, data)
    assert matches.total() == len(expected)
    assert all_after(matches) == expected
    assert all_before(matches, len(data)) == expected
    assert [matches.rank(start) for start in expected] == list(range(len(expected)))


@ANY_FILE
@given(TEXTS, WANTED)
def test_an_inverted_filter_shows_all_other_lines(tmp_path: Path, text: str, wanted: str) -> None:
    data, pattern = text.encode(), typed(wanted)
    starts = [0, *(at + 1 for at, byte in enumerate(data) if byte == 10)][: len(lines(data))]
    file, index = opened(tmp_path / "log")
    matches = grown(file, index, [data], Matches(file, index, pattern, is_inverted=True))
    assert sorted([*all_after(matches), *wanted_starts(pattern, data)]) == starts


@ANY_FILE
@given(TEXTS, WANTED, WANTED)
def test_hits_among_filtered_lines_match_both(tmp_path: Path, text: str, wanted: str, kept: str) -> None:
    data = text.encode()
    file, index = opened(tmp_path / "log")
    hits = grown(file, index, [data], Matches(file, index, typed(wanted)))
    shown = Matches(file, index, typed(kept))
    expected = sorted(set(wanted_starts(typed(wanted), data)) & set(wanted_starts(typed(kept), data)))
    down: list[int] = []
    while (start := finished(next_hit(hits, shown, down[-1] + 1 if down else 0))) is not None:
        down.append(start)
    up: list[int] = []
    while (start := finished(hit_before(hits, shown, up[0] if up else len(data)))) is not None:
        up.insert(0, start)
    assert down == up == expected


@ANY_FILE
@given(TEXTS, WANTED, st.integers(1, 4))
def test_filtered_lines_read_the_same_upwards_and_downwards(tmp_path: Path, text: str, wanted: str, count: int) -> None:
    data = text.encode()
    file, index = opened(tmp_path / "log")
    shown = FilteredLines(grown(file, index, [data], Matches(file, index, typed(wanted))), index)
    down = finished(shown.after(0, 1000))
    up = []
    while found := finished(shown.before(up[0].start if up else len(data), count)):
        up = found + up
    assert down == up
    assert [line.start for line in down] == wanted_starts(typed(wanted), data)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["z", "Z", "e", "E", "ze", "a", ".", "\n"]), max_size=60).map("".join),
    st.sampled_from(["z", "ze", "ez", "zez", "zz", "e.z", "a"]),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_a_text_in_any_case_is_found_where_it_stands_unless_its_byte_is_frequent(
    text: str, wanted: str, cut: int, short: int
) -> None:
    data, first = bytearray(text.encode()), min(cut, len(text))
    last = max(first, len(data) - short)
    rare = b"z" if "z" in wanted else b"a"
    part = data.lower()[first:last]
    found = places(data, wanted.encode(), rare, first, last)
    if found is None:
        assert part.count(rare) > 16
    else:
        assert found == [first + at for at in range(len(part)) if part.startswith(wanted.encode(), at)]


def test_a_line_longer_than_many_blocks_is_found_once(tmp_path: Path) -> None:
    data = b"first\n" + b"start" + b"." * 500 + b"end\n" + b"last start\n"
    file, index = opened(tmp_path / "log")
    matches = grown(file, index, [data[:40], data[40:300], data[300:]], Matches(file, index, typed("start")))
    assert all_after(matches) == [6, len(data) - 11]
    assert matches.total() == 2


def test_a_line_that_comes_to_match_after_its_block_was_full_is_found(tmp_path: Path) -> None:
    file, index = opened(tmp_path / "log")
    matches = grown(file, index, [b"a\n" + b"." * 20, b"." * 20, b"needle\nb\n"], Matches(file, index, typed("needle")))
    assert all_after(matches) == [2]
    assert matches.total() == 1


@pytest.mark.parametrize(
    ("wanted", "line", "is_hit"),
    [
        ("loss", "Loss: 1", True),
        ("Loss", "loss: 1", False),
        ("Loss", "Loss: 1", True),
        ("é", "É", True),
        ("É", "é", False),
        ("loss: 1", "\x1b[1mloss\x1b[0m: \x1b[31m1", True),
        ("[31m", "\x1b[31mred", False),
        ("50%", "10%\r50%\r100%", False),
        ("100%", "10%\r50%\r100%", True),
        (".*", "anything", False),
        (".*", "a .* b", True),
    ],
)
def test_a_typed_text_matches_what_is_seen_in_smart_case(wanted: str, line: str, is_hit: bool) -> None:
    assert holds(typed(wanted), line.encode()) == is_hit
    assert bool(typed(wanted).spans(plain(line))) == is_hit


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "ValueError: bad shape",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "2026-08-01 12:00:00 ERROR trainer: worker 3 died",
        "java.lang.IllegalStateException",
        "FAILED tests/test_x.py",
        "main.cpp:3:1: error: expected ';'",
        "Segmentation fault (core dumped)",
        "step 12 loss=nan",
        "step 12 train_loss: NaN",
        '{"loss": NaN}',
        "loss inf",
        "Killed",
    ],
)
def test_a_failure_is_known_by_its_words(line: str) -> None:
    assert holds(ERRORS, line.encode())
    assert ERRORS.spans(line)


@pytest.mark.parametrize(
    "line",
    [
        "INFO all is well",
        "0 errors",
        "nanoseconds: 3",
        "information about loss",
        "loss 0.21",
        "error_rate 0.02",
        "Errors: 0",
    ],
)
def test_a_harmless_line_is_no_failure(line: str) -> None:
    assert not holds(ERRORS, line.encode())


def test_a_text_that_most_lines_hold_is_found_in_each(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"step %d loss\n" % step if step % 7 else b"other\n" for step in range(5000)))
    file = LogFile(path)
    file.look()
    matches = Matches(file, LineIndex(file), typed("loss"))
    while matches.step():
        pass
    assert matches.total() == sum(1 for step in range(5000) if step % 7)
    assert all_after(matches) == wanted_starts(typed("loss"), path.read_bytes())
