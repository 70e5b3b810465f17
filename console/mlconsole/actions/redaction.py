"""Takes secrets out of what a person gives an action, before it is kept or shown.

As in a run's own record (``recorder/redact.py``), a name, a shape, or the value of a secret variable gives one away:
``--hub "$HF_TOKEN"`` reaches us as the token itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from mlconsole.config import launch_environment
from mlconsole.recorder.redact import redact_argv, redact_mapping, secret_values


def words_without_secrets(words: Sequence[str]) -> list[str]:
    """A command line, or other words, without secrets."""
    return redact_argv(words, _known())


def values_without_secrets(values: Mapping[str, object]) -> dict[str, object]:
    """Values by name without secrets, nested ones included."""
    return redact_mapping(values, _known())


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """The values of this process's secret variables, read once: a command, and a console, keep their environment."""
    return secret_values(launch_environment())
