"""The filter language: ``loss<0.3 and lr=0.01 and not tag:debug sort:-loss cols:lr,loss``.

::

    line       = { term }                      terms side by side mean "and"
    term       = or-chain | "sort:" keys | "cols:" keys
    or-chain   = and-chain { "or" and-chain }
    and-chain  = factor { ["and"] factor }
    factor     = ["not" | "!"] factor | "(" or-chain ")" | test
    test       = field op value | field ":" value | "has:" field | word
    field      = name | ("metric." | "param." | "tag.") name | ("min" | "max" | "last" | "count" | "step") "(" name ")"
    op         = "<" | "<=" | ">" | ">=" | "=" | "==" | "!=" | "~" | "!~"

A bare word is part of a run's name. Quotes keep spaces and operators together. ``~`` means "contains".
"""

from __future__ import annotations

import re
from enum import StrEnum

from mlconsole.domain.query_tokens import Token, tokenize
from mlconsole.errors import QueryError
from mlconsole.records import field, record, replace

BUILTINS = (
    "id", "name", "experiment", "state", "outcome", "exit_code", "reason", "reach", "backend", "host", "user",
    "command", "created", "started", "ended", "duration", "age", "gpus", "gpu_hours", "cost", "commit", "parent",
)  # fmt: skip
TIME_FIELDS = frozenset({"created", "started", "ended"})
DURATION_FIELDS = frozenset({"duration", "age"})
NUMBER_FIELDS = frozenset({"exit_code", "gpus", "gpu_hours", "cost"})
AGGREGATES = frozenset({"min", "max", "last", "count", "step"})
ALIASES = {"created_at": "created", "started_at": "started", "ended_at": "ended", "duration_s": "duration",
           "cost_usd": "cost", "exp": "experiment", "parent_id": "parent", "status": "state"}  # fmt: skip
MAX_DEPTH = 64


class FieldKind(StrEnum):
    """Where a field's value lives. ``ANY`` is a bare name: a metric or a param, whichever the catalog has."""

    BUILTIN = "builtin"
    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    ANY = "any"


@record
class Field:
    """What a test or a sort looks at. ``aggregate`` picks a metric's number; ``last`` unless said."""

    kind: FieldKind
    name: str
    aggregate: str = "last"
    start: int = 0
    end: int = 0


@record
class Compare:
    """``field op value``; ``op`` is one of ``< <= > >= = != ~ !~``. ``start`` and ``end`` locate the value's token."""

    field: Field
    op: str
    value: str
    quoted: bool = False
    start: int = 0
    end: int = 0

    @property
    def number(self) -> float | None:
        """The value as a number (``1e-3``, ``nan``, ``inf`` included), None if it is not one."""
        if self.quoted:
            return None
        try:
            return float(self.value)
        except ValueError:
            return None


@record
class Has:
    """True for runs that have the field at all."""

    field: Field


@record
class Not:
    """True where ``item`` is not, rows without the field included."""

    item: Expression


@record
class And:
    """True where every item is."""

    items: tuple[Expression, ...]


@record
class Or:
    """True where an item is."""

    items: tuple[Expression, ...]


Expression = Compare | Has | Not | And | Or


@record
class Sort:
    """One sort key; rows without the field come last in either direction."""

    field: Field
    descending: bool = False


@record
class Query:
    """A parsed line: what to keep, in which order, which columns to show. Empty parts mean the default."""

    where: Expression | None = None
    sort: tuple[Sort, ...] = ()
    columns: tuple[str, ...] = ()
    text: str = field(default="", compare=False)


def parse(text: str) -> Query:
    """The query of a line.

    Raises:
        QueryError: the line does not parse; the error points at the token.
    """
    return _Parser(text).parse()


def with_me(item: Expression, user: str) -> Expression:
    """The expression with ``user:me`` meaning that user; a quoted "me" stays a name."""
    if isinstance(item, Compare):
        is_me = item.field.kind is FieldKind.BUILTIN and item.field.name == "user" and item.value == "me"
        return replace(item, value=user) if is_me and not item.quoted else item
    if isinstance(item, Not):
        return Not(with_me(item.item, user))
    if isinstance(item, And):
        return And(tuple(with_me(part, user) for part in item.items))
    return Or(tuple(with_me(part, user) for part in item.items)) if isinstance(item, Or) else item


