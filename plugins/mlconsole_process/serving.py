"""How a release is served: its command, its health answer, and the deadlines."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mlconsole.plugin_api import UsageError

FILE = "serve.json"
MOST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Serving:
    """What is started for a release.

    Attributes:
        command: the program and its arguments; ``{port}`` and ``{release}`` stand for the loopback port that it shall
            listen on and the release's folder.
        health: the path that answers 2xx once it serves.
        start_s: how long it may take until then.
        drain_s: how long requests that are under way may take when another release takes its place.
        grace_s: between SIGTERM and SIGKILL.
    """

    command: tuple[str, ...]
    health: str = "/"
    start_s: float = 60.0
    drain_s: float = 30.0
    grace_s: float = 10.0

    def argv(self, port: int, release: str) -> tuple[str, ...]:
        """The command with its places filled in."""
        return tuple(word.replace("{port}", str(port)).replace("{release}", release) for word in self.command)


def serving_of(settings: Mapping[str, str], release: str) -> Serving:
    """What the release says of itself in ``serve.json`` of a member, and where it says nothing, the settings.

    Args:
        settings: ``command`` as words or a JSON list, ``health``, ``start_s``, ``drain_s``, ``grace_s``.
        release: the folder that the release is laid out in.

    Raises:
        UsageError: there is no command, or something is not what it should be.
    """
    said: dict[str, object] = {**settings, **_own(release)}
    try:
        command = _words(said.get("command", ""))
        seconds = {name: float(str(said[name])) for name in ("start_s", "drain_s", "grace_s") if name in said}
        health = str(said.get("health", "/"))
        if any(not 0 <= each < 86_400 for each in seconds.values()) or not health.startswith("/"):
            raise ValueError("a deadline is no number of seconds, or the health path does not begin with /")
    except ValueError as error:
        raise UsageError(
            f"The serving settings are wrong: {error}.", f"Mend {FILE}, or the target's settings."
        ) from None
    if not command:
        raise UsageError(
            "The release does not say how it is served.",
            f'Put {FILE} with {{"command": ["python", "serve.py", "{{port}}"]}} into its code or config.',
        )
    return Serving(command, health, **seconds)


def _own(release: str) -> dict[str, object]:
    for member in ("config", "code", "model"):
        path = os.path.join(release, member, FILE)
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                found = json.loads(file.read(MOST_BYTES))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UsageError(f'"{member}/{FILE}" of the release cannot be read: {error}.') from None
        if isinstance(found, dict):
            return found
        raise UsageError(f'"{member}/{FILE}" of the release is not a JSON object.')
    return {}


def _words(command: object) -> tuple[str, ...]:
    if isinstance(command, str):
        if not command.lstrip().startswith("["):
            return tuple(shlex.split(command))
        command = json.loads(command)
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise ValueError("the command is no list of words")
    return tuple(command)
