"""The driver's binding has one door, and nobody who only looks at a screen pays for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mlconsole

ROOT = Path(mlconsole.__file__).parent
FORBIDDEN = {"textual", "rich", "plotly", "httpx", "pynvml", "sqlite_utils", "torch", "numpy", "asyncio", "ctypes"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_one_module_imports_the_binding() -> None:
    importing = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "pynvml" in imported(path)}

    assert importing == {"telemetry/nvml.py"}


@pytest.mark.parametrize("module", ["sampler", "replay", "simulation", "rollups", "processes"])
def test_the_parent_s_side_loads_neither_the_binding_nor_anything_heavy(module: str) -> None:
    code = f"import sys, mlconsole.telemetry.{module}; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert not FORBIDDEN & {name.partition(".")[0] for name in done.stdout.split()}
