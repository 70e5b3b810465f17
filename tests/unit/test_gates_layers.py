"""The layers hold, and everything that exists stands in one."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from source import CORE, PLUGINS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LINTER = PROJECT["tool"]["importlinter"]
# In no layer: the recorder stands alone, the demo's script is a user's, and the version is a constant.
OUTSIDE = {"recorder", "demo", "version", "__init__"}


def lint(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(config_filename=sys.argv[1]))"
    return subprocess.run(
        [sys.executable, "-c", code, str(config)], cwd=folder, capture_output=True, text=True, timeout=100
    )


def test_every_contract_is_kept() -> None:
    done = lint(ROOT, ROOT / "pyproject.toml")

    assert done.returncode == 0, done.stdout


def test_a_broken_contract_is_found(tmp_path: Path) -> None:
    config = tmp_path / "contract.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "mlconsole"\n[[tool.importlinter.contracts]]\nname = "upside down"\n'
        'type = "layers"\nlayers = ["mlconsole.errors", "mlconsole.config"]\n'
    )

    assert lint(ROOT, config).returncode == 1


def test_every_part_of_the_core_stands_in_a_layer() -> None:
    layers = next(contract["layers"] for contract in LINTER["contracts"] if contract["type"] == "layers")
    named = {part.strip().removeprefix("mlconsole.") for layer in layers for part in layer.split("|")}
    parts = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert parts - OUTSIDE == named


def test_the_layers_of_the_guide_are_those_that_are_kept() -> None:
    layers = next(contract["layers"] for contract in LINTER["contracts"] if contract["type"] == "layers")
    (told,) = re.findall(r"^\*\*Layers\.\*\* (.+?)\. An upper one", GUIDE, re.M)

    assert [{part.strip() for part in layer.split("|")} for layer in told.replace("`", "").split(">")] == [
        {part.strip().removeprefix("mlconsole.") for part in layer.split("|")} for layer in layers
    ]


def test_every_part_of_the_core_and_every_plugin_stands_in_the_guides_tree() -> None:
    tree = GUIDE.partition("console/mlconsole/\n")[2].partition("\n```")[0]
    parts = {path.name for path in CORE.iterdir() if path.suffix == ".py" or path.is_dir()} - {"__pycache__"}
    plugins = {path.name for path in PLUGINS.iterdir() if (path / "__init__.py").exists()}

    assert [part for part in sorted(parts | plugins) if part not in tree] == []


def test_the_recorder_is_forbidden_every_other_part() -> None:
    contract = next(c for c in LINTER["contracts"] if c.get("source_modules") == ["mlconsole.recorder"])
    parts = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    missing = {f"mlconsole.{part}" for part in parts - OUTSIDE - {"__main__"}} - set(contract["forbidden_modules"])

    assert missing == set()


@pytest.mark.parametrize("plugin", sorted(path.name for path in PLUGINS.iterdir() if path.is_dir()))
def test_every_plugin_is_checked_and_registered(plugin: str) -> None:
    if plugin.startswith("__"):
        pytest.skip("not a plugin")
    checked = {module for contract in LINTER["contracts"] for module in contract.get("source_modules", ())}
    entry_points = PROJECT["project"]["entry-points"]
    registered = {target.partition(":")[0] for group in entry_points.values() for target in group.values()}

    assert plugin.startswith("mlconsole_")
    assert plugin in LINTER["root_packages"] and plugin in checked and plugin in registered


def test_the_package_is_typed_and_knows_its_version() -> None:
    from mlconsole.version import __version__

    assert (CORE / "py.typed").exists()
    assert importlib.metadata.version("mlconsole") == __version__
