"""The run log's format, both ways: the one door to it from outside the recorder."""

from __future__ import annotations

from mlconsole.recorder.columns import Series
from mlconsole.recorder.layout import (
    FORMAT,
    MAGIC,
    MAX_EVENT_BYTES,
    MAX_KEYS,
    SUFFIX,
    encode_event,
    encode_row,
)
from mlconsole.recorder.reader import LONGEST_DAMAGE, MAX_PENDING, Batch, Damage, Reader

__all__ = [
    "FORMAT",
    "LONGEST_DAMAGE",
    "MAGIC",
    "MAX_EVENT_BYTES",
    "MAX_KEYS",
    "MAX_PENDING",
    "SUFFIX",
    "Batch",
    "Damage",
    "Reader",
    "Series",
    "encode_event",
    "encode_row",
]
