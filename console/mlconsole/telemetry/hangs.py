"""GPUs on which a driver call hung, remembered for who looks next: a command need not wait for the same call again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from mlconsole.domain.uptime import Uptime
from mlconsole.records import record

FILE = "gpu-hangs.json"
MOST_BYTES = 1 << 16


@record
class Hang:
    """A GPU on which a call hung, and how long ago; ``uuid`` and ``name`` are empty where the call came before them."""

    index: int
    uuid: str
    name: str
    age_s: float


class Hangs:
    """What is remembered in one folder until the machine boots again; what cannot be read or written is not.

    Args:
        folder: where the file lies; it is never made.
        uptime: which boot this is, and for how long.
    """

    def __init__(self, folder: Path, uptime: Callable[[], Uptime]) -> None:
        self._path = folder / FILE
        self._uptime = uptime

    def within(self, seconds: float) -> list[Hang]:
        """The GPUs that hung in the last so many seconds."""
        now = self._uptime()
        rows = self._read(now).items()
        found = (Hang(index, uuid, name, (now.awake_us - at_us) / 1e6) for index, (at_us, uuid, name) in rows)
        return [hang for hang in found if 0 <= hang.age_s < seconds]

    def note(self, index: int, uuid: str, name: str) -> None:
        """Remember that a call for this GPU hangs."""
        now = self._uptime()
        gpus = {str(each): row for each, row in (self._read(now) | {index: (now.awake_us, uuid, name)}).items()}
        beside = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            beside.write_text(json.dumps({"boot_id": now.boot_id, "gpus": gpus}), encoding="utf-8")
            beside.replace(self._path)
        except OSError:
            beside.unlink(missing_ok=True)

    def _read(self, now: Uptime) -> dict[int, tuple[int, str, str]]:
        try:
            with self._path.open(encoding="utf-8") as file:
                found = json.loads(file.read(MOST_BYTES))
            if not now.boot_id or found["boot_id"] != now.boot_id:
                return {}
            return {
                int(index): (int(at_us), str(uuid), str(name)) for index, (at_us, uuid, name) in found["gpus"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
