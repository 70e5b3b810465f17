"""The one door to NVML: every call goes through it, and every error leaves it as a word.

Source: NVIDIA, "NVML API Reference Guide"; error codes and field ids are those of ``nvml.h``.
"""

from __future__ import annotations

import ctypes
from typing import Any

from mlconsole.domain.gpu import NO_PERMISSION, NOT_SUPPORTED, DriverState, GpuHealth
from mlconsole.records import record

SUCCESS = 0
NOT_SUPPORTED_CODE = 3
NOT_FOUND_CODE = 6
INSUFFICIENT_SIZE = 7
FUNCTION_NOT_FOUND = 13
GPU_NOT_FOUND_CODE = 28
NO_BINDING = -1
UNREADABLE = -2
ALL_LINKS = 0xFFFFFFFF
NOT_AVAILABLE = 0xFFFFFFFFFFFFFFFF
NO_INSTANCE = 0xFFFFFFFF
MOST_PROCESSES = 4096

_WORDS = {
    1: "driver library not initialised",
    2: NOT_SUPPORTED,
    3: NOT_SUPPORTED,
    4: NO_PERMISSION,
    6: "not found",
    8: "the GPU lacks external power",
    9: "driver not loaded",
    10: "timed out",
    11: "the GPU's interrupts do not work",
    12: "driver library not found",
    13: NOT_SUPPORTED,
    14: "the GPU's infoROM is damaged",
    15: "GPU lost",
    16: "GPU needs a reset",
    17: "refused by the operating system",
    18: "driver and library versions differ",
    19: "in use",
    20: "the driver is out of memory",
    21: "no data",
    23: "the driver is out of resources",
    25: NOT_SUPPORTED,
    26: NOT_SUPPORTED,
    27: "the GPU is not ready",
    28: "GPU not found",
    29: "the GPU is in the wrong state for it",
    999: "unknown driver error",
    NO_BINDING: 'the Python package "nvidia-ml-py" is missing',
    UNREADABLE: "the driver's answer cannot be read",
}
_FOR_GOOD = frozenset((2, 3, 13, 25, 26))
_DRIVER_STATES = {
    1: DriverState.FAILED,
    4: DriverState.NO_PERMISSION,
    9: DriverState.NO_DRIVER,
    12: DriverState.NO_DRIVER,
    17: DriverState.NO_PERMISSION,
    18: DriverState.VERSION_MISMATCH,
    NO_BINDING: DriverState.NO_DRIVER,
}
_ENDS_DRIVER = frozenset((1, 9, 12, 18))
_HEALTHS = {
    4: GpuHealth.NO_PERMISSION,
    15: GpuHealth.LOST,
    16: GpuHealth.RESET_REQUIRED,
    28: GpuHealth.LOST,
}


@record
class Refusal:
    """What the driver answered instead of a figure."""

    code: int

    @property
    def word(self) -> str:
        """Why there is no figure."""
        return _WORDS.get(self.code, f"driver error {self.code}")

    @property
    def is_for_good(self) -> bool:
        """True when asking again is in vain: this GPU or this driver does not have it."""
        return self.code in _FOR_GOOD

    @property
    def state(self) -> DriverState:
        """What it says of the driver, when the driver as a whole refused."""
        return _DRIVER_STATES.get(self.code, DriverState.FAILED)

    @property
    def ends_driver(self) -> bool:
        """True when no call of this process can succeed any more: it must load the library anew."""
        return self.code in _ENDS_DRIVER

    @property
    def ends_gpu(self) -> bool:
        """True when every other call for this GPU will be refused too."""
        return self.code in (15, 16, 28)

    @property
    def health(self) -> GpuHealth:
        """What it says of the GPU, when the GPU as a whole refused."""
        return _HEALTHS.get(self.code, GpuHealth.FAILING)


#: A MIG instance as processes name it: the GPU instance, and the compute instance in it.
Instance = tuple[int, int]


@record
class Held:
    """A process that holds memory of a GPU, as the driver lists it; ``memory_bytes`` None: not told."""

    pid: int
    memory_bytes: int | None
    instance: Instance | None


@record
class Field:
    """One value of a batch read. ``bits`` is the width of a counter, after which it begins anew."""

    number: float
    bits: int


