"""Records code and environment beside the training, in a thread of its own."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection
from typing import Callable, Optional

from mlconsole.recorder import git, machine
from mlconsole.recorder.redact import redact_mapping, redact_text

_JOIN_S = 10.0

Emit = Callable[[str, dict[str, object]], object]


class Capture:
    """Writes the ``environment`` and ``code`` events of a run.

    The ``code`` event comes twice when git is slow with the rest: first with the commit alone, then with all of it.
    The later one replaces the earlier.

    Args:
        directory: the run's folder; the patch goes below it.
        stem: the writer's name, to keep patches of several processes apart.
        secrets: what must not be written.
        emit: writes one event.
    """

    def __init__(self, directory: str, stem: str, secrets: Collection[str], emit: Emit) -> None:
        self._directory = directory
        self._stem = stem
        self._secrets = secrets
        self._emit = emit
        self._environment: dict[str, object] = {}
        self._thread: Optional[threading.Thread] = None

    def start(self) -> None:
        """Begin; returns at once."""
        folders = list(dict.fromkeys([*_script_folder(), os.getcwd()]))
        self._thread = threading.Thread(target=self._work, args=(folders,), name="mlconsole-capture", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait, for a bounded time, until all is written; add what was imported since."""
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        torch = machine.torch()
        if self._environment and torch != self._environment.get("torch"):
            self._emit_environment({**self._environment, "torch": torch})

    def _work(self, folders: list[str]) -> None:
        try:
            self._environment = machine.environment()
            self._emit_environment(self._environment)
            self._code(folders)
        except Exception as error:  # noqa: BLE001  whatever a strange machine answers, the training goes on
            self._emit("note", {"level": "warning", "text": f"capture stopped: {type(error).__name__}"})

    def _emit_environment(self, environment: dict[str, object]) -> None:
        self._emit("environment", {"environment": redact_mapping(environment, self._secrets)})

    def _code(self, folders: list[str]) -> None:
        program = git.executable(os.environ)
        if program is None:
            return
        for folder in folders:
            repository = git.Repository(program, folder)
            head = repository.head()
            if head is not None:
                self._repository(git.Repository(program, head[0]), head[1])
                return

    def _repository(self, repository: git.Repository, commit: Optional[str]) -> None:
        known: dict[str, object] = {"commit": commit, "root": repository.folder}
        self._emit("code", redact_mapping(known, self._secrets))
        remote = repository.remote()
        known.update(repository.status())
        known["remote"] = remote
        if commit is not None and known.get("dirty", True):
            known.update(self._patch(repository.diff()))
        self._emit("code", redact_mapping(known, self._secrets))

    def _patch(self, diff: git.Answer) -> dict[str, object]:
        """Write the patch, without secrets, to the run's folder."""
        if not diff.data:
            return {"diff_path": None, "diff_bytes": 0, "diff_cut": not diff.complete}
        text = diff.data.decode("utf-8", "surrogateescape")
        data = redact_text(text, self._secrets).encode("utf-8", "surrogateescape")
        folder = os.path.join(self._directory, "code")
        os.makedirs(folder, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        for name in ("diff.patch", f"diff-{self._stem}.patch"):
            try:
                fd = os.open(os.path.join(folder, name), flags, 0o666)
            except FileExistsError:
                continue
            with open(fd, "wb") as file:
                file.write(data)
            return {"diff_path": f"code/{name}", "diff_bytes": len(data), "diff_cut": not diff.complete}
        return {"diff_path": None, "diff_bytes": 0, "diff_cut": True}


def _script_folder() -> list[str]:
    """The folder of the program that runs, if it is a file: its code is what the run is made of."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return [os.path.dirname(os.path.abspath(path))] if path else []
