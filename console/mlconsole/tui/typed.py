"""What a line typed behind ``:`` asks for: a place, a bookmark, or one of a few words; and how it completes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mlconsole.domain.query import AGGREGATES, BUILTINS, parse
from mlconsole.errors import QueryError
from mlconsole.tui import places
from mlconsole.tui.palettes import PALETTES
from mlconsole.tui.places import Location
from mlconsole.tui.widgets.line import Span

if TYPE_CHECKING:
    from mlconsole.tui.console import Console

QUIT = ("q", "quit", "q!", "exit")
HELP = ("help", "h", "?")
WORDS: dict[str, str] = {
    "save NAME": "keep this place, filter, sort and columns as :NAME",
    "forget NAME": "drop the bookmark :NAME",
    "cols A,B,...": "columns of this list from now on; without names, the first ones again",
    "theme NAME": f"colours: {', '.join(PALETTES)}",
    "help": "every key that works here, and what may be typed",
    "q": "quit",
}
STATES = ("running", "queued", "succeeded", "failed", "cancelled")


def way_to(console: Console, line: str) -> Callable[[], None]:
    """What a line asks for, to be called when it has been put away.

    Raises:
        QueryError: it names no place and no bookmark, or its filter does not parse.
    """
    head, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    if not head:
        return lambda: None
    if head in QUIT:
        return console.exit
    if head in HELP and not rest:
        return console.action_help
    if head == "save":
        name = _bookmark_name(line, rest)
        return lambda: console.save_bookmark(name)
    if head == "forget":
        if rest not in console.session.bookmarks:
            raise QueryError(f'No bookmark "{rest}".', _bookmarks(console), text=line, start=7, end=len(line))
        return lambda: console.forget_bookmark(rest)
    if head == "theme":
        if rest not in PALETTES:
            themes = f"Themes: {', '.join(PALETTES)}."
            raise QueryError(f'No theme "{rest}".', themes, text=line, start=6, end=len(line))
        return lambda: console.use_theme(rest)
    if head == "cols":
        names = [name for name in rest.replace(",", " ").split() if name]
        return lambda: console.choose_columns(names)
    if head in console.session.bookmarks and not rest:
        line = console.session.bookmarks[head]
    location, _ = places.locate(line, console.trail.here)
    return lambda: console.go(location)


def _bookmark_name(line: str, name: str) -> str:
    taken = places.find(name) is not None or name in (*QUIT, *HELP, *(word.split()[0] for word in WORDS))
    if not name or " " in name or taken:
        why = f'"{name}" is taken.' if taken else "A bookmark's name is one word."
        raise QueryError(why, "As in: :save best", text=line, start=line.find(name) if name else 0, end=len(line))
    return name


def _bookmarks(console: Console) -> str:
    return f"Bookmarks: {', '.join(console.session.bookmarks) or 'none yet'}."


def completions(console: Console, head: str) -> Sequence[str]:
    """Words that may stand at the end of a typed line."""
    words = head.split(" ")
    last = words[-1]
    names = _columns_at(words[0], console) or [*BUILTINS, *console.metric_names]
    if words[0] == "theme" and len(words) == 2:
        return tuple(PALETTES)
    if words[0] == "forget" and len(words) == 2:
        return tuple(console.session.bookmarks)
    for lead in ("sort:-", "sort:", "cols:", "has:"):
        if last.startswith(lead):
            done = last.rpartition(",")[0]
            begun = f"{done}," if done else lead
            return [begun + name for name in names]
    if words[0] == "cols" and len(words) == 2:
        done = last.rpartition(",")[0]
        return [(f"{done}," if done else "") + name for name in names]
    if last.startswith("state:"):
        return [f"state:{state}" for state in STATES]
    first = []
    if len(words) == 1:
        first = [*(p.name for p in places.PLACES), *(word.split()[0] for word in WORDS), *console.session.bookmarks]
    calls = [f"{name}({key})" for name in sorted(AGGREGATES) for key in names if last.startswith(f"{name}(")]
    return [*first, "sort:", "cols:", "has:", "tag:", "not", "state:", *names, *calls]


def _columns_at(word: str, console: Console) -> list[str]:
    """The columns of the list that a line is about, where it has columns of its own."""
    place = places.find(word) or places.find(console.trail.here.place)
    if place is None or place.lists != "row":
        return []
    return [column.key for column in getattr(places.load(place), "columns", ())]


def command_of(location: Location) -> str:
    """The headless command that shows what a location shows; empty where there is none."""
    if location.place == "runs":
        parse(location.line)
        return shlex.join(["mlconsole", "run", "list", *(["--where", location.line] if location.line else [])])
    if location.place == "run":
        return shlex.join(["mlconsole", "run", "show", location.target])
    if location.place == "environment":
        return shlex.join(["mlconsole", "env", "show", location.target])
    if location.place in ("alert", "policy"):
        return shlex.join(["mlconsole", location.place, "show", location.target])
    if location.place == "compare":
        return shlex.join(["mlconsole", "run", "compare", *location.target.split(",")])
    lists = {"experiments": "experiment list", "jobs": "backend list", "audit": "audit list"}
    lists |= {"environments": "env list", "alerts": "alert list", "policies": "policy history"}
    return f"mlconsole {lists[location.place]}" if location.place in lists and not location.line else ""


def hint(line: str) -> str:
    """What the first word of a line does, for words that are no places."""
    head = line.split(" ")[0]
    for words, meaning in WORDS.items():
        if head and words.split()[0] == head:
            return f":{words}  {meaning}"
    return "a place (tab completes), with a filter behind runs"


def begun(line: str) -> list[Span]:
    """The places and words that a first word may become, while it is none of them; one alone tells what it shows."""
    if " " in line or any(place.name == line for place in places.PLACES):
        return []
    found = [place for place in places.PLACES if place.name.startswith(line)]
    if not line:
        found = [place for place in found if not place.takes or place.is_optional]
    if len(found) == 1:
        return [(f"{found[0].name}  ", "accent"), (found[0].summary, "dim")]
    others = [word.split()[0] for word in WORDS if word.startswith(line)]
    return [(" ".join([*(place.name for place in found), *others]), "accent")] if found else []
