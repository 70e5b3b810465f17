"""Gates: what is asked of a release in its place before a rollout is done, and the answers."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from mlconsole.errors import UsageError
from mlconsole.records import record

DEADLINE_S = 30.0
HINT = "Write metric:NAME>=0.9, metric:NAME>=present-0.01, command:PROGRAM ARGS, or http:/PATH."
_METRIC = re.compile(r"(.+?)\s*(>=|<=|>|<)\s*(.+)")
_RELATIVE = re.compile(r"present\s*(?:([-+*])\s*(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?))?")
INCONCLUSIVE_CODE = 75
"""The exit status EX_TEMPFAIL of sysexits.h: try again later."""


class GateKind(StrEnum):
    """What is asked."""

    METRIC = "metric"
    COMMAND = "command"
    HTTP = "http"


class Answer(StrEnum):
    """What came of it. An error is a question that could not be asked; none: nothing was asked."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    NONE = "none"


class Gate(NamedTuple):
    """A question: a comparison of a metric, a command line, or a path or URL."""

    kind: GateKind
    text: str

    @property
    def words(self) -> str:
        """As it was written."""
        return f"{self.kind.value}:{self.text}"

    @property
    def is_relative(self) -> bool:
        """Whether it compares with the release that was live before."""
        return self.kind is GateKind.METRIC and "present" in comparison_of(self.text).bound


class GateAnswer(NamedTuple):
    """A gate and its answer, in words too."""

    gate: str
    answer: Answer
    words: str = ""


@record
class Comparison:
    """A metric against a bound: a number, or ``present`` with something added to it or multiplied by it."""

    metric: str
    operator: str
    bound: str

    def limit(self, present: float | None) -> float | None:
        """The number to compare with; None where it needs a present value and there is none."""
        found = _RELATIVE.fullmatch(self.bound)
        if found is None:
            return float(self.bound)
        if present is None:
            return None
        amount = float(found[2] or 0)
        return {"+": present + amount, "-": present - amount, "*": present * amount}.get(found[1] or "+", present)


def brief(words: str) -> str:
    """A gate's words as they are read: of every path in a command its last part alone."""
    kind, _, text = words.partition(":")
    if kind != GateKind.COMMAND.value:
        return words
    try:
        return f"{kind}:{shlex.join(word.rsplit('/', 1)[-1] or word for word in argv_of(text))}"
    except UsageError:
        return words


def gate_of(text: str) -> Gate:
    """The gate that a text says.

    Raises:
        UsageError: it says none.
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind not in list(GateKind) or not rest.strip():
        raise UsageError(f'"{text}" is no gate.', HINT)
    gate = Gate(GateKind(kind), rest.strip())
    if gate.kind is GateKind.METRIC:
        comparison_of(gate.text)
    elif gate.kind is GateKind.COMMAND:
        argv_of(gate.text)
    elif not gate.text.startswith(("/", "http://", "https://")):
        raise UsageError(f'"{text}" is no gate.', "Give a path of the endpoint, as in http:/health, or a whole URL.")
    return gate


def argv_of(text: str) -> list[str]:
    """The words of a command gate; no shell reads them.

    Raises:
        UsageError: quotes do not close.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f'"{text}" is no command: {error}.', HINT) from error


def comparison_of(text: str) -> Comparison:
    """The comparison of a metric gate.

    Raises:
        UsageError: it is none.
    """
    found = _METRIC.fullmatch(text)
    if found is None:
        raise UsageError(f'"{text}" compares no metric.', HINT)
    bound = found[3].strip()
    if not _RELATIVE.fullmatch(bound):
        try:
            is_number = math.isfinite(float(bound))
        except ValueError:
            is_number = False
        if not is_number:
            raise UsageError(f'"{bound}" is no bound for a metric.', HINT)
    return Comparison(found[1].strip(), found[2], bound)


def metric_answer(gate: Gate, mine: Mapping[str, float | None], present: Mapping[str, float | None]) -> GateAnswer:
    """A metric gate, asked of the metrics of the release and of the one that was live before."""
    asked = comparison_of(gate.text)
    value, limit = _number(mine.get(asked.metric)), asked.limit(_number(present.get(asked.metric)))
    if value is None:
        return GateAnswer(gate.words, Answer.INCONCLUSIVE, f'nobody has measured "{asked.metric}" of it')
    if limit is None:
        return GateAnswer(gate.words, Answer.INCONCLUSIVE, f'nobody has measured "{asked.metric}" of what was live')
    holds = {">=": value >= limit, "<=": value <= limit, ">": value > limit, "<": value < limit}[asked.operator]
    return GateAnswer(gate.words, Answer.PASS if holds else Answer.FAIL, f"{value:.6g} against {limit:.6g}")


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def together(answers: Iterable[GateAnswer]) -> Answer:
    """What gates say together: one that fails fails all, one that is open holds all, none is none."""
    found = {one.answer for one in answers}
    order = (Answer.FAIL, Answer.ERROR, Answer.INCONCLUSIVE, Answer.PASS)
    return next((answer for answer in order if answer in found), Answer.NONE)
