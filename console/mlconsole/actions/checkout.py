"""The files of a commit, taken out of a repository on this machine; git may never hang or surprise."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile

from mlconsole.config import launch_environment
from mlconsole.errors import ActionFailed
from mlconsole.recorder.git import executable

DEADLINE_S = 120.0
# What a repository's own settings could make git run on its own: a file monitor, a hook, an external diff.
QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "diff.external=")


def commit_of(folder: str, word: str) -> str:
    """The whole id of a commit of the repository that a folder lies in.

    Raises:
        ActionFailed: there is no git, no repository, or no such commit.
    """
    done = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{word}^{{commit}}")
    return done.decode("ascii", "replace").strip()


def take_out(folder: str, commit: str, into: str, patch: str = "") -> None:
    """Put the files of a commit into an empty folder, then the changes that a patch makes to them.

    Raises:
        ActionFailed: it cannot be done.
    """
    data = _git(folder, "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(into, filter="data")
    if patch:
        _git(
            into, "apply", "--whitespace=nowarn", os.path.abspath(patch), GIT_CEILING_DIRECTORIES=os.path.dirname(into)
        )


def _git(folder: str, *words: str, **added: str) -> bytes:
    env = {**launch_environment(), "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", **added}
    program = executable(env)
    if program is None:
        raise ActionFailed("There is no git on this machine.", "Name the code's folder: --code PATH")
    try:
        done = subprocess.run(
            [program, *QUIET, "-C", folder, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ActionFailed(f'git {words[0]} failed in "{folder}": {error}.') from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ActionFailed(f'git {words[0]} failed in "{folder}": {said[-1] if said else "no such commit"}.')
    return done.stdout
