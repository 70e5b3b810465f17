"""A run as the training that makes it sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Callable, Optional, SupportsFloat, Union

from mlconsole.recorder import artifacts
from mlconsole.recorder.capture import Capture
from mlconsole.recorder.failure import FAILED, OUTCOMES, SUCCEEDED, Ending, bounded, ending_of
from mlconsole.recorder.losses import reason_of, say
from mlconsole.recorder.redact import argv_secrets, redact_mapping, redact_text, secret_values
from mlconsole.recorder.values import Cleaner, as_mapping, as_tags, as_text
from mlconsole.recorder.writer import Writer

_MOST_NAMED = 1000
"""The files of a folder are named one by one up to so many, so that each can be traced."""

Path = Union[str, "os.PathLike[str]"]
Tags = Union[str, Mapping[str, object], Iterable[str]]


class Run:
    """One run that is being recorded. Made by :func:`mlconsole.start_run`.

    It is a context manager: leaving the ``with`` block ends the run, as failed if an exception leaves it. Without
    ``with`` the run ends with the program. No method raises: what could not be recorded is counted and told on
    stderr.

    Attributes:
        id: the run's id in the catalog.
        name: the name it was given, else its id.
        directory: the run's folder.
    """

    def __init__(
        self, run_id: str, name: Optional[str], directory: str, writer: Writer, left: Callable[[Run], None]
    ) -> None:
        self.id = run_id
        self.name = name or run_id
        self.directory = directory
        self.parent: Optional[str] = None
        self.is_block = False
        self._writer = writer
        self._left = left
        self._capture: Optional[Capture] = None
        self._secrets = secret_values(os.environ) | argv_secrets(sys.argv)

    def __enter__(self) -> Run:
        self.is_block = True
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.finish(ending_of(error))

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.name!r}>"

    def log(self, metrics: Mapping[str, SupportsFloat], step: Optional[int] = None) -> None:
        """Record metrics at a step.

        When it returns, the values are in the kernel: killing the process does not lose them.

        Args:
            metrics: numbers by name; anything with ``__float__`` counts, NaN and infinities are kept, nested
                mappings give names joined by ``/``.
            step: the step; without one, a counter of this process that starts at 0 and that explicit steps do
                not move.
        """
        self._writer.log(metrics, step)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters; later values replace earlier ones of the same name.

        Args:
            params: values by name, nested if you like, or an object with attributes such as a parsed command
                line. Scalars, lists and dicts keep their form, anything else is recorded as its text.
        """
        try:
            self._event("params", {"params": as_mapping(params)})
        except Exception as error:  # noqa: BLE001  whatever was passed, the training goes on
            self._lose("params", error)

    def set_tags(self, tags: Tags, remove: Iterable[str] = ()) -> None:
        """Set tags, and remove some.

        Args:
            tags: values by tag, or names alone.
            remove: names of tags to take away.
        """
        try:
            self._event("tags", {"set": as_tags(tags), "remove": [as_text(tag) for tag in remove]})
        except Exception as error:  # noqa: BLE001  whatever was passed, the training goes on
            self._lose("tags", error)

    def log_artifact(
        self,
        path: Path,
        name: Optional[str] = None,
        *,
        copy: bool = True,
        metadata: Optional[Mapping[str, object]] = None,
    ) -> None:
        """Keep a file or a folder with the run.

        Args:
            path: the file or folder.
            name: its name in the run, by default its own; may hold ``/``, never leads out of the run's folder.
            copy: copy the bytes, which takes as long as it takes; ``False`` records path, size and digest only.
            metadata: anything worth keeping beside it.
        """
        self._keep("artifact", path, name, copy, metadata)

    def log_model(
        self,
        path: Path,
        name: Optional[str] = None,
        *,
        copy: bool = True,
        metadata: Optional[Mapping[str, object]] = None,
    ) -> None:
        """Keep a saved model with the run; its file is copied as it is and never loaded. See :meth:`log_artifact`."""
        self._keep("model", path, name, copy, metadata)

    def log_dataset(
        self,
        path_or_name: Path,
        name: Optional[str] = None,
        *,
        digest: str = "",
        metadata: Optional[Mapping[str, object]] = None,
    ) -> None:
        """Record which data the run used.

        Args:
            path_or_name: a file or folder, which is measured and not copied, or just a name.
            name: what to call it, by default the last part of the path.
            digest: the version of the data if you know it; otherwise computed, cheaply for large data.
            metadata: anything worth keeping beside it.
        """
        try:
            path = os.path.expanduser(os.fspath(path_or_name))
            found = None
            if os.path.exists(path):
                found = artifacts.Stored(os.path.abspath(path), 0, digest) if digest else artifacts.describe(path)
            called = name or (os.path.basename(os.path.abspath(path)) if found else path)
            size = found.size if found and not digest else None
            self._describe(
                "dataset",
                called,
                found.path if found else "",
                size,
                digest or (found.digest if found else ""),
                metadata,
                found.files if found else (),
            )
        except Exception as error:  # noqa: BLE001  whatever was passed, the training goes on
            self._lose("dataset", error)

    def use_model(
        self,
        path_or_name: Path,
        name: Optional[str] = None,
        *,
        digest: str = "",
        metadata: Optional[Mapping[str, object]] = None,
    ) -> None:
        """Record which model the run begins from, as a fine-tuning does: what that learned from is in its past, too.

        Args:
            path_or_name: a saved model, every byte of which is read once, or a registered one as ``NAME@VERSION``.
            name: what to call it, by default the last part of the path.
            digest: the digest of its bytes if you know it, as ``sha256:...``; spares reading it.
            metadata: anything worth keeping beside it.
        """
        try:
            path = os.path.expanduser(os.fspath(path_or_name))
            if digest or not os.path.exists(path):
                found = artifacts.Stored(os.path.abspath(path) if os.path.exists(path) else "", None, digest)
            else:
                found = artifacts.measure(path)
            called = name or (os.path.basename(found.path) if found.path else path)
            self._describe("used_model", called, found.path, found.size, found.digest, metadata, found.files)
        except Exception as error:  # noqa: BLE001  whatever was passed, the training goes on
            self._lose("used_model", error)

    def end(self, outcome: str = SUCCEEDED, exit_code: Optional[int] = None) -> None:
        """End the run; does nothing if it has ended.

        Args:
            outcome: ``succeeded``, ``failed`` or ``cancelled``.
            exit_code: the program's exit code, if it is known.
        """
        if outcome not in OUTCOMES:
            self.note("warning", f"unknown outcome {as_text(outcome)!r} recorded as failed")
            outcome = FAILED
        self.finish(Ending(outcome, exit_code))

    def finish(self, ending: Optional[Ending]) -> None:
        """End the run in a known way, or leave its end unknown. A forked child leaves it: it is its parent's to end."""
        try:
            self._finish(ending)
        except Exception as error:  # noqa: BLE001  the end of a run is no reason to change the end of a program
            say(f"run {self.id} could not be ended: {reason_of(error)}")
        self._left(self)

    def begin(self, capture: bool, events: list[dict[str, object]]) -> None:
        """Open the log with the run's first events, and start to capture code and environment."""
        self._writer.begin([self._redacted(event) for event in events])
        if not capture:
            return
        self._capture = Capture(self.directory, str(os.getpid()), self._secrets, self._writer.event)
        try:
            self._capture.start()
        except (OSError, RuntimeError) as error:
            self.note("warning", f"code and environment are not captured: {reason_of(error)}")

    def note(self, level: str, text: str) -> None:
        """Leave a remark in the run's record."""
        self._writer.note(level, redact_text(text, self._secrets))

    @property
    def is_child(self) -> bool:
        """Whether this process was forked from the one that started the run."""
        return self._writer.is_child

    def _finish(self, ending: Optional[Ending]) -> None:
        writer = self._writer
        if writer.closed:
            return
        if not writer.is_child:
            if self._capture is not None:
                self._capture.finish()
            self._tell(ending)
        writer.close()
        summary = writer.losses.summary(writer.written)
        if summary:
            say(f"run {self.id}: {summary}")

    def _tell(self, ending: Optional[Ending]) -> None:
        if ending is None:
            self.note("warning", "the program left by SystemExit, and its exit code is not known")
            return
        secrets = self._secrets | secret_values(os.environ)
        self._writer.end({**ending._asdict(), "traceback": bounded(redact_text(ending.traceback, secrets))})

    def _event(self, kind: str, content: Mapping[str, object]) -> None:
        self._writer.event(kind, self._redacted(content))

    def _redacted(self, content: Mapping[str, object]) -> dict[str, object]:
        return redact_mapping(content, self._secrets)

    def _keep(
        self, kind: str, path: Path, name: Optional[str], copy: bool, metadata: Optional[Mapping[str, object]]
    ) -> None:
        try:
            source = os.path.expanduser(os.fspath(path))
            called = name or os.path.basename(os.path.abspath(source))
            if copy:
                stored = artifacts.store(source, os.path.join(self.directory, "artifacts"), called)
                called = stored.path
            else:
                stored = artifacts.describe(source)
            self._describe(kind, called, stored.path, stored.size, stored.digest, metadata, stored.files)
        except Exception as error:  # noqa: BLE001  whatever was passed, the training goes on
            self._lose(kind, error)

    def _describe(
        self,
        kind: str,
        name: str,
        path: str,
        size: Optional[int],
        digest: str,
        metadata: Optional[Mapping[str, object]],
        files: tuple[tuple[str, str], ...] = (),
    ) -> None:
        more = Cleaner().clean(dict(metadata or {}))
        content = {"name": name, "path": path, "size": size, "digest": digest, "metadata": more}
        if 0 < len(files) <= _MOST_NAMED:
            content["files"] = [list(one) for one in files]
        self._event(kind, content)

    def _lose(self, kind: str, error: BaseException) -> None:
        reason = redact_text(f"{kind}: {reason_of(error)}", self._secrets)
        if self._writer.losses.add(1, kind, reason):
            self.note("warning", reason)
