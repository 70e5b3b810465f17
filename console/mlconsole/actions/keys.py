"""Which action has which key, and what a screen must offer for it.

A screen binds its keys by this list alone: loading what all of them do is a sixth of the console's start, 60 ms.
"""

from __future__ import annotations

from mlconsole.records import record


@record
class Keyed:
    """An action that has a key.

    Attributes:
        name: the action's.
        key: as Textual names it.
        wants: what the cursor must stand on, or several things; see :attr:`~mlconsole.actions.base.Option.cursor`.
        only_reads: it changes nothing, and is there in a console that is read-only.
    """

    name: str
    key: str
    wants: frozenset[str] = frozenset()
    only_reads: bool = False

    @property
    def word(self) -> str:
        """What it is called beside its key."""
        return self.name.rpartition(" ")[2]


_RUN, _MARKED = frozenset({"run"}), frozenset({"marked"})
_MODEL, _ENVIRONMENT = frozenset({"model_name", "model_version"}), frozenset({"environment"})
_ALERT, _MONITOR, _FIRING = frozenset({"alert"}), frozenset({"monitor"}), frozenset({"firing"})
KEYED: tuple[Keyed, ...] = (
    Keyed("launch", "l"),
    Keyed("run show", "enter", _RUN, only_reads=True),
    Keyed("run logs", "L", _RUN, only_reads=True),
    Keyed("run stop", "s", _MARKED),
    Keyed("run relaunch", "r", _RUN),
    Keyed("run compare", "c", _MARKED, only_reads=True),
    Keyed("run tag", "t", _RUN),
    Keyed("run rename", "m", _RUN),
    Keyed("run delete", "D", _MARKED),
    Keyed("run export", "x", _MARKED, only_reads=True),
    Keyed("report", "R", _MARKED, only_reads=True),
    Keyed("report monitor", "P", _MONITOR, only_reads=True),
    Keyed("teardown", "T", _MARKED),
    Keyed("gpu keep", "K", frozenset({"gpu"})),
    Keyed("model alias", "a", _MODEL),
    Keyed("lineage page", "W", frozenset({"node"}), only_reads=True),
    Keyed("env rollout", "p", _ENVIRONMENT),
    Keyed("env abort", "u", _ENVIRONMENT),
    Keyed("env repair", "M", _ENVIRONMENT),
    Keyed("rollback", "b", _ENVIRONMENT),
    Keyed("alert ack", "A", _ALERT),
    Keyed("alert snooze", "Z", _ALERT),
    Keyed("monitor check", "C", _MONITOR),
    Keyed("monitor rebaseline", "B", _MONITOR),
    Keyed("policy accept", "d", _FIRING),
    Keyed("policy decline", "n", _FIRING),
)
