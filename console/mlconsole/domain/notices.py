"""Notices: what a notifier is told of an alert."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlconsole.records import field, record


@record
class Notice:
    """One change of an alert, for people elsewhere.

    Attributes:
        id: the same for every try of the same notice, so that a receiver can tell a repetition.
        at: when the alert changed.
        alert: the alert's id.
        state: ``firing`` or ``resolved``.
        severity: ``info``, ``warning`` or ``critical``.
        source: what says so: ``run``, ``gpu``, ``monitor``, ...
        subject: what it is about.
        title: in one line; text from outside, as it is.
        why: why it changed.
        data: the alert's fields.
    """

    id: str
    at: datetime
    alert: str
    state: str
    severity: str
    source: str
    subject: str
    title: str
    why: str
    data: Mapping[str, Any] = field(default_factory=dict)
