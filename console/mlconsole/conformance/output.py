"""Logs: both streams as they came, by offset, to the end."""

from __future__ import annotations

from mlconsole.conformance.kit import Jobs, holds, refused, same
from mlconsole.plugin_api import UsageError

LINES = 1000
BOTH = f"""
import os
for number in range({LINES}):
    os.write(1 + number % 2, b"line %d\\n" % number)
"""


def keeps_both_streams(jobs: Jobs) -> None:
    """Both streams arrive whole and in order, and pieces by offset make the whole."""
    handle = jobs.python(BOTH)
    jobs.ended(handle)
    whole = b"".join(b"line %d\n" % number for number in range(LINES))
    same(jobs.output(handle), whole, "output")
    data, done = b"", False
    while not done:
        chunk = jobs.backend.logs(handle, "output", len(data), limit=1000)
        holds(len(chunk.data) <= 1000, "a piece is longer than its limit")
        same(chunk.next_offset, len(data) + len(chunk.data), "the next offset")
        data, done = data + chunk.data, chunk.done
    same(data, whole, "the pieces")


def keeps_live_logs_open(jobs: Jobs) -> None:
    """A live log is not done; the end of an ended one is."""
    handle = jobs.python("print('first', flush=True); import time; time.sleep(60)")
    jobs.said(handle, b"first\n")
    chunk = jobs.backend.logs(handle, "output", 0)
    same((chunk.data, chunk.done), (b"first\n", False), "a live log")
    over = jobs.python("print('all')")
    jobs.ended(over)
    chunk = jobs.backend.logs(over, "output", 4)
    same((chunk.data, chunk.next_offset, chunk.done), (b"", 4, True), "the end of an ended log")


def keeps_bytes(jobs: Jobs) -> None:
    """Bytes that are no text arrive unchanged; an unknown stream is a usage error that names it."""
    handle = jobs.python("import os; os.write(1, bytes(range(256)))")
    jobs.ended(handle)
    same(jobs.output(handle), bytes(range(256)), "output")
    refused(UsageError, lambda: jobs.backend.logs(handle, "stdout", 0), '"stdout"')