class Nvml:
    """NVML through the real binding. Raises nothing: what the driver refuses comes back as a :class:`Refusal`.

    Attributes:
        calls: how many times the driver's library was called.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._binding: Any = None
        self._processes: Any = None

    def open(self) -> Refusal | None:
        """Load the library and initialise it."""
        try:
            import pynvml  # 30 ms, and in the sampler's child process only
        except ImportError:
            return Refusal(NO_BINDING)
        self._binding = pynvml
        self._processes = (pynvml.c_nvmlProcessInfo_v3_t * 32)()
        refused = self.ask("nvmlInit")
        return refused if isinstance(refused, Refusal) else None

    def close(self) -> None:
        """Give the library's resources back."""
        self.ask("nvmlShutdown")

    def ask(self, name: str, *arguments: object, **options: object) -> Any:
        """The answer of one function of the binding, or a :class:`Refusal`."""
        function = getattr(self._binding, name, None)
        if function is None:
            return Refusal(FUNCTION_NOT_FOUND)
        self.calls += 1
        try:
            return function(*arguments, **options)
        except self._binding.NVMLError as error:
            return Refusal(error.value)
        except (ValueError, TypeError, ctypes.ArgumentError):
            return Refusal(UNREADABLE)

    def constant(self, name: str) -> int:
        """A constant of the binding."""
        value: int = getattr(self._binding, name)
        return value

    def fields(self, handle: object, wanted: list[tuple[int, int]]) -> list[Field | Refusal] | Refusal:
        """Many values in one call, each with an answer of its own. ``wanted`` holds (field id, scope) pairs."""
        answers = self.ask("nvmlDeviceGetFieldValues", handle, wanted)
        return answers if isinstance(answers, Refusal) else [_field(each) for each in answers]

    def processes(self, handle: object, kind: str) -> list[Held] | Refusal:
        """The processes on a GPU or MIG instance; ``kind`` is Compute or Graphics.

        The binding asks twice, for the size and for the list; one call with room to spare does.
        """
        try:
            function = getattr(self._binding.nvmlLib, f"nvmlDeviceGet{kind}RunningProcesses_v3")
        except AttributeError:
            return Refusal(FUNCTION_NOT_FOUND)
        while True:
            count = ctypes.c_uint(len(self._processes))
            self.calls += 1
            code = function(handle, ctypes.byref(count), self._processes)
            if code != INSUFFICIENT_SIZE or len(self._processes) >= MOST_PROCESSES:
                break
            self._processes = (self._processes._type_ * (2 * max(count.value, len(self._processes))))()
        return Refusal(code) if code else [_held(self._processes[i]) for i in range(count.value)]

    def sm_shares(self, handle: object, since_us: int) -> dict[int, tuple[int, int]] | Refusal:
        """For each pid with a sample newer than ``since_us``: its time in µs and its share of the SMs, 0-100."""
        answer = self.ask("nvmlDeviceGetProcessUtilization", handle, since_us)
        if isinstance(answer, Refusal) and answer.code == FUNCTION_NOT_FOUND:
            answer = self.ask("nvmlDeviceGetProcessesUtilizationInfo", handle, since_us)
        if isinstance(answer, Refusal):
            # "Not found" is the answer when no process has run a kernel since; the binding turns success into an error.
            return {} if answer.code in (NOT_FOUND_CODE, SUCCESS) else answer
        newest: dict[int, tuple[int, int]] = {}
        for each in answer:
            if each.smUtil <= 100 and (each.pid not in newest or newest[each.pid][0] < each.timeStamp):
                newest[each.pid] = (each.timeStamp, each.smUtil)
        return newest


def same_device(handle: Any) -> int:
    """A number that two handles of one GPU share."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _field(value: Any) -> Field | Refusal:
    if value.nvmlReturn != SUCCESS:
        return Refusal(value.nvmlReturn)
    name, bits = _TYPES.get(value.valueType, ("ullVal", 64))
    return Field(float(getattr(value.value, name)), bits)


_TYPES = {
    0: ("dVal", 64),
    1: ("uiVal", 32),
    2: ("ulVal", 64),
    3: ("ullVal", 64),
    4: ("sllVal", 64),
    5: ("siVal", 32),
    6: ("usVal", 16),
}


def _held(each: Any) -> Held:
    memory, instance = each.usedGpuMemory, (each.gpuInstanceId, each.computeInstanceId)
    return Held(
        each.pid,
        None if memory == NOT_AVAILABLE else memory,
        None if instance[0] == NO_INSTANCE else instance,
    )
