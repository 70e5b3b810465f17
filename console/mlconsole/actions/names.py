"""New ids, and the pairs and tags that people type."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mlconsole.domain.runs import ID_ALPHABET, ID_LENGTH
from mlconsole.errors import UsageError


def new_run_id() -> str:
    """A random id: 12 characters of base 32, 60 bits."""
    return "".join(ID_ALPHABET[byte & 31] for byte in os.urandom(ID_LENGTH))


def parse_pairs(pairs: Iterable[str], flag: str) -> dict[str, str]:
    """The mapping of ``KEY=VALUE`` texts; the value may hold further ``=``.

    Raises:
        UsageError: a text has no ``=`` or no key.
    """
    out: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f'"{pair}" is not KEY=VALUE.', f"Write {flag} KEY=VALUE.")
        out[key] = value
    return out


def parse_tags(tags: Iterable[str]) -> dict[str, str]:
    """Tags as typed, but for secrets: ``debug`` has an empty value, ``team=nlp`` has one."""
    out: dict[str, str] = {}
    for tag in tags:
        key, _, value = tag.partition("=")
        if not key:
            raise UsageError(f'"{tag}" is not a tag.', "Write NAME or KEY=VALUE.")
        out[key] = value
    if not out:
        return out
    from mlconsole.actions.redaction import values_without_secrets  # 3 ms, where there are tags

    return {key: str(value) for key, value in values_without_secrets(out).items()}
