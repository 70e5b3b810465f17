"""The product's own source, parsed: what the gates walk over."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "console" / "mlconsole"
PLUGINS = ROOT / "plugins"


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def files(*roots: Path) -> list[Path]:
    """Every Python file of the product, or of the given folders."""
    found = [path for root in roots or (CORE, PLUGINS) for path in root.rglob("*.py")]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def shown(path: Path, node: ast.AST) -> str:
    """A place in the source, for a message."""
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def texts(path: Path) -> Iterator[ast.Constant]:
    """The string constants of a file, docstrings left out."""
    docstrings = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings.add(first.value)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node


def imports(nodes: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Modules imported anywhere below a node, by their full names."""
    for node in ast.walk(nodes):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node


def eager_imports(node: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Modules imported when the file is imported: not those inside functions or for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield from imports(child)
        else:
            yield from eager_imports(child)


def called(node: ast.Call) -> str:
    """The last name of what is called: ``update`` of ``self.box.update(...)``."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def calls(path: Path) -> Iterator[ast.Call]:
    """Every call of a file."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
