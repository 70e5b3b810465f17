"""Records beside what is laid out: JSON, each whole from the moment it can be seen, also after a power cut."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlconsole.plugin_api import ActionFailed, BackendUnreachable

LOCK_S = 30.0
_PAUSE_S = 0.02


def publish(path: str, record: dict[str, Any]) -> None:
    """Put a record in place of what was there."""
    temporary = f"{path}.{os.getpid()}.tmp"
    new = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(new, "wb") as file:
        file.write(json.dumps(record).encode("ascii") + b"\n")
        file.flush()
        os.fsync(new)
    os.rename(temporary, path)
    sync_folder(os.path.dirname(path))


def read(path: str) -> dict[str, Any] | None:
    """The record, or None where there is none.

    Raises:
        ActionFailed: what is there is no record.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            record = json.loads(file.read(1 << 22))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ActionFailed(
            f'The record "{path}" cannot be read: {error}.', "Move it away, then deploy again."
        ) from None
    if not isinstance(record, dict):
        raise ActionFailed(f'"{path}" is not a record of ours.', "Move it away, then deploy again.")
    return record


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Only one process at a time; a killed one lets go by itself.

    Raises:
        BackendUnreachable: another one holds it for too long.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + LOCK_S
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BackendUnreachable(f'Another process holds "{path}".', "Try again.") from None
                time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(handle)
