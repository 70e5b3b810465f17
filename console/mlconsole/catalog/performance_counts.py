"""Predictions counted against labels, as bytes: counts and edges, no row."""

from __future__ import annotations

import base64
import json
import zlib
from array import array

from mlconsole.domain.performance import PerformanceProfile, Task
from mlconsole.records import replace


def packed(profile: PerformanceProfile) -> bytes:
    """A baseline as bytes."""
    document = {
        "head": [profile.source, profile.rows, profile.labelled, profile.task.value, profile.positive],
        "is_numeric": profile.is_numeric,
        "edges": base64.b64encode(profile.edges.tobytes()).decode(),
        "groups": [[column, value, base64.b64encode(n.tobytes()).decode()] for column, value, n in profile.groups],
        "tail": [profile.digest, profile.files, profile.notes],
    }
    return zlib.compress(json.dumps(document).encode())


def unpacked(data: bytes) -> PerformanceProfile:
    """The baseline that :func:`packed` made bytes of."""
    found = json.loads(zlib.decompress(data))
    source, rows, labelled, task, positive = found["head"]
    digest, files, notes = found["tail"]
    groups = tuple((column, value, _numbers(base64.b64decode(n))) for column, value, n in found["groups"])
    edges = _numbers(base64.b64decode(found["edges"]))
    head = (source, rows, labelled, Task(task), positive, found["is_numeric"], edges)
    return PerformanceProfile(*head, groups, digest, files, tuple(notes))


def window_counts(window: PerformanceProfile) -> bytes:
    """The counts of a window as bytes: those of all rows and of each slice, behind each other."""
    out = array("d", [window.labelled])
    for _, _, numbers in window.groups:
        out.extend(numbers)
    return zlib.compress(out.tobytes(), 1)


def window_profile(baseline: PerformanceProfile, data: bytes, label: str, rows: int) -> PerformanceProfile:
    """A window, from its counts and its baseline."""
    labelled, *numbers = _numbers(zlib.decompress(data))
    groups, place = [], 0
    for column, value, known in baseline.groups:
        groups.append((column, value, array("d", numbers[place : place + len(known)])))
        place += len(known)
    own = replace(baseline, source=label, rows=rows, digest="", notes=())
    return replace(own, labelled=int(labelled), groups=tuple(groups))


def _numbers(data: bytes) -> array[float]:
    out = array("d")
    out.frombytes(data)
    return out
