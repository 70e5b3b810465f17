"""Real jobs for tests: specs, programs to run, and waiting for a fact instead of for a time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from mlconsole.plugin_api import Backend, Handle, JobSpec, MlconsoleError, Observation, State

Fact = TypeVar("Fact")

#: A fast interpreter: neither site-packages nor the environment.
PYTHON = (sys.executable, "-I", "-S", "-c")


def until(fact: Callable[[], Fact], within_s: float = 20.0) -> Fact:
    """The first truthy value of ``fact``; an AssertionError when none came in time."""
    deadline = time.monotonic() + within_s
    while True:
        found = fact()
        if found:
            return found
        assert time.monotonic() < deadline, f"not so within {within_s} s; last seen: {found!r}"
        time.sleep(0.005)


class Jobs:
    """Jobs of one test, in folders of their own; whatever it leaves running is ended after it."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.backend, self.folder, self.prefix = backend, folder, os.urandom(6).hex()
        self.handles: list[Handle] = []

    def spec(self, *argv: str, name: str = "", **options: object) -> JobSpec:
        name = name or f"job{len(self.handles)}"
        given = {"cwd": str(self.folder), "directory": str(self.folder / name), **options}
        return JobSpec(run_id=name, name=name, argv=argv, **given)  # type: ignore[arg-type]

    def token(self, name: str) -> str:
        """A token that no other test has used: engines remember them."""
        return f"{self.prefix}-{name}"

    def submit(self, *argv: str, token: str = "", **options: object) -> Handle:
        spec = self.spec(*argv, **options)
        handle = self.backend.submit(spec, token or self.token(spec.run_id))
        self.handles.append(handle)
        return handle

    def python(self, code: str, *arguments: str, **options: object) -> Handle:
        return self.submit(*PYTHON, code, *arguments, **options)

    def look(self, handle: Handle) -> Observation:
        (seen,) = self.backend.observe([handle])
        return seen

    def ended(self, handle: Handle, within_s: float = 20.0) -> Observation:
        return until(lambda: seen if (seen := self.look(handle)).state is State.ENDED else None, within_s)

    def output(self, handle: Handle) -> bytes:
        data = b""
        while chunk := self.backend.logs(handle, "output", len(data)).data:
            data += chunk
        return data

    def said(self, handle: Handle, text: bytes) -> bytes:
        return until(lambda: data if text in (data := self.output(handle)) else None)


@contextmanager
def jobs_of(backend: Backend, folder: Path) -> Iterator[Jobs]:
    """Jobs that are gone when the block is left."""
    jobs = Jobs(backend, folder)
    try:
        yield jobs
    finally:
        for handle in jobs.handles:
            try:
                backend.cancel(handle, 0.0)
                backend.release(handle)
            except MlconsoleError:
                continue
