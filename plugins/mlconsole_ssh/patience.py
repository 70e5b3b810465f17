"""Patience with a host that does not answer: not asked again for a growing while, by this process or by another."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
#: A failure that is older than this says nothing about the next one.
FORGOTTEN_S = 300.0


class Patience:
    """What is known of one host's silence; in a file too, so that not every command waits for it anew.

    Times are of the clock that all processes of a machine share and that never jumps (CLOCK_MONOTONIC).

    Args:
        folder: where the file lies; private to this user.
        words: what tells this host from others.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        self._path = folder / f"{hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:20]}.away"
        self._again_at, self._pause_s, self._why = self._read()

    def why_not_now(self) -> str:
        """Why the host is not to be asked now; empty when it may be."""
        return self._why if time.monotonic() < self._again_at else ""

    def failed(self, why: str) -> None:
        """It has not answered."""
        self._why, self._again_at = why, time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        with suppress(OSError):
            draft.write_text(json.dumps([self._again_at, self._pause_s, why]), encoding="ascii")
            draft.rename(self._path)

    def answered(self) -> None:
        """It has."""
        if self._why:
            self._again_at, self._pause_s, self._why = 0.0, FIRST_PAUSE_S, ""
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[float, float, str]:
        try:
            again_at, pause_s, why = json.loads(self._path.read_bytes())
            if -FORGOTTEN_S < again_at - time.monotonic() <= LONGEST_PAUSE_S:  # Else of another boot, or long ago.
                return float(again_at), min(max(float(pause_s), FIRST_PAUSE_S), LONGEST_PAUSE_S), str(why)
        except (OSError, ValueError, TypeError):
            pass
        return 0.0, FIRST_PAUSE_S, ""
