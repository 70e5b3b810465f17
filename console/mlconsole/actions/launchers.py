"""Whether the process that launches a run still lives, however long it has been stopped.

From before the intent is in the catalog until its backend has answered, a launcher holds a lock on the run's folder.
The kernel gives it back when that process ends, and not before: one that is only stopped, or slow, still has it. Where
the file system has no such lock (a catalog on NFS), nobody holds it, and the age of the intent alone decides.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def launching(directory: str) -> Iterator[None]:
    """Hold the lock on the folder of a run, which is there."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def is_launching(directory: str) -> bool:
    """Whether somebody, of this process or another, holds that lock."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        return False
    finally:
        os.close(descriptor)
