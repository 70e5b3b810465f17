"""What a run's own page shows: its artifacts, its timeline, its code and environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mlconsole.domain.runs import Outcome, ParamValue, Run, State
from mlconsole.records import field, record

if TYPE_CHECKING:
    from mlconsole.domain.teardowns import TeardownCommand


@record
class RunDetails:
    """What a run's page shows beyond its row."""

    run: Run
    traceback: str = ""
    environment: Mapping[str, ParamValue] = field(default_factory=dict)
    code: Mapping[str, ParamValue] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    timeline: tuple[StateChange, ...] = ()
    damage: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    teardown: tuple[TeardownCommand, ...] = ()


@record
class Artifact:
    """A file, dataset or model that a run said it made or used.

    ``kind`` is one of artifact, dataset, model. ``path`` is relative to the run's artifact folder when the bytes were
    copied there, else absolute. ``digest`` is empty when it was not computed.
    """

    kind: str
    name: str
    path: str
    size_bytes: int | None
    digest: str
    at: datetime
    metadata: Mapping[str, ParamValue] = field(default_factory=dict)


@record
class StateChange:
    """One entry of a run's timeline: the state it entered, when, and the evidence."""

    at: datetime
    state: State
    outcome: Outcome | None
    evidence: str
