"""Real jobs for the promises that a backend is held to: specs, programs to run, and waiting for a fact, not a time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mlconsole.plugin_api import Backend, BackendUnreachable, Handle, JobSpec, MlconsoleError, Observation, State

Fact = TypeVar("Fact")

#: A fast interpreter: neither site-packages nor the environment.
PYTHON = (sys.executable, "-I", "-S", "-c")
SLEEP = "print('up', flush=True); import time; time.sleep(60)"


class Broken(AssertionError):
    """A backend did not do what it promises."""


class NotHere(Exception):
    """The backend has not declared what the promise is about."""


def until(fact: Callable[[], Fact | None], within_s: float = 20.0) -> Fact:
    """The first truthy value of ``fact``.

    Raises:
        Broken: none came in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = fact()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise Broken(f"not so within {within_s} s; last seen: {found!r}")
        time.sleep(0.005)


def same(seen: object, wanted: object, what: str) -> None:
    """See that two values are equal."""
    if seen != wanted:
        raise Broken(f"{what}: {seen!r}, and not {wanted!r}")


def holds(fact: object, what: str) -> None:
    """See that something is so."""
    if not fact:
        raise Broken(what)


def refused(kind: type[MlconsoleError], call: Callable[[], object], words: str = "", what: str = "") -> None:
    """See that a call is refused with an error of that class whose text has the words in it; ``what`` was asked."""
    try:
        found = call()
    except kind as error:
        holds(words in str(error), f'the refusal does not name "{words}": {error}')
        return
    raise Broken(f"{what or 'it'} was not refused with {kind.__name__}, but answered: {found!r}")


class Jobs:
    """Jobs of one promise, in folders of their own; whatever it leaves running is ended after it."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.backend, self.folder, self.prefix = backend, folder, os.urandom(6).hex()
        self.handles: list[Handle] = []

    def spec(self, *argv: str, name: str = "", **options: Any) -> JobSpec:
        """A job in the folder of this promise."""
        name = name or f"job{len(self.handles)}"
        given = {"cwd": str(self.folder), "directory": str(self.folder / name), **options}
        return JobSpec(run_id=name, name=name, argv=argv, **given)

    def token(self, name: str) -> str:
        """A token that nobody else has used: engines remember them."""
        return f"{self.prefix}-{name}"

    def submit(self, *argv: str, token: str = "", **options: Any) -> Handle:
        """Submit a job; when the reply is lost its handle is asked for, as the console does."""
        spec = self.spec(*argv, **options)
        handle = self.handed_over(spec, token or self.token(spec.run_id))
        self.handles.append(handle)
        return handle

    def handed_over(self, spec: JobSpec, token: str) -> Handle:
        """Submit under a token, and settle a lost reply by it: ask, and submit again only where there is none."""

        def attempt() -> Handle | None:
            try:
                return self.backend.submit(spec, token)
            except BackendUnreachable:
                return self.find(token, spec.directory)

        return until(attempt)

    def find(self, token: str, directory: str) -> Handle | None:
        """What ``find`` says once there is an answer."""
        answers: list[Handle | None] = []

        def answered() -> bool:
            try:
                answers.append(self.backend.find(token, directory))
            except BackendUnreachable:
                return False
            return True

        until(answered)
        return answers[-1]

    def python(self, code: str, *arguments: str, **options: Any) -> Handle:
        """Submit a Python program."""
        return self.submit(*PYTHON, code, *arguments, **options)

    def look(self, handle: Handle) -> Observation:
        """What one look shows, once it is answered."""

        def answered() -> Observation | None:
            try:
                (seen,) = self.backend.observe([handle])
            except BackendUnreachable:
                return None
            return seen if seen.reachable and seen.token == handle.token else None

        return until(answered)

    def ended(self, handle: Handle, within_s: float = 60.0) -> Observation:
        """How a job ended.

        Raises:
            Broken: it has not ended in time; the text says what it was last seen doing.
        """
        deadline = time.monotonic() + within_s
        while (seen := self.look(handle)).state is not State.ENDED:
            if time.monotonic() >= deadline:
                words = f"{seen.state.value}{f', {seen.reason}' if seen.reason else ''}"
                raise Broken(f'job "{handle.token}" has not ended within {within_s:g} s: it was last seen {words}')
            time.sleep(0.005)
        return seen

    def output(self, handle: Handle) -> bytes:
        """Everything that a job has written."""
        data = b""
        while chunk := self.backend.logs(handle, "output", len(data)).data:
            data += chunk
        return data

    def said(self, handle: Handle, text: bytes) -> bytes:
        """Wait until a job has written this."""
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
