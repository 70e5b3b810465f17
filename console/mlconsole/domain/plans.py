"""Plans: what an action would do, said before it does it."""

from __future__ import annotations

from enum import StrEnum

from mlconsole.records import record


class Effect(StrEnum):
    """How much an action changes."""

    READ = "read"
    WRITE = "write"
    DESTROY = "destroy"


@record
class Step:
    """One thing a plan does, in words, and what it touches; ``warns`` where a person has to see it first."""

    text: str
    touches: str = ""
    warns: bool = False


@record
class Plan:
    """The steps of an action in order.

    ``cost_microusd`` is None when the cost is not known. ``irreversible`` lists what cannot be undone. ``confirm``
    is the text to type for a large blast radius, empty when a key is enough. ``command`` is the same thing as a
    command line.
    """

    action: str
    effect: Effect
    steps: tuple[Step, ...]
    cost_microusd: int | None = None
    irreversible: tuple[str, ...] = ()
    confirm: str = ""
    command: str = ""
