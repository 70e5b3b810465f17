"""Errors that the driver reports by itself, picked up without waiting for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mlconsole.domain.gpu import XidEvent
from mlconsole.telemetry.device import Device
from mlconsole.telemetry.nvml import Nvml, Refusal, same_device

XID_CRITICAL = 0x8
MOST_AT_ONCE = 16


class XidWatch:
    """An event set of the driver's. GPUs or drivers without one are simply not watched.

    Args:
        nvml: the driver.
    """

    def __init__(self, nvml: Nvml) -> None:
        self._nvml = nvml
        self._set: Any = None
        self._watched: dict[int, Device] = {}

    def watch(self, devices: Iterable[Device]) -> None:
        """Watch those that can be reached and are not watched yet."""
        if self._set is None:
            self._set = self._nvml.ask("nvmlEventSetCreate")
        if isinstance(self._set, Refusal):
            return
        for device in devices:
            if device.handle is not None and same_device(device.handle) not in self._watched:
                self._nvml.ask("nvmlDeviceRegisterEvents", device.handle, XID_CRITICAL, self._set)
                self._watched[same_device(device.handle)] = device

    def collect(self, at: datetime) -> None:
        """Hand every event that is waiting to its GPU; returns at once when there is none."""
        if self._set is None or isinstance(self._set, Refusal):
            return
        for _ in range(MOST_AT_ONCE):
            event = self._nvml.ask("nvmlEventSetWait_v2", self._set, 0)
            if isinstance(event, Refusal):
                return
            device = self._watched.get(same_device(event.device))
            if device is not None and event.eventType == XID_CRITICAL:
                device.add_xid(XidEvent(at, int(event.eventData)))
