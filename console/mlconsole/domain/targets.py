"""Deployment targets: what they are asked to put in place, and what they see there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlconsole.records import field, record


@record
class MemberRef:
    """A member of a release and where its bytes are on this machine.

    Attributes:
        kind: code, data, model, config, ...
        id: its content's own name: a digest, a commit, ``name@version``.
        path: the folder that holds its files, or the file itself.
        files: BLAKE3 digests in hexadecimal digits, by path within ``path``; a member that is one file has the
            one empty path. Empty for a member that is only named and brings no bytes.
    """

    kind: str
    id: str
    path: Path
    files: Mapping[str, str] = field(default_factory=dict)


@record
class TargetOrder:
    """What a target shall put in place.

    Attributes:
        environment: its name; with the generation the key under which every verb is idempotent.
        release_id: the release.
        generation: counts the moves of the environment's pointer; the fence.
        members: the release's members by name.
        settings: the target's own settings of this environment.
        state_dir: a folder of the environment's own, for records.
    """

    environment: str
    release_id: str
    generation: int
    members: Mapping[str, MemberRef]
    settings: Mapping[str, str]
    state_dir: Path


@record
class TargetObservation:
    """What one look at a target showed.

    Attributes:
        release_id: the release that is live; None where none is, or none of ours.
        generation: its generation.
        healthy: whether it answers as it should; None where that cannot be told.
        endpoint: where it is reached: a path, a URL.
        words: what was seen, for a person.
    """

    release_id: str | None = None
    generation: int | None = None
    healthy: bool | None = None
    endpoint: str | None = None
    words: str = ""
