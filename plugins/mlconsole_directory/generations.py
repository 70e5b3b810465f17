"""Generations of releases laid out below a root, and the fence that lets none take the place of a later one.

::

    generations/000007/         the release's members, a folder each, and ``release.json``
    fence.json                  the highest generation that anybody asked to make live
    lock

A generation is laid out under another name, checked, and renamed into place: it is there as a whole or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Any

from mlconsole.plugin_api import ActionFailed, TargetOrder
from mlconsole_directory import records
from mlconsole_directory.copying import copy_member

MEMBER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
RECORD = "release.json"
PREPARING, LEAVING = ".preparing-", ".leaving-"


class Generations:
    """What is laid out below one root for one environment."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.folder = os.path.join(root, "generations")
        self.lock = os.path.join(root, "lock")
        self._fence = os.path.join(root, "fence.json")

    def path(self, generation: int) -> str:
        """Where a generation is, or would be."""
        return os.path.join(self.folder, f"{generation:06}")

    def open(self) -> None:
        """Make the folders unless they are there.

        Raises:
            ActionFailed: one of them is a link or cannot be made.
        """
        try:
            os.makedirs(self.root, exist_ok=True)
            if not os.path.lexists(self.folder):
                os.mkdir(self.folder)
        except OSError as error:
            raise ActionFailed(f'Cannot make "{self.folder}": {error.strerror}.') from error
        if os.path.islink(self.folder) or not os.path.isdir(self.folder):
            raise ActionFailed(f'"{self.folder}" is not a folder of ours.', "Take it away, or name another place.")

    def record(self, generation: int) -> dict[str, Any] | None:
        """What is laid out as a generation; None where nothing is."""
        path = self.path(generation)
        return None if os.path.islink(path) else records.read(os.path.join(path, RECORD))

    def holds(self, order: TargetOrder) -> bool:
        """Whether the order's very release is laid out as its generation.

        Raises:
            ActionFailed: another release is.
        """
        record = self.record(order.generation)
        if record is None:
            return False
        if not self.is_of(record, order):
            whose = f'release "{record.get("release")}" of "{record.get("environment")}"'
            raise ActionFailed(
                f'Generation {order.generation} at "{self.root}" is {whose}.',
                "A place serves one environment: name another one.",
            )
        return True

    @staticmethod
    def is_of(record: dict[str, Any], order: TargetOrder) -> bool:
        """Whether what is laid out is the order's very release."""
        return (record.get("environment"), record.get("release")) == (order.environment, order.release_id)

    def lay_out(self, order: TargetOrder) -> None:
        """Copy a release's members into place, each file checked; does nothing where they are. Under the lock.

        Raises:
            ActionFailed: a file is missing or is not what the release says, or the disk is full.
        """
        self._sweep()
        if self.holds(order):
            return
        for name in order.members:
            if not MEMBER.fullmatch(name) or name == RECORD:
                raise ActionFailed(f'"{name}" is no name for a member.')
        new = os.path.join(self.folder, f"{PREPARING}{order.generation:06}")
        try:
            self._copy(order, new)
            os.rename(new, self.path(order.generation))
            records.sync_folder(self.folder)
        except OSError as error:
            raise ActionFailed(f'Cannot lay out "{error.filename or new}": {error.strerror}.') from error

    def _copy(self, order: TargetOrder, new: str) -> None:
        os.mkdir(new)
        for name, member in order.members.items():
            if member.files:
                copy_member(member, os.path.join(new, name))
        files = {path: _mark(os.path.join(new, path)) for path in _files(new)}
        record = {
            "environment": order.environment,
            "release": order.release_id,
            "generation": order.generation,
            "members": {name: {"kind": one.kind, "id": one.id} for name, one in order.members.items()},
            "files": files,
        }
        records.publish(os.path.join(new, RECORD), record)
        for folder, _, _ in os.walk(new):
            records.sync_folder(folder)

    def touched(self, generation: int, *, new_too: bool = True) -> list[str]:
        """The files of a generation that are not as they were laid out, by size and times, without reading them.

        Args:
            generation: which.
            new_too: files that came since are named too.
        """
        record = self.record(generation) or {}
        path, laid_out = self.path(generation), record.get("files", {})
        found = [name for name, mark in laid_out.items() if _mark(os.path.join(path, name)) != mark]
        come = [name for name in _files(path) if name not in laid_out and name != RECORD] if new_too else []
        return sorted(found + come)

    def check_owner(self, order: TargetOrder) -> dict[str, Any]:
        """What was last asked to be made live here.

        Raises:
            ActionFailed: it was of another environment.
        """
        last = records.read(self._fence) or {"environment": order.environment, "generation": 0, "release": ""}
        if last["environment"] != order.environment:
            raise ActionFailed(
                f'"{self.root}" serves environment "{last["environment"]}", not "{order.environment}".',
                "A place serves one environment: name another one.",
            )
        return last

    def pass_fence(self, order: TargetOrder) -> None:
        """Take note that a generation is about to be made live. Under the lock.

        Raises:
            ActionFailed: a higher one was, or this one as another release.
        """
        last = self.check_owner(order)
        seen = int(last["generation"])
        if order.generation < seen or (order.generation == seen and last["release"] != order.release_id):
            raise ActionFailed(
                f'Generation {order.generation} of "{order.environment}" comes too late: {seen} was asked for before.',
                "Look what is intended: mlconsole env show",
            )
        mine = {
            "environment": order.environment,
            "generation": order.generation,
            "release": order.release_id,
        }
        if last != mine:
            records.publish(self._fence, mine)

    def remove(self, generation: int) -> None:
        """Take a generation away; follows no link. Under the lock.

        Raises:
            ActionFailed: something of it would not go.
        """
        path = self.path(generation)
        if os.path.islink(path):
            raise ActionFailed(f'"{path}" is a link, not a folder of ours.', "Take it away by hand.")
        if os.path.isdir(path):
            os.rename(path, os.path.join(self.folder, f"{LEAVING}{generation:06}.{os.urandom(4).hex()}"))
        self._sweep()

    def _sweep(self) -> None:
        """Take away what a process that was killed left half laid out or half removed."""
        try:
            for entry in list(os.scandir(self.folder)):
                if entry.name.startswith((PREPARING, LEAVING)) and entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
        except OSError as error:
            raise ActionFailed(f'Cannot remove "{error.filename}": {error.strerror}.') from error


def told(touched: list[str]) -> str:
    """What was changed in place, in words."""
    more = f" and {len(touched) - 3:,} more" if len(touched) > 3 else ""
    return f"changed in place: {', '.join(touched[:3])}{more}"


def _files(folder: str) -> list[str]:
    """Everything below a folder that is not a folder, by its path from there."""
    return [
        os.path.relpath(os.path.join(at, name), folder)
        for at, folders, names in os.walk(folder)
        for name in [*names, *(one for one in folders if os.path.islink(os.path.join(at, one)))]
    ]


def _mark(path: str) -> list[int] | None:
    """What tells that a file was not touched; None where it is gone."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns]
