"""The one line that lists show of a traceback."""

from __future__ import annotations

import traceback

import pytest

from mlconsole.catalog.rows import exception_line

CAUSED = """
try:
    {}["a"]
except KeyError as error:
    raise %s from error
"""
RAISED = [
    ("assert False", "AssertionError"),
    ("raise MemoryError", "MemoryError"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("raise ValueError('')", "ValueError"),
    ("raise KeyError('k')", "KeyError: 'k'"),
    ("raise ValueError('a shape\\nexpected: 3')", "ValueError: a shape"),
    ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ("error = ValueError('x')\nerror.add_note('a note: y')\nraise error", "ValueError: x"),
    (CAUSED % "RuntimeError('outer: y')", "RuntimeError: outer: y"),
    (CAUSED % "ExceptionGroup('two', [TypeError('a'), ExceptionGroup('in', [OSError('b')])])",
     "ExceptionGroup: two (2 sub-exceptions)"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "line"), RAISED, ids=[line for _, line in RAISED])
def test_it_names_the_exception(code: str, line: str) -> None:
    with pytest.raises(BaseException) as caught:
        exec(code, {})
    assert exception_line("".join(traceback.format_exception(caught.value))) == line


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("SystemExit: no data", "SystemExit: no data"), ("x" * 9, "x" * 9)]
)
def test_a_text_without_a_frame_is_made_the_best_of(text: str, line: str) -> None:
    assert exception_line(text) == line
