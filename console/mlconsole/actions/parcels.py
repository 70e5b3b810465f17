"""What a run that waits is started with: its spec in the catalog, its environment in a file, its secrets in memory.

The environment of the launching process is kept in a file that only its user can read, one for all runs that were
launched with the same. What looks like a secret touches no disk: it lies in the machine's shared memory until the run
starts, and is gone after a restart; the run then says which names it misses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlconsole.actions.redaction import values_without_secrets, words_without_secrets
from mlconsole.domain.jobs import CodeCopy, JobSpec, LimitWarning, Resources
from mlconsole.errors import ActionFailed, SecretsLost
from mlconsole.records import asdict

OURS = ("MLCONSOLE_", "PYTHON", "CUDA_VISIBLE_DEVICES")
MEMORY = Path("/dev/shm")  # noqa: S108  the one place that is memory on every Linux


def document_of(spec: JobSpec) -> tuple[str, dict[str, Any]]:
    """A spec as the catalog keeps it, and apart from it what looks like a secret."""
    return _document(spec, *_split(spec.env))


def started(spec: JobSpec) -> str:
    """What the catalog keeps of a run that starts at once: of variables that somebody gave it, the names alone."""
    ours = {name: value for name, value in spec.env.items() if name.startswith(OURS)}
    return _document(spec, ours, {name: value for name, value in spec.env.items() if name not in ours})[0]


def _document(spec: JobSpec, env_public: dict[str, str], env_secret: dict[str, str]) -> tuple[str, dict[str, Any]]:
    secret: dict[str, Any] = {"env": env_secret}
    document = asdict(spec) | {"env": env_public, "base": None}
    for name, words in (("argv", [spec.argv]), ("teardown", list(spec.teardown))):
        if any(words_without_secrets(list(each)) != list(each) for each in words):
            secret[name], document[name] = getattr(spec, name), []
    document["secret"] = sorted({*env_secret, *(secret.keys() - {"env"})})
    return json.dumps(document), secret


def pack(home: Path, spec: JobSpec, base: Mapping[str, str]) -> tuple[str, str]:
    """Keep what a run is to be started with.

    Returns:
        The spec as a document for the catalog, and the name of the file that holds its environment.

    Raises:
        ActionFailed: there are secrets, and no memory to keep them in.
    """
    text, secret = document_of(spec)
    base_public, secret["base"] = _split_base(tuple(base.items()))
    if any(secret.values()):
        keep_secrets(home, spec.run_id, secret)
        document = json.loads(text)
        document["secret"] = sorted({*document["secret"], *secret["base"]})
        text = json.dumps(document)
    return text, _keep_base(home, base_public)


def _split(values: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    shown = values_without_secrets(dict(values))
    public = {name: value for name, value in values.items() if shown[name] == value}
    return public, {name: value for name, value in values.items() if name not in public}


@lru_cache(maxsize=1)
def _split_base(items: tuple[tuple[str, str], ...]) -> tuple[dict[str, str], dict[str, str]]:
    """The launching process's environment in two; that of all runs of a sweep is the same one."""
    return _split(dict(items))


def _keep_base(home: Path, base: Mapping[str, str]) -> str:
    import hashlib  # 3 ms, where something waits

    data = json.dumps(base, sort_keys=True).encode("ascii")
    # Each user's own, also where two have the same: nobody reads another's.
    name = hashlib.blake2b(data, digest_size=16, salt=os.getuid().to_bytes(8, "big")).hexdigest()
    path = home / "queue" / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, data)
    return name


def keep_secrets(home: Path, run_id: str, secret: Mapping[str, Any]) -> None:
    """Put a run's secrets into memory.

    Raises:
        ActionFailed: there is none to put them in.
    """
    path = _secrets_of(home, run_id)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.parent.is_symlink() or path.parent.stat().st_uid != os.getuid():
            raise PermissionError(f'"{path.parent}" is not ours')
        _write(path, json.dumps(secret).encode("ascii"))
    except OSError as error:
        raise ActionFailed(
            f"The run would have to wait, and its secrets cannot be kept in memory: {error}.",
            "Launch it without them, or with --now.",
        ) from error


def _secrets_of(home: Path, run_id: str) -> Path:
    return MEMORY / f"mlconsole-{os.getuid()}" / f"{run_id}.json"


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    part.rename(path)


def unpack(home: Path, document: str, parcel: str) -> JobSpec:
    """The spec of a run that has waited, with the environment that it was launched in.

    Raises:
        SecretsLost: secrets were in memory and are gone.
        ActionFailed: what was kept cannot be read.
    """
    found = json.loads(document)
    names = found.pop("secret", [])
    try:
        base = json.loads((home / "queue" / f"{parcel}.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ActionFailed(f"The environment that the run was launched in cannot be read: {error}.") from error
    secret: dict[str, Any] = {}
    if names:
        try:
            secret = json.loads(_secrets_of(home, found["run_id"]).read_bytes())
        except (OSError, ValueError) as error:
            raise SecretsLost(
                f"What looked like a secret was kept in memory only and is gone: {', '.join(names)}.",
                f"Launch it again, and stop this one: mlconsole run stop {found['run_id']}",
            ) from error
    found |= {name: value for name, value in secret.items() if name not in ("base", "env")}
    found["env"] = {**found["env"], **secret.get("env", {})}
    found["base"] = {**base, **secret.get("base", {})}
    return spec_of(found)


def spec_of(document: Mapping[str, Any]) -> JobSpec:
    """The spec that a document says, as far as it is public."""
    found = {name: value for name, value in document.items() if name != "secret"}
    warning, code = found.pop("warning"), found.pop("code")
    return JobSpec(
        **found
        | {
            "argv": tuple(found["argv"]),
            "teardown": tuple(tuple(words) for words in found["teardown"]),
            "wake": tuple(found["wake"]),
            "resources": Resources(**found["resources"]),
            "warning": LimitWarning(**warning) if warning else None,
            "code": CodeCopy(**code) if code else None,
        }
    )


def forget(home: Path, run_id: str) -> None:
    """Take a run's secrets out of memory."""
    try:
        _secrets_of(home, run_id).unlink(missing_ok=True)
    except OSError:
        pass  # Another user's; they go with the machine's next restart.
