"""A launch from a copy of the code: later edits in the folder change nothing of a run that waits or is tried again."""

from __future__ import annotations

import os

from mlconsole.actions.context import Context
from mlconsole.config import launch_environment
from mlconsole.content import kept
from mlconsole.content.hashing import Hasher
from mlconsole.domain.jobs import CodeCopy, JobSpec
from mlconsole.domain.plans import Step
from mlconsole.errors import BackendUnreachable
from mlconsole.plugin_api import Backend, Carries
from mlconsole.recorder import git
from mlconsole.records import record, replace
from mlconsole.render.numbers import counted, size


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


def plan(ctx: Context, spec: JobSpec, backend: Backend) -> list[Step]:
    """What a launch from a copy would copy and send, with its size; nothing is changed."""
    root, only = _repository(os.path.realpath(spec.cwd))
    digest, files = kept.read(root, Hasher(), only)
    total = sum(one.size_bytes for one in files)
    kept.check_size(root, total)
    what = f"copy the code: {_sized(len(files), total)}, without what git ignores"
    steps = [Step(what if only is not None else what.partition(", without")[0], root)]
    if isinstance(backend, Carries):
        code = CodeCopy(root, digest.removeprefix("blake3:"), total)
        steps += _carried(replace(spec, code=code), backend, [one.path for one in files], _sized(len(files), total))
    return steps


def _carried(spec: JobSpec, backend: Carries, names: list[str], whole: str) -> list[Step]:
    try:
        found = backend.carriage(spec, names)
    except BackendUnreachable as error:
        return [Step(f"send of it what is not there; how much cannot be told now, {whole} at most", error.message)]
    if found is None:
        return []
    if not found.files:
        return [Step("send nothing of it: all of it is there", found.where)]
    return [Step(f"send {_sized(found.files, found.size_bytes)} of it; the rest is there", found.where)]


def _sized(files: int, size_bytes: int) -> str:
    return f"{counted(files, 'file')}, {size(size_bytes)}"


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
    total = sum(one.size_bytes for one in files)
    return Copy(root, CodeCopy(place, digest.removeprefix("blake3:"), total))


def _repository(cwd: str) -> tuple[str, frozenset[str] | None]:
    program = git.executable(launch_environment())
    head = git.Repository(program, cwd).head() if program else None
    if program is None or head is None:
        return cwd, None
    names = _files(program, head[0])
    return head[0], None if names is None else frozenset(names)


def _files(program: str, root: str) -> list[str] | None:
    """What git has of a repository and does not ignore, with that of its submodules and of other ones in it."""
    names = git.Repository(program, root).files()
    if names is None:
        return None
    found = []
    for name in names:
        inside = os.path.join(root, name)
        if os.path.islink(inside) or not os.path.isdir(inside):
            found.append(name)
        elif os.path.lexists(os.path.join(inside, ".git")):
            found += [os.path.join(name, one) for one in _files(program, inside) or ()]
    return found


def _moved(word: str, root: str, place: str) -> str:
    """A path into the folder as a path into the copy, where the copy has it; any other word as it is."""
    inside = os.path.relpath(word, root) if os.path.isabs(word) else ".."
    there = os.path.join(place, inside)
    return there if not inside.startswith("..") and os.path.lexists(there) else word
