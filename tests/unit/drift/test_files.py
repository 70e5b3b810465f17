"""Which files a path or a pattern means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlconsole.drift.files import table_files


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two tables in folders, in a folder whose own name looks like a pattern."""
    root = tmp_path / "x[1]"
    for name in ("a/one.csv", "a/b/two.csv", "a/b/note.txt", ".hidden/three.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x\n1\n")
    return root


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("**/*.csv", ["a/b/two.csv", "a/one.csv"]),
        ("a/**", ["a/b/two.csv", "a/one.csv"]),
        ("*/*.csv", ["a/one.csv"]),
        ("a/[b]", ["a/b/two.csv"]),
    ],
)
def test_a_pattern_means_the_tables_it_matches(data: Path, pattern: str, names: list[str]) -> None:
    found = [os.path.relpath(file.path, data) for file in table_files(pattern, folder=str(data))]

    assert found == names


def test_links_that_lead_back_up_are_not_gone_round(data: Path) -> None:
    for name in ("up", "again"):
        (data / "a" / name).symlink_to(data)

    found = table_files("**/*.csv", folder=str(data))

    assert len(found) == 2
