"""The README is true: its commands parse, every command stands in it, its tables are what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mlconsole import actions, config, errors
from mlconsole.cli.parser import build, takes_remainder, wanted, with_values_joined
from mlconsole.domain.runs import Outcome, State
from program import Program

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = [
    line.removeprefix("$ ").partition("#")[0].partition(" | ")[0]
    for line in README.splitlines()
    if line.startswith("$ mlconsole ")
]


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_of_the_readme_is_one(line: str) -> None:
    words = shlex.split(line)[1:]
    own = words[: words.index("--")] if "--" in words else words
    known = wanted(own)

    if words:
        namespace = build(known).parse_args(with_values_joined(own if takes_remainder(known) else words, known))
        assert own[: len(namespace.action.name.split())] == namespace.action.name.split()


def test_the_readme_shows_more_than_a_few_commands() -> None:
    assert len(SHOWN) >= 10


@pytest.mark.parametrize("name", actions.ACTIONS)
def test_every_command_stands_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


def classes_below(kind: type[errors.MlconsoleError]) -> set[type[errors.MlconsoleError]]:
    return {kind}.union(*(classes_below(child) for child in kind.__subclasses__()))


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    table = README.partition("| exit code | means |")[2].partition("\n\n")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)}

    assert listed == {0} | {error.exit_code for error in classes_below(errors.MlconsoleError)}


def test_every_error_stands_in_the_tree_of_its_module() -> None:
    tree = errors.__doc__ or ""
    missing = [error for error in classes_below(errors.MlconsoleError) if f"{error.__name__} " not in tree]

    assert missing == []
    for error in classes_below(errors.MlconsoleError):
        assert re.search(rf"{error.__name__} +{error.exit_code}\b", tree), error


def test_the_fields_of_a_run_in_the_readme_are_those_of_its_document(lab: Program) -> None:
    (row,) = re.findall(r"^\| run \| `([^`]+)` \|", README, re.M)

    assert set(row.split()) <= set(lab.json("run", "show", "alpha"))


def test_states_and_outcomes_of_the_readme_are_complete() -> None:
    (text,) = re.findall(r"`state` is one of (.*?)\. Unreachable", " ".join(README.split()))
    states, _, outcomes = text.partition(";")

    assert set(re.findall(r"[a-z_]+", states)) == {state.value for state in State}
    assert {outcome.value for outcome in Outcome} <= set(re.findall(r"[a-z_]+", outcomes))


@pytest.mark.parametrize("key", sorted(config.KNOWN_KEYS))
def test_every_setting_stands_in_the_readme(key: str) -> None:
    assert f"`{key}`" in README


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "plugins/README.md"])
def test_every_path_that_a_document_names_is_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:tests|plugins|console|catalog|actions|render|tui|recorder|domain|screens)/[\w./]*)`", text
    )
    bases = (ROOT, ROOT / "console" / "mlconsole", ROOT / "console" / "mlconsole" / "tui", ROOT / "plugins")

    def is_there(name: str) -> bool:
        # "render/sanitise.clean" is the function clean of the module render/sanitise.
        stem = name.rpartition(".")[0]
        return any((base / name).exists() or (stem and (base / f"{stem}.py").exists()) for base in bases)

    assert named and [name for name in named if not is_there(name)] == []


def test_every_make_target_of_the_documents_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`?make ([a-z]+)", README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))

    assert all(re.search(rf"^{target}:", makefile, re.M) for target in named)
