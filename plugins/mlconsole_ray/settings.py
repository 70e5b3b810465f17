"""The settings file's ``[backends.ray]``, and what Ray is told of a job."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mlconsole.plugin_api import ConfigError, JobSpec, UsageError, backend_settings

OPTIONS = ("resources",)


@dataclass(frozen=True, slots=True)
class RaySettings:
    """What ``[backends.ray]`` says.

    Attributes:
        address: of the dashboard, as in ``http://127.0.0.1:8265``; empty: nobody has set it up.
        folder: a folder that the nodes see too, for the jobs' records; empty: the catalog's own.
        python: the interpreter on the nodes, 3.6 or newer.
    """

    address: str = ""
    folder: str = ""
    python: str = "python3"

    @classmethod
    def load(cls) -> RaySettings:
        """The settings as they stand in the file.

        Raises:
            ConfigError: an unknown key, or a value of a wrong type.
        """
        table, known = backend_settings("ray"), [each.name for each in fields(cls)]
        for key, value in table.items():
            if key not in known:
                raise ConfigError(f'Unknown setting "backends.ray.{key}".', f"Known: {', '.join(known)}.")
            if not isinstance(value, str):
                raise ConfigError(f'Setting "backends.ray.{key}" cannot be "{value}".', "Give a text.")
        found = {key: str(value) for key, value in table.items()}
        if not found.get("address", "http").startswith("http"):
            raise ConfigError(
                f'Setting "backends.ray.address" cannot be "{found["address"]}".',
                "Give the dashboard's, as in http://127.0.0.1:8265.",
            )
        return cls(**found)


def entrypoint(settings: RaySettings, package: Path, base: Path) -> str:
    """What Ray gives to a shell: it names the job's folder, and holds nothing of the job."""
    return "exec " + shlex.join([settings.python, "-I", "-S", str(package), "batch", str(base), "0"])


def told(spec: JobSpec) -> dict[str, Any]:
    """The resources that Ray counts for a job.

    Raises:
        UsageError: an unknown option, more than one node, or resources that are none.
    """
    for key in spec.options:
        if key not in OPTIONS:
            raise UsageError(f'The ray backend knows no option "{key}".', f"It knows: {', '.join(OPTIONS)}.")
    if spec.resources.nodes > 1:
        raise UsageError("The ray backend runs jobs on one node.")
    wanted: dict[str, Any] = {}
    if spec.resources.gpus:
        wanted["entrypoint_num_gpus"] = spec.resources.gpus
    if spec.resources.cpus:
        wanted["entrypoint_num_cpus"] = spec.resources.cpus
    if spec.resources.memory_mib:
        wanted["entrypoint_memory"] = spec.resources.memory_mib << 20
    if text := spec.options.get("resources"):
        wanted["entrypoint_resources"] = _custom(text)
    return wanted


def _custom(text: str) -> dict[str, float]:
    try:
        found = json.loads(text)
        return {str(name): float(count) for name, count in found.items()}
    except (ValueError, AttributeError, TypeError):
        raise UsageError(f'"{text}" are no resources.', """Give JSON, as in -o 'resources={"tpu": 1}'.""") from None
