"""The GPUs of a machine elsewhere, as its backend was told of them."""

from __future__ import annotations

from collections.abc import Mapping

from mlconsole.records import record


@record
class FarProcess:
    """A process that holds memory of a GPU there.

    ``visible`` False: its pid tells nothing there. ``started_ticks`` is in clock ticks since that machine's boot.
    ``memory_mib`` is None where it is not told. ``run_id`` is found by the mark that all processes of a job inherit.
    """

    pid: int
    visible: bool = False
    memory_mib: float | None = None
    started_ticks: int | None = None
    command: str = ""
    user: str = ""
    run_id: str = ""


@record
class FarGpu:
    """One GPU; ``figures`` are named as in :data:`mlconsole.domain.gpu.FIGURES`: a number, or the word why none.

    ``processes`` is the word why they cannot be seen, where they cannot.
    """

    index: int
    uuid: str
    name: str
    figures: Mapping[str, float | str]
    processes: tuple[FarProcess, ...] | str = ()


@record
class HostGpus:
    """What is known of one host's GPUs.

    Attributes:
        backend: whose host it is.
        host: its name there.
        state: a word of :class:`mlconsole.domain.gpu.DriverState`: what stands between the host and its readings.
        detail: what was found beside the state.
        driver: the driver's version.
        reachable: False: the host does not answer; ``gpus`` are then the last that were known, never gone.
        age_s: seconds since the readings were taken.
        gpus: the GPUs as they were then.
    """

    backend: str
    host: str
    state: str = "starting"
    detail: str = ""
    driver: str = ""
    reachable: bool = True
    age_s: float = 0.0
    gpus: tuple[FarGpu, ...] = ()
