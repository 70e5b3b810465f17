"""A launch from a copy of the code: later edits in the folder change nothing of a run that waits or is tried again."""

from __future__ import annotations

import os

from mlconsole.actions.context import Context
from mlconsole.config import launch_environment
from mlconsole.content import kept
from mlconsole.content.hashing import Hasher
from mlconsole.domain.jobs import CodeCopy, JobSpec
from mlconsole.recorder import git
from mlconsole.records import record, replace


@record
class Copy:
    """A copy of the code, and which folder it is of."""

    root: str
    code: CodeCopy

    def under(self, spec: JobSpec) -> JobSpec:
        """The spec as it runs from the copy."""
        inside = os.path.relpath(os.path.realpath(spec.cwd), self.root)
        moved = tuple(_moved(word, self.root, self.code.path) for word in spec.argv)
        cwd = os.path.normpath(os.path.join(self.code.path, inside))
        return replace(spec, cwd=cwd, code=self.code, argv=moved)


def take(ctx: Context, folder: str) -> Copy:
    """Copy the code of a folder; two copies of the same content are one.

    The copy is of what git has of the repository that the folder is in and of what it does not ignore there; outside
    one, of the folder without its caches. Nothing of it can be written.

    Raises:
        ActionFailed: it cannot be read, changed meanwhile, or is too large to be kept.
    """
    root, only = _repository(os.path.realpath(folder))
    (ctx.settings.home / kept.FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, files, place = kept.keep(ctx.settings.home, root, Hasher(), only)
    size = sum(one.size_bytes for one in files)
    return Copy(root, CodeCopy(place, digest.removeprefix("blake3:"), size))


def _repository(cwd: str) -> tuple[str, frozenset[str] | None]:
    program = git.executable(launch_environment())
    head = git.Repository(program, cwd).head() if program else None
    if program is None or head is None:
        return cwd, None
    names = git.Repository(program, head[0]).files()
    return head[0], None if names is None else frozenset(names)


def _moved(word: str, root: str, place: str) -> str:
    """A path into the folder as a path into the copy, where the copy has it; any other word as it is."""
    inside = os.path.relpath(word, root) if os.path.isabs(word) else ".."
    there = os.path.join(place, inside)
    return there if not inside.startswith("..") and os.path.lexists(there) else word
