"""Writing what the user asked for to a file: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mlconsole.errors import ActionFailed


def write_text(path: str, text: str) -> None:
    """Put ``text`` at ``path``; a reader sees the old file or the new one, never a half.

    Raises:
        ActionFailed: it cannot be written; the message says why.
    """
    write_pieces(path, (text,))


def write_pieces(path: str, pieces: Iterable[str]) -> int:
    """Put the pieces at ``path``, one behind the other, as :func:`write_text` does; returns how many they were.

    Raises:
        ActionFailed: it cannot be written; the message says why.
    """
    temporary, count = f"{path}.{os.getpid()}.tmp", 0
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            for piece in pieces:
                file.write(piece)
                count += 1
        os.replace(temporary, path)
    except OSError as error:
        raise ActionFailed(f'Cannot write "{path}": {error.strerror}.') from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return count
