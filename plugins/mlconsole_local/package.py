"""Supervisor, finaliser and agent as one file that any ``python3`` runs, named by a digest of what is in it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

PARTS = ("shim.py", "finaliser.py", "smi.py", "copies.py", "agent.py", "batch.py")
# A folder alone is what a supervisor starts a finaliser with.
MAIN = """import sys
word = sys.argv[1]
if word == "shim":
    import shim
    shim.main(sys.argv[2])
elif word == "serve":
    import agent
    agent.serve(sys.argv[0])
elif word == "batch":
    import batch
    sys.exit(batch.main(sys.argv[0], sys.argv[2:]))
else:
    import finaliser
    sys.exit(finaliser.main(word))
"""
#: Zip archives cannot say an earlier time; the same parts always make the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


class Package(NamedTuple):
    """The file's name and bytes."""

    name: str
    data: bytes


@lru_cache(maxsize=1)
def package() -> Package:
    """The one file."""
    folder = Path(__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [("__main__.py", MAIN.encode()), *((each, (folder / each).read_bytes()) for each in PARTS)]:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)
    data = buffer.getvalue()
    return Package(f"mlconsole-{hashlib.sha256(data).hexdigest()[:16]}.pyz", data)


def put(folder: Path) -> Path:
    """The file in a folder of this machine; written unless it is there."""
    import os

    found = package()
    target = folder / found.name
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{found.name}.{os.getpid()}.tmp"
        draft.write_bytes(found.data)
        draft.rename(target)
    return target
