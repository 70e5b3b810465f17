"""A run's code as it was: its commit, and on top of it the changes that were recorded, in a folder of their own."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from datetime import datetime
from pathlib import Path

from mlconsole.config import launch_environment
from mlconsole.domain.reproduce import Obstacle
from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.run_diff import Axis, Difference
from mlconsole.recorder import git
from mlconsole.recorder.redact import REDACTED
from mlconsole.records import record

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
DEADLINE_S = 600
QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")


@record
class Checkout:
    """Where the code was, where it is now, what is read from the old place all the same, and what is not as it was."""

    root: str
    folder: Path
    cwd: str
    left: frozenset[str]
    notes: tuple[str, ...]

    def moved(self, text: str) -> str:
        """A path of the old place as it is now; any other text as it is."""
        head, equals, path = text.rpartition("=")
        if path in self.left or not (path == self.root or path.startswith(f"{self.root}/")):
            return text
        return f"{head}{equals}{self.folder}{path[len(self.root) :]}"

    def back(self, text: str) -> str:
        """The other way round, wherever it stands in the text."""
        return text.replace(str(self.folder), self.root)


def check_out(details: RunDetails, patch: str, folder: Path, repository: str | None) -> Checkout:
    """Bring a run's code back.

    Args:
        details: the run.
        patch: its changes beyond the commit.
        folder: where to; made here.
        repository: where the commit is, instead of where the run was.

    Raises:
        Obstacle: the code was not recorded, or the commit is not there any more, or the changes do not apply.
    """
    code = details.code
    commit, root = str(code.get("commit") or ""), str(code.get("root") or "")
    if not COMMIT.fullmatch(commit) or not os.path.isabs(root):
        raise _obstacle("commit", commit or "not recorded", "none")
    program = git.executable(launch_environment())
    if program is None:
        raise _obstacle("commit", commit[:12], "git is not installed")
    if code.get("dirty") and (code.get("diff_cut") or not patch):
        raise _obstacle("uncommitted changes", f"{code.get('diff_bytes')} bytes", "not kept as a whole")
    _check_untracked(details, root)
    source = os.path.abspath(repository or root)
    _git(program, "clone", "--quiet", "--shared", "--no-checkout", "--", source, str(folder), what=commit)
    _git(program, "-C", str(folder), "checkout", "--quiet", "--detach", commit, what=commit)
    if patch:
        data = patch.encode("utf-8", "surrogateescape")
        _git(program, "-C", str(folder), "apply", "--whitespace=nowarn", "-", what="uncommitted changes", data=data)
    inner = os.path.relpath(details.run.cwd, root) if details.run.cwd else "."
    is_inside = not inner.startswith("..")
    notes = _notes(details, patch, folder, is_inside)
    if is_inside and not (folder / inner).exists():
        notes += (_made_anew(folder, inner),)
    left = _left(details, root, folder)
    if left:
        notes += (f"read from where it was, for git does not keep it: {', '.join(sorted(left))}",)
    return Checkout(root, folder, str(folder / inner) if is_inside else details.run.cwd, left, notes)


def _left(details: RunDetails, root: str, folder: Path) -> frozenset[str]:
    """What the command reads below the root that is not in the checkout: recorded data, and files from before the run.

    What is younger than the run's beginning it may have written, and shall not write over.
    """
    recorded = {one.path for one in details.artifacts if one.kind in ("dataset", "used_model")}
    paths = {word.rpartition("=")[2] for word in details.run.command[1:]}
    missing = {
        path for path in paths if path.startswith(f"{root}/") and not os.path.lexists(f"{folder}{path[len(root) :]}")
    }
    return frozenset(path for path in missing if path in recorded or _is_older(path, details.run.started_at))


def _is_older(path: str, moment: datetime | None) -> bool:
    try:
        there = os.lstat(path)
    except OSError:
        return False
    return moment is not None and stat.S_ISREG(there.st_mode) and there.st_mtime < moment.timestamp()


def _check_untracked(details: RunDetails, root: str) -> None:
    """Refuse a run whose own program was never given to git."""
    untracked = details.code.get("untracked")
    names = {str(name) for name in untracked} if isinstance(untracked, list) else set()
    for word in details.run.command:
        path = os.path.relpath(os.path.join(details.run.cwd or root, word), root)
        if path in names:
            raise _obstacle(path, "not in git", "not kept")


def _made_anew(folder: Path, inner: str) -> str:
    """A folder that the run was in and git does not keep: what it writes goes there."""
    place = (folder / inner).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise _obstacle(inner, "the folder that it ran in", "leads out of the checkout")
    place.mkdir(parents=True)
    return f'it ran in "{inner}", which git does not keep: that folder is empty now'


def _notes(details: RunDetails, patch: str, folder: Path, is_inside: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if count := details.code.get("untracked_count"):
        notes.append(f"{count} files that were not in git were not kept")
    if REDACTED in patch:
        notes.append("a secret was taken out of the recorded changes: those lines are not what they were")
    if (folder / ".gitmodules").exists():
        notes.append("submodules are not checked out")
    if not is_inside:
        notes.append(f"it ran in {details.run.cwd}, outside its code, and does so again")
    return tuple(notes)


def _git(program: str, *arguments: str, what: str, data: bytes = b"") -> None:
    environment = {**launch_environment(), "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program, *QUIET, *arguments], input=data, capture_output=True, timeout=DEADLINE_S, env=environment, cwd="/"
        )
    except subprocess.TimeoutExpired:
        raise _obstacle(what, "recorded", "git took too long") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _obstacle(what, "recorded", said[0] if said else "git failed")


def _obstacle(key: str, before: str, after: str) -> Obstacle:
    return Obstacle(Difference(Axis.CODE, key, before, after))
