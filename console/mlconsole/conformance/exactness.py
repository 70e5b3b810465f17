"""Arguments and variables arrive at the program exactly as they were given."""

from __future__ import annotations

import json
import os

from mlconsole.conformance.kit import Jobs, refused, same
from mlconsole.plugin_api import UsageError

ARGUMENTS = (
    ("--lr", "0.1\n--epochs 9", "$(rm -rf /)", "`id`", "-rf", "", "'; exit 9 #", "%s\x1b[31m"),
    ("-c", "--", "$HOME", "a b", "'", '"', "\\", "\n", "*", "~", "é\udcff", ";|&>", "\t", "#!", "{a,b}", "!!"),
    ("x" * 30_000,),
)
ECHO = "import json, os, sys; print(json.dumps([os.fsencode(each).hex() for each in sys.argv[1:]]))"
VARIABLES = """
import json, os
print(json.dumps({name.hex(): value.hex() for name, value in os.environb.items()}))
"""


def heard(jobs: Jobs, *arguments: str) -> list[str]:
    """The arguments as the program got them."""
    handle = jobs.python(ECHO, *arguments)
    jobs.ended(handle)
    return [os.fsdecode(bytes.fromhex(each)) for each in json.loads(jobs.output(handle))]


def seen_by_program(jobs: Jobs, env: dict[str, str]) -> dict[str, str]:
    """The environment as the program got it."""
    handle = jobs.python(VARIABLES, env=env)
    jobs.ended(handle)
    pairs = json.loads(jobs.output(handle)).items()
    return {os.fsdecode(bytes.fromhex(name)): os.fsdecode(bytes.fromhex(value)) for name, value in pairs}


def keeps_arguments(jobs: Jobs) -> None:
    """The arguments at the program are those that were given, shell characters, newlines and bytes included."""
    for arguments in ARGUMENTS:
        same(heard(jobs, *arguments), list(arguments), "arguments")


def keeps_program_names(jobs: Jobs) -> None:
    """A program of any name is found."""
    for name in ("-x", "a b", "$(id)", "two\nlines", "é"):
        program = jobs.folder / name
        program.write_text("#!/bin/sh\necho here\n")
        program.chmod(0o755)
        handle = jobs.submit(str(program))
        jobs.ended(handle)
        same(jobs.output(handle), b"here\n", f"what {name!r} wrote")


def keeps_variables(jobs: Jobs) -> None:
    """Variables arrive as given, a large environment too."""
    given = {"LR": "0.1", "EMPTY": "", "LINES": "a\nb", "META": "$HOME `id` 'x'", "BYTES": "é\udcff", "a.b": "="}
    given |= {f"BIG_{number}": "x" * 10_000 for number in range(20)}
    found = seen_by_program(jobs, given)
    same({name: found.get(name) for name in given}, given, "variables")


def keeps_impossible_words(jobs: Jobs) -> None:
    """What no program can receive is a usage error."""
    for wrong in ({"A=B": "1"}, {"": "1"}, {"A": "x\0y"}):
        refused(UsageError, lambda wrong=wrong: jobs.python("pass", env=wrong), what=f"the variable {wrong}")  # type: ignore[misc]
    for word in ("a\0b", "\ud800"):
        refused(UsageError, lambda word=word: jobs.python("pass", word), what=f"the argument {word!r}")  # type: ignore[misc]


def keeps_unknown_options(jobs: Jobs) -> None:
    """An option that it does not know is a usage error that names it."""
    option = {"no-such-option": "1"}
    refused(UsageError, lambda: jobs.python("pass", options=option), '"no-such-option"', "an unknown option")
