"""Rules that the whole source keeps. Each one is also shown to find what it looks for."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from source import CORE, PLUGINS, called, calls, eager_imports, files, imports, shown, texts, tree

SQL = re.compile(
    r"\s*(SELECT\s+[\w(*:'.]|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s"
    r"|(CREATE|DROP|ALTER)\s+(TABLE|INDEX|VIEW|TRIGGER|UNIQUE)|PRAGMA\s+\w|BEGIN\s+(IMMEDIATE|EXCLUSIVE)|WITH\s+\w+\s+AS\s)"
)
HEAVY = {"textual", "rich", "plotly", "httpx", "pynvml", "sqlite_utils", "torch", "numpy", "scipy", "polars", "asyncio"}
# Run in processes of their own; nothing of ours imports them.
PROGRAMS = (CORE / "demo", PLUGINS / "mlconsole_process" / "forwarder.py")
MARKUP_NAMES = {"from_markup", "from_ansi", "render_markup"}
TAKES_MARKUP = {"Static", "Label", "Button", "Checkbox", "Collapsible", "TabPane", "Option"}
MAKES_CONTENT = {"Content", "Text", "assemble", "styled", "blank", "Strip"}


def below(path: Path, *folders: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def sql_in(path: Path) -> list[str]:
    return [shown(path, text) for text in texts(path) if SQL.match(str(text.value))]


def test_sql_stands_in_the_catalog_alone() -> None:
    elsewhere = [path for path in files() if not below(path, CORE / "catalog")]

    assert [place for path in elsewhere for place in sql_in(path)] == []


def test_the_search_for_sql_finds_that_of_the_catalog() -> None:
    assert len([place for path in files(CORE / "catalog") for place in sql_in(path)]) > 30


def reads_of_the_environment(path: Path) -> list[str]:
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    found = []
    for node in ast.walk(tree(path)):
        of_os = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
        taken = isinstance(node, ast.ImportFrom) and node.module == "os"
        if (of_os and isinstance(node, ast.Attribute) and node.attr in names) or (
            taken and isinstance(node, ast.ImportFrom) and names & {alias.name for alias in node.names}
        ):
            found.append(shown(path, node))
    return found


# The recorder runs in a training, the demo's programs are trainings and services; a backend hands the environment on.
MAY_READ = (CORE / "config.py", CORE / "recorder", CORE / "demo", PLUGINS)


def test_the_environment_is_read_by_config_alone() -> None:
    elsewhere = [path for path in files() if not below(path, *MAY_READ)]

    assert [place for path in elsewhere for place in reads_of_the_environment(path)] == []


def test_the_search_for_reads_of_the_environment_finds_that_of_config() -> None:
    assert reads_of_the_environment(CORE / "config.py") != []


def test_the_recorder_needs_the_standard_library_alone() -> None:
    foreign = [
        shown(path, node)
        for path in files(CORE / "recorder")
        for module, node in imports(tree(path))
        if module.partition(".")[0] not in sys.stdlib_module_names
        and module != "mlconsole"
        and not module.startswith(("mlconsole.recorder", "mlconsole.version"))
    ]

    assert foreign == []


@pytest.mark.parametrize("path", [CORE / "__init__.py", *files(CORE / "recorder")], ids=lambda path: path.name)
def test_the_recorder_parses_as_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    light = [path for path in files() if not below(path, CORE / "tui", *PROGRAMS)]
    eager = [
        shown(path, node)
        for path in light
        for module, node in eager_imports(tree(path))
        if module.partition(".")[0] in HEAVY
    ]

    assert eager == []


def test_the_search_for_eager_imports_tells_them_from_late_ones() -> None:
    source = "import a\nif TYPE_CHECKING: import b\nclass C:\n import c\n def f(): import d\nwith x: import e"

    assert [module for module, _ in eager_imports(ast.parse(source))] == ["a", "c", "e"]


def test_a_plugin_imports_of_us_the_plugin_api_alone() -> None:
    ours = {
        module for path in files(PLUGINS) for module, _ in imports(tree(path)) if module.split(".")[0] == "mlconsole"
    }

    assert ours == {"mlconsole.plugin_api"}


def markup_doors(path: Path) -> list[str]:
    """Calls through which text could become markup, or an escape sequence a style."""
    return [shown(path, node) for node in calls(path) if is_door(node)]


def is_door(node: ast.Call) -> bool:
    switch = next((ast.unparse(word.value) for word in node.keywords if word.arg == "markup"), "")
    if called(node) in MARKUP_NAMES or switch not in ("", "False"):
        return True
    parses = called(node) == "notify" or (called(node) in TAKES_MARKUP and node.args and not is_safe(node.args[0]))
    return bool(parses) and not switch


def is_safe(argument: ast.expr) -> bool:
    """True for a text written in the source, and for content that is not parsed."""
    if isinstance(argument, ast.Constant):
        return True
    return isinstance(argument, ast.Call) and called(argument) in MAKES_CONTENT


def test_no_data_becomes_markup() -> None:
    assert [place for path in files() for place in markup_doors(path)] == []


@pytest.mark.parametrize(
    "source",
    ["Static(f'{run.name}')", "Label(name)", "Text.from_markup(x)", "self.notify(x)", "Content('x', markup=True)"],
)
def test_the_search_for_markup_doors_finds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    path = tmp_path / "door.py"
    path.write_text(source)
    monkeypatch.setattr("source.ROOT", tmp_path)

    assert markup_doors(path) == ["door.py:1"]


# Who may write to a stream of the process: the command line's output, the painter of the first frame, the terminal's
# own modes, the recorder's warning, and the demo's script.
MAY_WRITE = (
    *(CORE / "cli" / "output.py", CORE / "cli" / "main.py", CORE / "tui", CORE / "recorder" / "losses.py"),
    CORE / "demo",
)


def writes_to_streams(path: Path) -> list[str]:
    streams = ("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__")
    printed = [node for node in calls(path) if isinstance(node.func, ast.Name) and node.func.id == "print"]
    taken = [n for n in ast.walk(tree(path)) if isinstance(n, ast.Attribute) and ast.unparse(n) in streams]
    return [shown(path, node) for node in (*printed, *taken)]


def test_nothing_writes_to_a_stream_but_the_doors() -> None:
    elsewhere = [path for path in files() if not below(path, *MAY_WRITE)]

    assert [place for path in elsewhere for place in writes_to_streams(path)] == []


def test_nothing_is_unpickled() -> None:
    forbidden = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}

    loads = [
        shown(path, node)
        for path in files()
        for module, node in imports(tree(path))
        if module.partition(".")[0] in forbidden
    ]

    assert loads == []


def test_no_shell_string_is_run() -> None:
    shells = [
        shown(path, node)
        for path in files()
        for node in calls(path)
        if called(node) in ("system", "popen", "getoutput")
        or any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords)
    ]

    assert shells == []


def test_no_two_modules_of_the_tests_share_a_name() -> None:
    """They are found by name alone, and the whole suite is one process: the second would be the first."""
    folder = Path(__file__).parents[1]
    packages = {path.parent for path in folder.rglob("__init__.py")}
    names = [p.stem for p in folder.rglob("*.py") if p.parent not in packages and p.name != "conftest.py"]

    assert sorted({name for name in names if names.count(name) > 1}) == []
