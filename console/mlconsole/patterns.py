"""Glob patterns of files, without following links round in circles."""

from __future__ import annotations

import os
from collections.abc import Iterator


def matching(root: str, parts: list[str]) -> Iterator[str]:
    """What the parts of a pattern match below the root, relative to it.

    As in bash, ``**`` goes through no link, for one may lead back up, and into no folder whose name begins with a dot.

    Raises:
        OSError: a folder below ``**`` cannot be read.
    """
    if "**" not in parts:
        import glob  # 3 ms, for patterns

        yield from (path for found in glob.iglob("/".join(parts), root_dir=root) if (path := found.rstrip("/")))
        return
    stars = parts.index("**")
    before, after = parts[:stars], parts[stars + 1 :]
    for start in matching(root, before) if before else [""]:
        top = os.path.join(root, start)
        for folder in _folders(top) if after else [top]:
            here = os.path.relpath(folder, root)
            yield from (os.path.normpath(os.path.join(here, path)) for path in matching(folder, after or ["*"]))


def _folders(top: str) -> Iterator[str]:
    """A folder and all below it whose names begin with no dot."""
    if os.path.isdir(top):
        for folder, names, _ in os.walk(top, onerror=_raise):
            names[:] = [name for name in names if not name.startswith(".")]
            yield folder


def _raise(error: OSError) -> None:
    raise error
