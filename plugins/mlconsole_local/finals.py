"""What has become of a job's teardown commands, and beginning again what is stuck."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlconsole.plugin_api import ActionFailed, Finaliser, FinaliserState
from mlconsole_local import finaliser, shim
from mlconsole_local.records import JobFolder, Record

if TYPE_CHECKING:
    from mlconsole_local.sight import Sight

LOST = "its records went with the run's folder: whether it was run is not known"


def of(sight: Sight, folder: JobFolder, start: Record, has_ended: bool, count: int) -> tuple[Finaliser, ...]:
    """The state of each of a job's teardown commands."""
    if not has_ended:
        return tuple(Finaliser(number, FinaliserState.WAITING) for number in range(count))
    if not os.path.isdir(folder.path):
        return tuple(Finaliser(number, FinaliserState.STUCK, 0, LOST) for number in range(count))
    tries: dict[int, int] = dict(shim.final_tries(folder.path))
    is_kept = _is_kept(sight, folder, start)
    return tuple(_one(sight, folder, number, tries.get(number, 0), is_kept) for number in range(count))


def _is_kept(sight: Sight, folder: JobFolder, start: Record) -> bool:
    """Whether some process still works on them: the finaliser, or the supervisor that would start another one."""
    guard = folder.read("finaliser")
    return sight.is_alive(start["shim"], start) or bool(guard and sight.is_alive(guard["finaliser"], guard))


def _one(sight: Sight, folder: JobFolder, number: int, attempt: int, is_kept: bool) -> Finaliser:
    last = _read(folder, number, attempt, "exit") if attempt else {"not_run": True}
    if last is None:
        begun = _read(folder, number, attempt, "start")
        goes_on = is_kept or bool(begun and sight.is_alive(begun["child"], begun))
        state = FinaliserState.RUNNING if goes_on else FinaliserState.STUCK
        words = "it runs" if goes_on else "it was begun, and nobody saw how it ended"
    elif last.get("exit_code") == 0:
        state, words = FinaliserState.DONE, "done"
    elif last.get("not_run"):
        state = FinaliserState.RUNNING if is_kept else FinaliserState.STUCK
        words = "about to begin" if is_kept else "it was not run: its supervisor and its finaliser are gone"
    else:
        state = FinaliserState.FAILING if is_kept else FinaliserState.STUCK
        words = f"exit code {last['exit_code']}" + ("; it is tried again" if is_kept else "; nobody tries it again")
    return Finaliser(number, state, attempt, words)


def _read(folder: JobFolder, number: int, attempt: int, what: str) -> Record | None:
    return folder.read(shim.final_name(number, attempt, what).removesuffix(".json"))


def begin_again(
    folder: JobFolder, token: str, commands: Sequence[Sequence[str]], cwd: str, env: Mapping[str, str]
) -> None:
    """Start a finaliser that also tries again what nobody saw the end of.

    Raises:
        ActionFailed: it could not be started.
    """
    job = {"token": token, "cwd": cwd, "env": dict(env), "again": True}
    line = json.dumps({**job, "teardown": [list(argv) for argv in commands]}).encode("ascii") + b"\n"
    source = os.memfd_create("teardown")
    try:
        os.makedirs(folder.path, exist_ok=True)  # Somebody may have deleted it with the run's folder.
        os.write(source, line)
        os.lseek(source, 0, os.SEEK_SET)
        null = (os.devnull, os.O_WRONLY, 0)
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", finaliser.__file__, folder.path],
            {**os.environ, shim.MARK: token + shim.FINAL_MARK},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, source, 0),
                (os.POSIX_SPAWN_OPEN, 1, *null),
                (os.POSIX_SPAWN_OPEN, 2, *null),
            ],
            setsid=True,
            setsigmask=[],
        )
    except OSError as error:
        raise ActionFailed(f"The teardown could not be begun again: {error.strerror}.") from error
    finally:
        os.close(source)
