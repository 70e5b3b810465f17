"""The environment of a run: interpreter, packages, hardware, and the variables that matter."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from mlconsole.recorder import process

_VARIABLES = (
    "CUDA_*",
    "NVIDIA_*",
    "NCCL_*",
    "GLOO_*",
    "OMP_*",
    "MKL_*",
    "OPENBLAS_*",
    "TORCH*",
    "PYTORCH_*",
    "SLURM_JOB_*",
    "SLURM_NODEID",
    "SLURM_PROCID",
    "PYTHONHASHSEED",
    "CONDA_DEFAULT_ENV",
    "VIRTUAL_ENV",
    "HOSTNAME",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "TOKENIZERS_PARALLELISM",
)
_MOST_PACKAGES = 5000
_LONGEST_VALUE = 4096
_DRIVER = "/proc/driver/nvidia"


def environment() -> dict[str, object]:
    """Everything but the source code; secrets are not yet taken out."""
    return {
        "python": {
            "version": ".".join(map(str, sys.version_info[:3])),
            "implementation": sys.implementation.name,
            "executable": sys.executable or "",
        },
        "packages": packages(sys.path),
        "torch": torch(),
        "gpus": gpus(_DRIVER),
        "driver": driver(_DRIVER),
        "cpu_count": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "os": _os_name(),
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
        "env": variables(os.environ),
    }


def variables(environ: Mapping[str, str]) -> dict[str, object]:
    """The variables that the list, or ``MLCONSOLE_CAPTURE_ENV`` (patterns with commas between), lets through."""
    extra = [pattern.strip() for pattern in environ.get("MLCONSOLE_CAPTURE_ENV", "").split(",")]
    patterns = [*_VARIABLES, *filter(None, extra)]
    return {
        name: value[:_LONGEST_VALUE]
        for name, value in sorted(environ.items())
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def packages(folders: Iterable[str]) -> dict[str, str]:
    """Installed distributions and their versions, read off the names of their metadata folders.

    Names are normalised as in PEP 503; the first of a name on the path is the one that is imported.
    """
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = sorted(os.listdir(folder)) if os.path.isabs(folder) else []
        except OSError:
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if dot and kind in ("dist-info", "egg-info") and len(found) < _MOST_PACKAGES:
                project, _, version = stem.partition("-")
                found.setdefault(project.lower().replace("_", "-").replace(".", "-"), version.partition("-")[0])
    return dict(sorted(found.items()))


def torch() -> dict[str, object]:
    """Versions of torch and of the CUDA it was built with, if the program has imported it; never imports it."""
    module = sys.modules.get("torch")
    version = getattr(module, "version", None)
    if module is None or version is None:
        return {}
    told = {
        "version": getattr(module, "__version__", None),
        "cuda": getattr(version, "cuda", None),
        "hip": getattr(version, "hip", None),
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def driver(folder: str) -> str:
    """The NVIDIA kernel driver's version as its ``version`` file says it, empty without one."""
    words = process.read_line(os.path.join(folder, "version")).split()
    return next((word for word in words if word[0].isdigit() and "." in word), "")


def gpus(folder: str) -> list[dict[str, object]]:
    """Model, uuid and bus of each GPU that the kernel driver shows; nothing is opened or woken."""
    root = os.path.join(folder, "gpus")
    found: list[dict[str, object]] = []
    for bus in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        facts = _facts(os.path.join(root, bus, "information"))
        found.append({"model": facts.get("Model", ""), "uuid": facts.get("GPU UUID", ""), "bus": bus})
    return found


def _facts(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            pairs = [line.partition(":") for line in file]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in pairs}


def _os_name() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            names = [line.partition("=")[2].strip().strip('"') for line in file if line.startswith("PRETTY_NAME=")]
    except OSError:
        names = []
    return names[0] if names else os.uname().sysname
