"""Picks a front end, lazily: a command, or the console."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

SWITCHES = {"--read-only": "read_only", "--no-color": "no_color", "--plain": "plain"}


def main() -> None:
    """The ``mlconsole`` program."""
    # Nothing that is made while starting is garbage: each look for some among the modules costs up to 6 ms.
    gc.set_threshold(100_000, 20, 20)
    argv = sys.argv[1:]
    flags = console_flags(argv)
    if flags is not None:
        from mlconsole.tui.start import start

        sys.exit(start(flags))
    from mlconsole.cli.main import run

    code = run(argv)
    gc.freeze()  # The interpreter looks for garbage one last time as it ends.
    sys.exit(code)


def console_flags(argv: Sequence[str]) -> dict[str, str | bool] | None:
    """The flags of a call that opens the console; None for any other call, which the command line understands."""
    flags: dict[str, str | bool] = {}
    words = iter(argv)
    for word in words:
        if word in SWITCHES:
            flags[SWITCHES[word]] = True
        elif word == "--catalog":
            value = next(words, None)
            if value is None:
                return None
            flags["catalog"] = value
        elif word.startswith("--catalog="):
            flags["catalog"] = word.partition("=")[2]
        else:
            return None
    return flags


if __name__ == "__main__":
    # "python -m" puts the working directory first on the path, where a json.py may lie in wait.
    del sys.path[:1]
    main()
