"""Logs on every backend: both streams as they came, by offset, to the end."""

from __future__ import annotations

import pytest

from jobkit import Jobs
from mlconsole.plugin_api import UsageError

BOTH = """
import os
for number in range(1000):
    os.write(1 + number % 2, b"line %d\\n" % number)
"""


def test_both_streams_arrive_whole_and_in_order(jobs: Jobs) -> None:
    handle = jobs.python(BOTH)
    jobs.ended(handle)
    assert jobs.output(handle) == b"".join(b"line %d\n" % number for number in range(1000))


def test_pieces_by_offset_make_the_whole(jobs: Jobs) -> None:
    handle = jobs.python(BOTH)
    jobs.ended(handle)
    data, offset, done = b"", 0, False
    while not done:
        chunk = jobs.backend.logs(handle, "output", offset, limit=100)
        assert len(chunk.data) <= 100
        assert chunk.next_offset == offset + len(chunk.data)
        data, offset, done = data + chunk.data, chunk.next_offset, chunk.done
    assert data == jobs.output(handle)


def test_a_live_log_is_not_done(jobs: Jobs) -> None:
    handle = jobs.python("print('first', flush=True); import time; time.sleep(60)")
    jobs.said(handle, b"first\n")
    chunk = jobs.backend.logs(handle, "output", 0)
    assert (chunk.data, chunk.done) == (b"first\n", False)


def test_the_end_of_an_ended_log_is_done(jobs: Jobs) -> None:
    handle = jobs.python("print('all')")
    jobs.ended(handle)
    chunk = jobs.backend.logs(handle, "output", 4)
    assert (chunk.data, chunk.next_offset, chunk.done) == (b"", 4, True)


def test_bytes_that_are_no_text_arrive_unchanged(jobs: Jobs) -> None:
    handle = jobs.python("import os; os.write(1, bytes(range(256)))")
    jobs.ended(handle)
    assert jobs.output(handle) == bytes(range(256))


def test_an_unknown_stream_is_a_usage_error(jobs: Jobs) -> None:
    handle = jobs.python("pass")
    with pytest.raises(UsageError, match='"stdout"'):
        jobs.backend.logs(handle, "stdout", 0)
