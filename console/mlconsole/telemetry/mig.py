"""The MIG instances of one GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlconsole.domain.gpu import MigInstance, Value, known, missing
from mlconsole.records import record
from mlconsole.telemetry.nvml import NOT_SUPPORTED_CODE, Instance, Refusal

MIB = 1 << 20
Ask = Callable[..., Any]


@record
class Slice:
    """One MIG instance with the driver's handle; ``instance`` is what processes name it by."""

    index: int
    handle: Any
    uuid: str
    profile: str
    instance: Instance


class Slices:
    """Finds the MIG instances now and then, and reads their memory.

    Args:
        ask: asks the driver; its first argument names what is asked, so that a refusal can be remembered.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._refused = Refusal(NOT_SUPPORTED_CODE)
        self._found: tuple[Slice, ...] | None = None
        self._key: object = None

    @property
    def found(self) -> tuple[Slice, ...]:
        """The instances that were found last."""
        return self._found or ()

    def find(self, handle: object) -> bool:
        """Look which instances there are; True when that has changed, and with it what the GPU supports."""
        mode = self._ask("mig mode", "nvmlDeviceGetMigMode", handle)
        if isinstance(mode, Refusal):
            self._found, self._refused = None, mode
        else:
            self._found = self._list(handle) if mode[0] else ()
        key = None if self._found is None else (bool(self._found), tuple(each.uuid for each in self._found))
        before, self._key = self._key, key
        return before is not None and before != key

    def read(self, memory: Callable[[object], Any]) -> Refusal | tuple[MigInstance, ...]:
        """The instances with their memory now."""
        return self._refused if self._found is None else tuple(_read(each, memory) for each in self._found)

    def uuid_of(self, instance: Instance | None) -> str:
        """The uuid of the instance that a process names; empty when it is none of ours."""
        return next((each.uuid for each in self.found if each.instance == instance), "")

    def _list(self, handle: object) -> tuple[Slice, ...]:
        most = self._ask("mig count", "nvmlDeviceGetMaxMigDeviceCount", handle)
        indices = range(0 if isinstance(most, Refusal) else most)
        slices = (self._slice(index, handle) for index in indices)
        return tuple(each for each in slices if each is not None)

    def _slice(self, index: int, handle: object) -> Slice | None:
        found = self._ask(f"mig handle {index}", "nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        if isinstance(found, Refusal):
            return None
        uuid = self._ask("mig uuid", "nvmlDeviceGetUUID", found)
        name = self._ask("mig name", "nvmlDeviceGetName", found)
        ids = [
            self._ask("mig id", "nvmlDeviceGetGpuInstanceId", found),
            self._ask("mig compute id", "nvmlDeviceGetComputeInstanceId", found),
        ]
        gpu, compute = (-1 if isinstance(each, Refusal) else each for each in ids)
        return Slice(
            index,
            found,
            "" if isinstance(uuid, Refusal) else str(uuid),
            "" if isinstance(name, Refusal) else str(name).rpartition("MIG ")[2],
            (gpu, compute),
        )


def _read(each: Slice, memory: Callable[[object], Any]) -> MigInstance:
    answer = memory(each.handle)
    if isinstance(answer, Refusal):
        used: Value[float] = missing(answer.word)
        return MigInstance(each.index, each.uuid, each.profile, used, used)
    return MigInstance(each.index, each.uuid, each.profile, known(answer.used / MIB), known(answer.total / MIB))