def parse_field(name: str, *, text: str = "", start: int = 0, end: int = 0) -> Field:
    """The field a name stands for: ``state``, ``loss``, ``metric.loss``, ``param.lr``, ``tag.team``, ``min(loss)``."""
    aggregate, inner = "last", name
    match = re.fullmatch(r"(\w+)\((.+)\)", name)
    if match and match.group(1) in AGGREGATES:
        return Field(FieldKind.METRIC, match.group(2).removeprefix("metric."), match.group(1), start, end)
    for prefix, kind in (
        ("metric.", FieldKind.METRIC),
        ("metrics.", FieldKind.METRIC),
        ("param.", FieldKind.PARAM),
        ("params.", FieldKind.PARAM),
        ("tag.", FieldKind.TAG),
        ("tags.", FieldKind.TAG),
    ):
        if inner.startswith(prefix) and len(inner) > len(prefix):
            return Field(kind, inner[len(prefix) :], aggregate, start, end)
    plain = ALIASES.get(inner, inner)
    if plain in BUILTINS:
        return Field(FieldKind.BUILTIN, plain, aggregate, start, end)
    if not inner:
        raise QueryError("A field's name is missing here.", text=text, start=start, end=end)
    return Field(FieldKind.ANY, inner, aggregate, start, end)


