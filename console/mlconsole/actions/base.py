"""The Action: one object for each verb, from which come its command, key, form, confirmation, audit row and docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mlconsole.domain.plans import Effect, Plan
from mlconsole.records import MISSING, Field, field, record

if TYPE_CHECKING:
    import dataclasses

    from mlconsole.actions.context import Context
    from mlconsole.config import Settings

P = TypeVar("P")
Required: Any = MISSING


@record
class Action(Generic[P]):
    """A verb.

    Attributes:
        name: ``noun verb`` as on the command line, or one word for those at the top.
        summary: one line, no full stop.
        params: a record whose fields were made with :func:`param`.
        effect: how much it changes.
        run: does it and returns a result that ``render`` knows.
        plan: says what ``run`` would do; every action that is not READ has one.
        disabled: why it cannot be done now, or None.
        target: what it acts on, in a word or two, for the audit log.
        key: the key on screens where the thing under the cursor fits its params; may be empty.
        streams: ``run`` returns an iterator of results that are shown as they come.
        settings: what it works with instead of the session's settings, for a catalog of its own.
        file: the file that a READ action writes for the person who asked; None where that is standard output.
        examples: whole command lines that its help shows.
    """

    name: str
    summary: str
    params: type[P]
    effect: Effect
    run: Callable[[Context, P], object]
    plan: Callable[[Context, P], Plan] | None = None
    disabled: Callable[[Context, P], str | None] | None = None
    target: Callable[[P], str] = lambda params: ""
    key: str = ""
    streams: bool = False
    settings: Callable[[Settings, P], Settings] | None = None
    file: Callable[[P], str | None] = lambda params: None
    examples: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """The first word of the name."""
        return self.name.partition(" ")[0]

    @property
    def verb(self) -> str:
        """The rest of the name; empty for a verb at the top."""
        return self.name.partition(" ")[2]


@record
class Option:
    """How one param of an action appears.

    Attributes:
        help: one line.
        positional: given by place on the command line instead of by flag.
        choices: the only values allowed; empty means any.
        cursor: what the cursor on a screen fills in: ``run``, ``marked``, ``metric``, ...
        metavar: the word for the value in help.
        short: one letter for a short flag.
        remainder: takes everything behind ``--``.
        private: of a ``KEY=VALUE`` only the key is kept in the audit log, of any other text nothing.
        asked: a form asks for it though it may be left out, because it changes what is done.
    """

    help: str
    positional: bool = False
    choices: tuple[str, ...] = ()
    cursor: str = ""
    metavar: str = ""
    short: str = ""
    remainder: bool = False
    private: bool = False
    asked: bool = False


def param(default: Any = Required, *, help: str, **kwargs: Any) -> Any:
    """A record's field that is a param of an action; keyword arguments as in :class:`Option`."""
    metadata = {"option": Option(help=help, **kwargs)}
    if default is Required:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def option_of(one: Field | dataclasses.Field[Any]) -> Option:
    """The option that a params field was made with."""
    option = one.metadata["option"]
    assert isinstance(option, Option)
    return option


@record
class NoParams:
    """For actions that take none."""
