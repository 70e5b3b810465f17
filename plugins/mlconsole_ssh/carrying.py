"""Folders that are sent to a host: a copy of the code by what is missing there, the recorder as a whole."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence

from mlconsole.plugin_api import ActionFailed, Carriage, CodeCopy
from mlconsole_local import copies
from mlconsole_ssh.link import Link

SEND_S = 600.0
ASK_S = 60.0


def carry(link: Link, source: str, target: str) -> None:
    """A folder from here to there, unless it is there: it is named by its content."""
    if link.call({"verb": "has", "path": target})[0]["has"]:
        return
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(source, ".")
    link.call({"verb": "put", "path": target}, buffer.getvalue(), SEND_S)


def lacking(link: Link, folder: str, code: CodeCopy, names: Sequence[str]) -> Carriage:
    """What of a copy of the code a host lacks."""
    entries = copies.entries_of(code.path, names)
    return Carriage(link.host, *copies.size_of(entries, _lacks(link, folder, code, entries)))


def lay(link: Link, folder: str, code: CodeCopy) -> str:
    """A copy of the code there; only files that no earlier copy there has are sent. Returns where it lies.

    Raises:
        ActionFailed: the copy here is not what it was.
    """
    target = f"{folder}/{code.digest}"
    if link.call({"verb": "has", "path": target})[0]["has"]:
        return target
    entries = copies.entries_of(code.path)
    request = {"verb": "lay", "folder": folder, "digest": code.digest, "entries": entries}
    lacks = _lacks(link, folder, code, entries)
    for _ in range(2):  # Once more with what was taken for there, and was not what its digest says.
        buffer = io.BytesIO()
        copies.archive(code.path, entries, lacks, buffer)
        reply, _ = link.call(request, buffer.getvalue(), SEND_S)
        if not reply["lacks"]:
            return str(reply["path"])
        lacks = sorted({*lacks, *reply["lacks"]})
    raise ActionFailed(f'The copy of the code at "{code.path}" is not whole any more.')


def _lacks(link: Link, folder: str, code: CodeCopy, entries: Sequence[copies.Entry]) -> list[str]:
    request = {"verb": "lacks", "folder": folder, "digest": code.digest, "entries": entries}
    found: list[str] = link.call(request, timeout_s=ASK_S, patient=False)[0]["lacks"]
    return found