def parse_sort(text: str) -> tuple[Sort, ...]:
    """Sort keys of ``-loss,name``: a leading ``-`` sorts from high to low."""
    keys = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(Sort(parse_field(key.lstrip("-+")), key.startswith("-")) for key in keys)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.at = 0
        self.depth = 0
        self.sort: tuple[Sort, ...] = ()
        self.columns: tuple[str, ...] = ()

    def parse(self) -> Query:
        where = self.disjunction() if self.tokens else None
        if (token := self.peek()) is not None:
            raise self.error('Nothing is open here to close with ")".', token)
        return Query(where, self.sort, self.columns, self.text)

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self, wanted: str) -> Token:
        token = self.peek()
        if token is None:
            end = len(self.text)
            raise QueryError(f"The filter ends where {wanted} is expected.", text=self.text, start=end, end=end + 1)
        self.at += 1
        return token

    def error(self, message: str, token: Token, hint: str = "") -> QueryError:
        return QueryError(message, hint, text=self.text, start=token.start, end=token.end)

    def at_word(self, *words: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "word" and token.text.lower() in words

    def disjunction(self) -> Expression | None:
        items = [self.conjunction()]
        while self.at_word("or"):
            token = self.next("or")
            items.append(self.conjunction())
            if items[-1] is None or items[-2] is None:
                raise self.error('"or" needs a test on both sides.', token)
        kept = [item for item in items if item is not None]
        return kept[0] if len(kept) == 1 else Or(tuple(kept)) if kept else None

    def conjunction(self) -> Expression | None:
        items: list[Expression] = []
        while (token := self.peek()) is not None and token.kind != "close" and not self.at_word("or"):
            if self.at_word("and"):
                self.next("and")
                if not items or self.peek() is None or self.at_word("and", "or"):
                    raise self.error('"and" needs a test on both sides.', token)
                continue
            if (item := self.factor()) is not None:
                items.append(item)
        return items[0] if len(items) == 1 else And(tuple(items)) if items else None

    def factor(self) -> Expression | None:
        if self.at_word("not") and not self._is_field():
            token = self.next("not")
            return Not(self._required(token))
        token = self.next("a test")
        if token.kind == "open":
            return self._group(token)
        if token.kind == "op":
            raise self.error(f'"{token.text}" needs a field on its left, as in loss{token.text}0.3.', token)
        return self._test(token)

    def _is_field(self) -> bool:
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        return after is not None and after.kind == "op"

    def _required(self, token: Token) -> Expression:
        self._enter(token)
        item = self.factor() if self.peek() is not None else None
        self.depth -= 1
        if item is None:
            raise self.error('"not" needs a test after it.', token)
        return item

    def _enter(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"More than {MAX_DEPTH} levels of nesting.", token)

    def _group(self, token: Token) -> Expression:
        self._enter(token)
        item = self.disjunction()
        self.depth -= 1
        close = self.peek()
        if close is None or close.kind != "close":
            raise self.error("This parenthesis is never closed.", token, 'Add ")".')
        self.at += 1
        if item is None:
            raise self.error("These parentheses hold no test.", token)
        return item

    def _test(self, token: Token) -> Expression | None:
        following = self.peek()
        if token.kind == "word" and token.text in AGGREGATES and self._touches(token, following, "open"):
            return self._aggregate(token)
        if following is None or following.kind != "op":
            name = Field(FieldKind.BUILTIN, "name", start=token.start, end=token.end)
            return Compare(name, "~", token.text, True, token.start, token.end)
        return self._operator(token, self.next("an operator"))

    @staticmethod
    def _touches(token: Token, following: Token | None, kind: str) -> bool:
        return following is not None and following.kind == kind and following.start == token.end

    def _aggregate(self, token: Token) -> Expression:
        self.next("(")
        name = self.next("a metric's name")
        close = self.next('")"')
        if close.kind != "close" or name.kind not in ("word", "text"):
            raise self.error(f"{token.text}(...) takes the name of one metric.", close)
        place = Field(FieldKind.METRIC, name.text.removeprefix("metric."), token.text, token.start, close.end)
        return self._compare(place, self.next("an operator"))

    def _operator(self, token: Token, op: Token) -> Expression | None:
        head = token.text.lower() if token.kind == "word" else ""
        if op.text == ":" and head in ("sort", "cols", "columns"):
            self._view(head, self._value(op))
            return None
        if op.text == ":" and head == "has":
            value = self._value(op)
            return Has(parse_field(value.text, text=self.text, start=value.start, end=value.end))
        if op.text == ":" and head == "tag":
            return self._tag(self._value(op))
        if token.kind == "text":
            place = Field(FieldKind.ANY, token.text, start=token.start, end=token.end)
        else:
            place = parse_field(token.text, text=self.text, start=token.start, end=token.end)
        return self._compare(place, op)

    def _view(self, head: str, value: Token) -> None:
        text = value.text
        while (more := self.peek()) is not None and more.start == value.end and more.kind in ("word", "open", "close"):
            text, value = text + more.text, self.next("a name")
        if head == "sort":
            self.sort += parse_sort(text)
        else:
            self.columns += tuple(part for part in text.split(",") if part)

    def _tag(self, value: Token) -> Expression:
        key = Field(FieldKind.TAG, value.text, start=value.start, end=value.end)
        after = self.peek()
        if after is not None and after.kind == "op" and after.start == value.end:
            return self._compare(key, self.next("an operator"))
        return Has(key)

    def _value(self, op: Token) -> Token:
        value = self.next(f'a value after "{op.text}"')
        if value.kind not in ("word", "text"):
            raise self.error(f'A value is expected after "{op.text}", not "{value.text}".', value)
        return value

    def _compare(self, place: Field, op: Token) -> Compare:
        if op.kind != "op":
            raise self.error("An operator is expected here: < <= > >= = != ~ :", op)
        value = self._value(op)
        text, end = value.text, value.end
        # A time holds colons; the pieces of 2026-01-02T10:30 touch each other.
        while value.kind == "word" and (more := self.peek()) is not None and more.start == end and more.text == ":":
            self.at += 1
            piece = self.peek()
            joined = piece.text if piece is not None and piece.kind == "word" and piece.start == more.end else ""
            self.at += bool(joined)
            text, end = f"{text}:{joined}", more.end + len(joined)
        word = {"==": "=", ":": "="}.get(op.text, op.text)
        if op.text == ":" and place.kind is FieldKind.BUILTIN and place.name in ("name", "command", "reason"):
            word = "~"
        return Compare(place, word, text, value.kind == "text", value.start, end)
