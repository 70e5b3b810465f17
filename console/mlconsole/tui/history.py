"""Where a person has been: back with ``-``, and the lines typed before."""

from __future__ import annotations

from mlconsole.tui.places import Location

KEPT = 100


class Trail:
    """Visited locations, the present one last."""

    def __init__(self, start: Location) -> None:
        self._visited = [start]

    @property
    def here(self) -> Location:
        """The present location."""
        return self._visited[-1]

    @property
    def crumbs(self) -> tuple[Location, ...]:
        """The last few locations, the present one last."""
        return tuple(self._visited[-3:])

    def visit(self, location: Location) -> None:
        """Go on to another location; the same place with another filter replaces the present one."""
        same = location.place == self.here.place and location.target == self.here.target
        if same:
            self._visited[-1] = location
        else:
            self._visited.append(location)
        del self._visited[:-KEPT]

    def leave(self, cursor: str) -> None:
        """Remember where the cursor stood."""
        self._visited[-1] = self.here.at(cursor)

    def back(self) -> Location | None:
        """The location before this one, now the present one; None at the beginning."""
        if len(self._visited) < 2:
            return None
        self._visited.pop()
        return self.here
