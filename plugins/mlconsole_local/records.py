"""The folder that a job's records live in, and what is read from it."""

from __future__ import annotations

from typing import Any

from mlconsole.plugin_api import Handle, UsageError, record
from mlconsole_local import shim

BACKEND_NAME = "local"

#: A record as the supervisor writes it: JSON.
Record = dict[str, Any]
#: What of a start record tells a job's processes from all others.
IDENTITY = ("host", "machine", "boot_id", "pid_ns", "token", "uid", "shim", "child", "started_at", "finalisers")


@record
class JobFolder:
    """``<run folder>/job``: claim, start, stop, exit and cleanup records, and the output."""

    run_folder: str

    @classmethod
    def of(cls, handle: Handle) -> JobFolder:
        """The folder that a handle points at.

        Raises:
            UsageError: the handle is not one of this backend's.
        """
        directory = handle.data.get("directory")
        if handle.backend != BACKEND_NAME or not isinstance(directory, str):
            raise UsageError(f'The job "{handle.token}" is not one of the local backend.')
        return cls(directory)

    @property
    def path(self) -> str:
        """Where the records are."""
        return f"{self.run_folder}/job"

    @property
    def output(self) -> str:
        """Where the program's two streams go, as they come."""
        return f"{self.path}/output.log"

    def read(self, name: str) -> Record | None:
        """The record of this name, or None while there is none.

        Raises:
            ValueError: the file holds no record.
        """
        return shim.read(self.path, f"{name}.json")

    def publish(self, name: str, record: Record, *, exclusive: bool = False) -> None:
        """Put a record in place, whole or not at all.

        Raises:
            FileExistsError: ``exclusive`` was asked for and the record is there already.
        """
        shim.publish(self.path, f"{name}.json", record, exclusive)

    def handle(self, token: str) -> Handle:
        """The job in this folder as its backend names it, and the processes that it was started as.

        Those are what is left to look for when somebody deletes the folder while the job runs.
        """
        data: Record = {"directory": self.run_folder}
        start = self.read("start")
        if start is not None and not start.get("void"):
            data["start"] = {name: start[name] for name in IDENTITY if name in start}
        return Handle(BACKEND_NAME, token, data)


def start_of(handle: Handle, folder: JobFolder) -> Record | None:
    """The start record of a job; where its folder is gone, what its handle knows of it."""
    return folder.read("start") or identity_of(handle)


def identity_of(handle: Handle) -> Record | None:
    """The processes that a job was started as, by its handle."""
    known = handle.data.get("start")
    return known if isinstance(known, dict) else None


def named(found: list[Record]) -> tuple[str, ...]:
    """Recorded processes in words: ``pid command``."""
    return tuple(f"{each['pid']} {each['command']}" for each in found)
