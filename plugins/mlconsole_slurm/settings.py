"""The settings file's ``[backends.slurm]``, and what sbatch is told of a job."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mlconsole.plugin_api import ConfigError, JobSpec, UsageError, backend_settings

OPTIONS = ("account", "constraint", "gres", "mem", "nice", "partition", "qos", "requeue", "reservation", "time")
#: Slurm's own limit stands this far behind the supervisor's, which tells the program first and says why.
LIMIT_SLACK_S = 90.0


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """What ``[backends.slurm]`` says.

    Attributes:
        python: the interpreter on the nodes, 3.6 or newer.
        folder: a folder that the nodes see too, for the jobs' records; empty: the catalog's own.
        rest: the unix socket of a slurmrestd; empty: the commands are used.
        rest_version: the version of its interface.
        defaults: options of every launch, where it does not say otherwise.
    """

    python: str = "python3"
    folder: str = ""
    rest: str = ""
    rest_version: str = "v0.0.38"
    defaults: Mapping[str, str] | None = None

    @classmethod
    def load(cls) -> SlurmSettings:
        """The settings as they stand in the file.

        Raises:
            ConfigError: an unknown key, or a value of a wrong type.
        """
        table = backend_settings("slurm")
        known = {each.name for each in fields(cls)} | set(OPTIONS)
        for key, value in table.items():
            if key not in known or key == "defaults":
                raise ConfigError(f'Unknown setting "backends.slurm.{key}".', f"Known: {', '.join(sorted(known))}.")
            if not isinstance(value, str):
                raise ConfigError(f'Setting "backends.slurm.{key}" cannot be "{value}".', "Give a text.")
        own = {key: str(value) for key, value in table.items() if key not in OPTIONS}
        defaults = {key: str(value) for key, value in table.items() if key in OPTIONS}
        return cls(defaults=defaults, **own)


def script(settings: SlurmSettings, package: Path, base: Path) -> str:
    """The batch script: it names the job's folder, and holds nothing of the job."""
    words = [settings.python, "-I", "-S", str(package), "batch", str(base)]
    return f'#!/bin/sh\nexec {shlex.join(words)} "${{SLURM_RESTART_COUNT:-0}}"\n'


def told(settings: SlurmSettings, spec: JobSpec, token: str, base: Path) -> dict[str, str]:
    """The options that sbatch gets.

    Raises:
        UsageError: an unknown option, or more than one node.
    """
    for key in spec.options:
        if key not in OPTIONS:
            raise UsageError(f'The slurm backend knows no option "{key}".', f"It knows: {', '.join(OPTIONS)}.")
    if spec.resources.nodes > 1:
        raise UsageError("The slurm backend runs jobs on one node.")
    given = {**(settings.defaults or {}), **spec.options}
    name = "".join(each if each.isprintable() else "?" for each in spec.name)[:100]
    options = {"job-name": name or "mlconsole", "comment": token, "chdir": str(base), "open-mode": "append"}
    options |= {"output": f"{base}/slurm.log"}
    options |= {"requeue" if given.pop("requeue", "no") in ("yes", "true", "1") else "no-requeue": ""}
    if spec.time_limit_s is not None:
        options["time"] = str(math.ceil((spec.time_limit_s + LIMIT_SLACK_S) / 60))
    if spec.resources.gpus:
        options["gres"] = f"gpu:{spec.resources.gpus}"
    if spec.resources.cpus:
        options["cpus-per-task"] = str(spec.resources.cpus)
    if spec.resources.memory_mib:
        options["mem"] = str(spec.resources.memory_mib)
    return {**options, **given}
