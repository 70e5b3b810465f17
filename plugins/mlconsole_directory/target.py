"""Releases in a directory, as the console's target contract asks for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlconsole.plugin_api import ActionFailed, TargetObservation, TargetOrder, UsageError
from mlconsole_directory import records
from mlconsole_directory.generations import Generations, told

LINK = "current"


class DirectoryTarget:
    """Lays a release out below a folder and swaps the link ``current`` to it, in one rename.

    A server watches the link, or opens files through it; one that opened the old ones keeps them. Settings:
    ``path``, the folder, absolute; it serves one environment.
    """

    name = "directory"

    def prepare(self, order: TargetOrder) -> None:
        """Copy the release's files, each one checked."""
        place = _place(order.settings)
        place.open()
        with records.locked(place.lock):
            _check(place)
            place.check_owner(order)
            place.lay_out(order)

    def activate(self, order: TargetOrder) -> None:
        """Swap the link."""
        place = _place(order.settings)
        place.open()
        with records.locked(place.lock):
            if not place.holds(order):
                raise ActionFailed(f'Generation {order.generation} is not prepared at "{place.root}".')
            place.pass_fence(order)
            if _live(place) != order.generation:
                _swap(place, order.generation)

    def observe(self, environment: str, settings: Mapping[str, str], state_dir: Path) -> TargetObservation:
        """Where the link points, and whether what is there is as it was laid out."""
        place = _place(settings)
        link = os.path.join(place.root, LINK)
        generation = _live(place)
        if generation is None:
            if os.path.lexists(link):
                return TargetObservation(None, None, False, link, f'"{link}" was changed: it leads to none of ours')
            return TargetObservation(words=f'nothing is live at "{place.root}"')
        record = place.record(generation)
        if record is None or record.get("environment") != environment:
            return TargetObservation(None, None, False, link, f'"{link}" leads to no release of "{environment}"')
        release = str(record["release"])
        if touched := place.touched(generation):
            return TargetObservation(release, generation, False, link, told(touched))
        return TargetObservation(release, generation, True, link, f"generation {generation} is in place")

    def release(self, order: TargetOrder) -> None:
        """Remove the generation's folder."""
        place = _place(order.settings)
        if not os.path.isdir(place.root):
            return
        place.open()
        with records.locked(place.lock):
            record = place.record(order.generation)
            if record is not None and not place.is_of(record, order):
                return  # Somebody else's, who has the same place and the same number: nothing of this order is there.
            if record is not None and _live(place) == order.generation:
                raise ActionFailed(f'Generation {order.generation} is live at "{place.root}".', "Roll out another.")
            place.remove(order.generation)

    def withdraw(self, environment: str, settings: Mapping[str, str], state_dir: Path) -> None:
        """Take the link away, if it leads to a release of the environment; what is laid out stays."""
        place = _place(settings)
        if not os.path.isdir(place.root):
            return
        place.open()
        with records.locked(place.lock):
            generation = _live(place)
            if generation is None or (place.record(generation) or {}).get("environment") != environment:
                return
            try:
                os.unlink(os.path.join(place.root, LINK))
                records.sync_folder(place.root)
            except OSError as error:
                raise ActionFailed(f'Cannot take "{error.filename}" away: {error.strerror}.') from error


def _place(settings: Mapping[str, str]) -> Generations:
    path = settings.get("path", "")
    if not os.path.isabs(path) or "\0" in path:
        raise UsageError(f'The directory target needs an absolute path, not "{path}".', "Say: directory:/PATH")
    return Generations(path)


def _live(place: Generations) -> int | None:
    """The generation that the link points to; None where it points to none of ours."""
    try:
        target = os.readlink(os.path.join(place.root, LINK))
    except OSError:
        return None
    folder, _, name = target.rpartition("/")
    is_ours = folder == "generations" and name.isascii() and name.isdecimal()
    return int(name) if is_ours and place.path(int(name)) == os.path.join(place.root, target) else None


def _check(place: Generations) -> None:
    link = os.path.join(place.root, LINK)
    if os.path.lexists(link) and not os.path.islink(link):
        raise ActionFailed(f'"{link}" is not a link.', "Take it away, then go on.")


def _swap(place: Generations, generation: int) -> None:
    _check(place)
    link = os.path.join(place.root, LINK)
    new = f"{link}.new"
    try:
        if os.path.lexists(new):
            os.unlink(new)
        os.symlink(f"generations/{generation:06}", new)
        os.rename(new, link)
        records.sync_folder(place.root)
    except OSError as error:
        raise ActionFailed(f'Cannot point "{link}" to generation {generation}: {error.strerror}.') from error
