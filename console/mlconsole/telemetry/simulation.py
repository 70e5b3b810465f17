"""Eight GPUs that do not exist, for the demo: each shows one situation, and all of them say that they are simulated."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mlconsole.domain.gpu import (
    NOT_SUPPORTED,
    DriverState,
    GpuProcess,
    GpuReading,
    GpuSnapshot,
    MigInstance,
    Source,
    XidEvent,
    known,
    missing,
)
from mlconsole.records import record, replace

H100, A100 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"


@record
class Scene:
    """What one simulated GPU does: the middle and the swing of its load, its memory and its processes."""

    name: str
    utilization: float
    swing: float
    memory_mib: float
    power_w: float
    users: tuple[str, ...] = ()
    period_s: float = 40.0
    throttle: tuple[str, ...] = ()
    is_mig: bool = False
    xid: int | None = None


#: Two of one job, one that waits for its data, one whose collective hangs, an idle notebook, a free one, what a crashed
#: job has left behind, and one that is cut into MIG instances.
SCENES = (
    Scene(H100, 93, 4, 71_200, 640, ("ada",), throttle=("power cap",)),
    Scene(H100, 91, 5, 71_200, 633, ("ada",), throttle=("power cap",)),
    Scene(H100, 48, 45, 38_400, 330, ("grace",), period_s=12),
    Scene(H100, 100, 0, 70_100, 168, ("grace",)),
    Scene(H100, 0, 0, 38_100, 113, ("alan",)),
    Scene(H100, 0, 0, 4, 70),
    Scene(H100, 0, 0, 24_600, 111, ("edsger",), xid=43),
    Scene(A100, 0, 0, 29_100, 190, ("barbara", "alan"), is_mig=True),
)


class Simulation:
    """A source of simulated readings. What it shows depends on the clock alone.

    Args:
        host: the name of the simulated host.
        run_ids: the runs that hold the GPUs, in the order of the GPUs; none for those beyond.
        clock: seconds that never jump.
    """

    def __init__(
        self,
        host: str = "simulated",
        run_ids: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._run_ids, self._clock = host, tuple(run_ids), clock
        self._began_s = clock()
        self._began = datetime.now(UTC)

    def latest(self) -> GpuSnapshot:
        """What the GPUs would do now; new once a second."""
        number = int(self._clock() - self._began_s)
        gpus = tuple(self._read(index, scene, float(number)) for index, scene in enumerate(SCENES))
        return GpuSnapshot(self._host, DriverState.SIMULATED, "", "simulated", gpus, number)

    def stop(self) -> None:
        """Nothing is held."""

    def _read(self, index: int, scene: Scene, at_s: float) -> GpuReading:
        wave = _wave(at_s / scene.period_s + index / len(SCENES))
        load = min(100.0, max(0.0, scene.utilization + scene.swing * wave))
        power_w = scene.power_w + (scene.power_w - 90) * 0.1 * wave * bool(scene.swing)
        reading = GpuReading(
            self._host,
            index,
            f"SIM-00000000-0000-0000-0000-{index:012d}",
            scene.name,
            datetime.now(UTC),
            Source.SIMULATED,
            utilization_percent=known(round(load)),
            memory_used_mib=known(scene.memory_mib),
            memory_total_mib=known(81_559.0),
            power_w=known(round(power_w, 1)),
            power_limit_w=known(700.0 if scene.name == H100 else 400.0),
            energy_j=known(round(scene.power_w * at_s, 1)),
            temperature_c=known(round(32 + power_w / 18)),
            memory_temperature_c=known(round(38 + power_w / 18)),
            sm_clock_mhz=known(1980.0 if load < 5 else 1755.0),
            memory_clock_mhz=known(2619.0),
            ecc_corrected=known(0.0),
            ecc_uncorrected=known(0.0),
            pcie_tx_bytes_per_s=known(load * 2e6),
            pcie_rx_bytes_per_s=known(load * 9e6),
            nvlink_tx_bytes_per_s=known(load * 1.2e9 if scene.swing in (4, 5) else 0.0),
            nvlink_rx_bytes_per_s=known(load * 1.2e9 if scene.swing in (4, 5) else 0.0),
            throttle=known(scene.throttle),
            processes=known(self._processes(index, scene, load)),
            mig=known(()),
            xids=(XidEvent(self._began, scene.xid),) if scene.xid else (),
        )
        return _cut(reading, scene) if scene.is_mig else reading

    def _processes(self, index: int, scene: Scene, load: float) -> tuple[GpuProcess, ...]:
        run_id = self._run_ids[index] if index < len(self._run_ids) else ""
        share = scene.memory_mib / max(1, len(scene.users))
        return tuple(
            GpuProcess(
                900_000 + 10 * index + number,
                known(round(share)),
                missing(NOT_SUPPORTED) if scene.is_mig else known(round(load)),
                user=user,
                command="python",
                run_id=run_id,
            )
            for number, user in enumerate(scene.users)
        )


def _cut(reading: GpuReading, scene: Scene) -> GpuReading:
    """The reading of a GPU in MIG mode, which has no load of its own."""
    slices = (
        MigInstance(0, "MIG-sim-0", "3g.40gb", known(scene.memory_mib / 2), known(40_192.0)),
        MigInstance(1, "MIG-sim-1", "3g.40gb", known(scene.memory_mib / 2), known(40_192.0)),
    )
    processes = tuple(
        replace(each, mig=slices[number].uuid) for number, each in enumerate(reading.processes.value or ())
    )
    return replace(reading, utilization_percent=missing(NOT_SUPPORTED), mig=known(slices), processes=known(processes))


def _wave(turns: float) -> float:
    """A smooth wave between -1 and 1 that does not look like a plain sine."""
    return 0.6 * math.sin(2 * math.pi * turns) + 0.4 * math.sin(2 * math.pi * 2.7 * turns + 1)
