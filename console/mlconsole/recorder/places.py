"""Where runs live on disk, and their ids."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlconsole.recorder.forking import importing

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_LENGTH = 12


def home(environ: Mapping[str, str] | None = None) -> str:
    """The catalog's directory: ``MLCONSOLE_HOME``, else the settings file's, else the user's data directory."""
    env = os.environ if environ is None else environ
    data = env.get("XDG_DATA_HOME") or "~/.local/share"
    chosen = env.get("MLCONSOLE_HOME") or _home_of_settings(env) or os.path.join(data, "mlconsole")
    return os.path.abspath(os.path.expanduser(chosen))


def _home_of_settings(env: Mapping[str, str]) -> str:
    """The settings file's ``home``; empty where it says none that can be read: a training is never stopped by it."""
    folder = env.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    try:
        with open(env.get("MLCONSOLE_CONFIG") or os.path.join(folder, "mlconsole", "config.toml"), "rb") as file:
            text = file.read().decode("utf-8")
    except (OSError, ValueError):
        return ""
    try:
        with importing:
            from tomllib import loads  # 4 ms, where there is a settings file; from Python 3.11 on
    except ImportError:
        return home_in(text)
    try:
        found = loads(text).get("home", "")
    except (ValueError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def home_in(text: str) -> str:
    """The ``home`` of a settings file for a Python that cannot read TOML: a string on a line of its own, or empty.

    Escapes are JSON's, which TOML's basic strings share but for ``\\U`` and ``\\e`` (TOML 1.0, "String").
    """
    with importing:
        import json
        import re

    top = re.split(r"(?m)^[ \t]*\[", text, maxsplit=1)[0]
    found = re.search(
        r"""(?m)^[ \t]*(?:home|"home"|'home')[ \t]*=[ \t]*("(?:[^"\\\n]|\\.)+"|'[^'\n]+')[ \t]*(?:#.*)?\r?$""", top
    )
    if found is None:
        return ""
    literal = found.group(1)
    try:
        return literal[1:-1] if literal[0] == "'" else str(json.loads(literal))
    except ValueError:
        return ""


def run_directory(home_directory: str, run_id: str) -> str:
    """The folder of one run."""
    return os.path.join(home_directory, "runs", run_id)


def live_directory(home_directory: str) -> str:
    """The folder of markers that tell which logs are being written."""
    return os.path.join(home_directory, "live")


def new_id() -> str:
    """A random run id."""
    return _id_of(os.urandom(ID_LENGTH))


def is_id(text: str) -> bool:
    """Whether a text has the form of a run id."""
    return len(text) == ID_LENGTH and all(character in ID_ALPHABET for character in text)


def derived_id(*parts: str) -> str:
    """The run id that belongs to some words: the same words give the same id in every process."""
    with importing:
        import hashlib  # 2 ms, for processes that must agree only

    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return _id_of(hashlib.sha256(text).digest())


def as_id(text: str) -> str:
    """A run id for what someone gave as one: itself where it has the form, else the id derived from it.

    The result is safe as a file name whatever the text was.
    """
    return text if is_id(text) else derived_id("run", text)


def _id_of(data: bytes) -> str:
    return "".join(ID_ALPHABET[byte & 31] for byte in data[:ID_LENGTH])
