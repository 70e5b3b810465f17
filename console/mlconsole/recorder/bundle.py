"""The recorder by itself, laid out as a folder that any Python's path can name."""

from __future__ import annotations

import hashlib
import os

from mlconsole.recorder.forking import importing

_TOP = ("__init__.py", "version.py")


def write_bundle(directory: str) -> str:
    """Lay out the recorder below a folder, unless it is there, and return the folder to put on ``PYTHONPATH``.

    The folder is named by a digest of what is in it and appears complete or not at all, so any number of
    launchers may ask for it at once, and an older program's training keeps the one it started with.

    Raises:
        OSError: it cannot be written.
    """
    files = _files()
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    target = os.path.join(os.path.abspath(directory), digest.hexdigest()[:16])
    if not os.path.isdir(target):
        _lay_out(target, files)
    return target


def _files() -> dict[str, bytes]:
    """What the bundle holds, by path below the package."""
    recorder = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(recorder)
    names = [name for name in _TOP if os.path.exists(os.path.join(package, name))]
    names += [f"recorder/{name}" for name in sorted(os.listdir(recorder)) if name.endswith(".py")]
    files = {}
    for name in names:
        with open(os.path.join(package, name), "rb") as file:
            files[name] = file.read()
    return files


def _lay_out(target: str, files: dict[str, bytes]) -> None:
    draft = f"{target}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        os.makedirs(os.path.join(draft, "mlconsole", "recorder"))
        for name, data in files.items():
            with open(os.path.join(draft, "mlconsole", name), "wb") as file:
                file.write(data)
        os.rename(draft, target)
    except OSError:
        with importing:
            import shutil  # 5 ms, for the rare failure

        shutil.rmtree(draft, ignore_errors=True)
        if not os.path.isdir(target):
            raise
