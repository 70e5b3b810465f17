"""Writing what the user asked for to a file: whole, or not at all."""

from __future__ import annotations

import os

from mlconsole.errors import ActionFailed


def write_text(path: str, text: str) -> None:
    """Put ``text`` at ``path``; a reader sees the old file or the new one, never a half.

    Raises:
        ActionFailed: it cannot be written; the message says why.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise ActionFailed(f'Cannot write "{path}": {error.strerror}.') from error
