"""What the console remembers from one start to the next: where you were, what you typed, marks and choices."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlconsole.tui.places import Location, find

KEPT_LINES = 200
KEPT_MARKS = 1000


class Session:
    """The remembered state of one user on one catalog."""

    def __init__(self) -> None:
        self.location: Location | None = None
        self.typed: list[str] = []
        self.marks: list[str] = []
        self.bookmarks: dict[str, str] = {}
        self.values: dict[str, dict[str, Any]] = {}
        self.columns: dict[str, list[str]] = {}
        self.theme = ""


def path_of(home: Path, user: str) -> Path:
    """The user's session file of a catalog."""
    return home / "sessions" / f"{user.replace('/', '_')}.json"


def load(path: Path) -> Session:
    """The remembered session; an empty one when there is none that makes sense."""
    try:
        data = json.loads(path.read_bytes())
        place = data.get("location") or {}
        location = Location(**{k: str(place.get(k, "")) for k in ("place", "target", "line", "cursor")})
        found = Session()
        found.location = location if find(location.place) else None
        found.typed = [str(line) for line in data.get("typed", [])][-KEPT_LINES:]
        found.marks = [str(mark) for mark in data.get("marks", [])][:KEPT_MARKS]
        found.bookmarks = {str(k): str(v) for k, v in dict(data.get("bookmarks", {})).items()}
        found.values = {str(k): dict(v) for k, v in dict(data.get("values", {})).items()}
        found.columns = _columns(data.get("columns", {}))
        found.theme = str(data.get("theme", ""))
        return found
    except (OSError, ValueError, TypeError, AttributeError):
        return Session()


def _columns(data: Any) -> dict[str, list[str]]:
    """Chosen columns by place; a list is of the time when only the runs' could be chosen."""
    by_place = data if isinstance(data, dict) else {"runs": data}
    return {str(place): [str(name) for name in names] for place, names in by_place.items() if names}


def save(path: Path, session: Session) -> None:
    """Remember a session; a disk that refuses is no reason to fail at the very end."""
    place = session.location
    data = {
        "location": {"place": place.place, "target": place.target, "line": place.line, "cursor": place.cursor}
        if place
        else None,
        "typed": session.typed[-KEPT_LINES:],
        "marks": session.marks[:KEPT_MARKS],
        "bookmarks": session.bookmarks,
        "values": session.values,
        "columns": session.columns,
        "theme": session.theme,
    }
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(data, default=str))
        os.replace(temporary, path)
