"""The state of the source code: commit, branch, remote, changes. Asks git, which may never hang or surprise."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from time import monotonic
from typing import NamedTuple, Optional

from mlconsole.recorder.forking import importing

DEADLINE_S = 5.0
LARGEST_DIFF = 16 << 20
_MOST_UNTRACKED = 1000
_LARGEST_ANSWER = 4 << 20

# What a repository's own settings could make git run on its own: a file monitor, an external diff, a hook.
_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "diff.external=")
_DIFF = ("diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--ignore-submodules=dirty")

_FILES = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
_LARGEST_LIST = 64 << 20


class Answer(NamedTuple):
    """What git wrote, cut at a limit."""

    data: bytes
    complete: bool


def executable(environ: Mapping[str, str]) -> Optional[str]:
    """The path of git by the search path's absolute entries: nothing in the current directory is ever run."""
    for folder in environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, "git")
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


class Repository:
    """A working tree that contains a folder.

    Args:
        git: path of the program.
        folder: any folder in the tree.
    """

    def __init__(self, git: str, folder: str) -> None:
        self._git = git
        self.folder = folder

    def head(self) -> Optional[tuple[str, Optional[str]]]:
        """The tree's root and its commit, if it has one; None outside any repository."""
        lines = self._lines("rev-parse", "--show-toplevel", "HEAD")
        if not lines or not os.path.isabs(lines[0]):
            return None
        commit = lines[1] if len(lines) > 1 and len(lines[1]) in (40, 64) else None
        return lines[0], commit

    def status(self) -> dict[str, object]:
        """Branch, whether tracked files are changed, and the untracked ones; empty when git does not answer."""
        answer = self._ask(_STATUS, _LARGEST_ANSWER)
        if not answer.data:
            return {}
        entries = answer.data.decode("utf-8", "surrogateescape").split("\0")
        heads = [entry[14:] for entry in entries if entry.startswith("# branch.head ")]
        untracked = [entry[2:] for entry in entries if entry.startswith("? ")]
        return {
            "branch": heads[0] if heads and heads[0] != "(detached)" else None,
            "dirty": any(entry[:2] in ("1 ", "2 ", "u ") for entry in entries),
            "untracked": untracked[:_MOST_UNTRACKED],
            "untracked_count": len(untracked),
        }

    def files(self) -> Optional[list[str]]:
        """Paths from the folder of what is tracked, or untracked and not ignored; None when git does not say."""
        answer = self._ask(_FILES, _LARGEST_LIST)
        names = answer.data.decode("utf-8", "surrogateescape").split("\0")
        return [name for name in names if name] if answer.complete and answer.data else None

    def remote(self) -> Optional[str]:
        """The URL of ``origin``, else of the first remote."""
        lines = self._lines("config", "--get-regexp", r"^remote\..*\.url$")
        urls = dict(line.split(" ", 1) for line in lines if " " in line)
        return urls.get("remote.origin.url") or next(iter(urls.values()), None)

    def diff(self) -> Answer:
        """The changes of tracked files since the commit, as a patch that git can apply."""
        return self._ask(_DIFF, LARGEST_DIFF)

    def between(self, before: str, after: str) -> Answer:
        """The changes from one commit to another, as a patch without surrounding lines."""
        return self._ask((*_DIFF[:1], "--unified=0", *_DIFF[3:], before, after, "--"), LARGEST_DIFF)

    def _lines(self, *arguments: str) -> list[str]:
        return self._ask(arguments, _LARGEST_ANSWER).data.decode("utf-8", "surrogateescape").splitlines()

    def _ask(self, arguments: tuple[str, ...], limit: int) -> Answer:
        """Run git in the folder for at most ``DEADLINE_S``; an empty answer when it fails."""
        with importing:
            import subprocess  # 7 ms, in a thread of its own

        argv = [self._git, "-C", self.folder, "--no-pager", *_QUIET, *arguments]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
                cwd="/",
            )
        except OSError:
            return Answer(b"", False)
        assert process.stdout is not None
        with process.stdout as stream:
            data, complete = _read(stream.fileno(), limit, monotonic() + DEADLINE_S)
        try:
            if not complete:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=1)
        except (OSError, subprocess.TimeoutExpired):
            pass
        return Answer(data, complete)


def _environment() -> dict[str, str]:
    """The environment without what would make git run or write something else."""
    dropped = ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_ASKPASS", "GIT_TRACE", "GIT_EDITOR")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _read(fd: int, limit: int, deadline: float) -> tuple[bytes, bool]:
    """Bytes of a pipe up to its end, a limit or a deadline, and whether its end was seen."""
    with importing:
        import select

    chunks: list[bytes] = []
    left = limit
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    while left > 0 and (remaining := deadline - monotonic()) > 0:
        if poll.poll(remaining * 1000):
            chunk = os.read(fd, min(left, 1 << 16))
            if not chunk:
                return b"".join(chunks), True
            chunks.append(chunk)
            left -= len(chunk)
    return b"".join(chunks), False
