"""What could not be recorded: counted, said once at the time, summed up at the end."""

from __future__ import annotations

import sys

_REASONS = 8


class Losses:
    """A count of lost records with the reasons for them."""

    __slots__ = ("_reasons", "_told", "count")

    def __init__(self) -> None:
        self.count = 0
        self._reasons: dict[str, None] = {}
        self._told: set[str] = set()

    def add(self, records: int, kind: str, reason: str) -> bool:
        """Count lost records and say the first of each kind on stderr; returns whether this was it."""
        self.count += records
        if len(self._reasons) < _REASONS:
            self._reasons[reason] = None
        return self.warn(kind, f"could not record: {reason}")

    def warn(self, kind: str, message: str) -> bool:
        """Say something on stderr, once for each kind; returns whether it was said."""
        if kind in self._told:
            return False
        self._told.add(kind)
        say(message)
        return True

    def summary(self, written: int) -> str:
        """One line about all losses, empty when there were none."""
        if not self.count:
            return ""
        total = self.count + written
        return f"{self.count} of {total} records could not be written ({'; '.join(self._reasons)})"


def say(message: str) -> None:
    """One line on stderr, if there is one, made harmless to a terminal."""
    line = "".join(c if c.isprintable() else "?" for c in message[:400])
    try:
        if sys.stderr is not None:
            sys.stderr.write(f"mlconsole: {line}\n")
            sys.stderr.flush()
    except Exception:  # noqa: BLE001  a closed or broken stderr must not stop a training
        pass


def reason_of(error: BaseException) -> str:
    """A short text for why something failed."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  foreign exceptions may fail to describe themselves
        text = ""
    return f"{type(error).__name__}: {text[:200]}".rstrip(": ")
