"""A machine with a price, for commands about money."""

from __future__ import annotations

from pathlib import Path

from program import Program

BOOK = "provider,instance,gpu,count,region,on_demand,spot,as_of,source\n"


def priced(program: Program, *lines: str, **environment: str) -> Program:
    """The program on a machine whose settings file says ``[machine]`` and these lines."""
    settings = program.cwd / "settings.toml"
    settings.write_text("[machine]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return Program(program.home, program.cwd, {**program.env, **environment, "MLCONSOLE_CONFIG": str(settings)})


def book(folder: Path, *rows: str, name: str = "book.csv") -> str:
    """A price book in a file; returns its path."""
    path = folder / name
    path.write_text(BOOK + "\n".join(rows) + "\n", encoding="utf-8")
    return str(path)
