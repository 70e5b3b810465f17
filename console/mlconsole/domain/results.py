"""What actions give back: plain values that every front end can show as text, JSON or widgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from mlconsole.records import field, record

T = TypeVar("T")


@record
class Listing(Generic[T]):
    """Many things of one kind.

    ``columns`` asks for a table of these columns; ``more`` says that there are more; ``failed`` that they are what a
    check found wrong; ``empty`` is said where there are none, instead of what is said of the kind.
    """

    kind: str
    items: Sequence[T]
    columns: tuple[str, ...] = ()
    more: bool = False
    total: int | None = None
    failed: bool = False
    empty: str = ""


@record
class Done:
    """An action that changed something and has little else to say.

    ``kind`` names what was changed; ``fields`` go into the JSON document; ``data`` is what a script wants on stdout.
    """

    kind: str
    message: str
    data: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)


@record
class Updates:
    """Results that follow each other, each one whole: lines for a person, one object a line for a script."""

    items: Iterator[object]


@record
class TextChunk:
    """Bytes to be shown as they are.

    ``kind`` is ``log`` for a piece of what a stranger's program wrote, cut anywhere, and ``file`` for a document of our
    own making.
    """

    data: bytes
    kind: str = "log"
