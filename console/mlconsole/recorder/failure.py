"""How a run ended, from the exception that ended it."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Optional

from mlconsole.recorder.forking import importing

LONGEST_TRACEBACK = 64 << 10

SUCCEEDED = "succeeded"
FAILED = "failed"
CANCELLED = "cancelled"
OUTCOMES = (SUCCEEDED, FAILED, CANCELLED)


class Ending(NamedTuple):
    """An outcome, the exit code where one is known, and a traceback of any length that shows no variables."""

    outcome: str
    exit_code: Optional[int] = None
    traceback: str = ""


def ending_of(error: Optional[BaseException], exits: bool = False) -> Ending:
    """How a run ended that this exception left, or that nothing did.

    Args:
        error: the exception, if any.
        exits: the exception ends the process, so that its exit code is known.
    """
    if error is None:
        return Ending(SUCCEEDED, 0 if exits else None)
    if isinstance(error, SystemExit):
        return ending_of_exit(error.code)
    text = _text(error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        return Ending(CANCELLED, 130, text)
    return Ending(FAILED, 1 if exits else None, text)


def ending_of_exit(code: object) -> Ending:
    """How a run ended whose program called ``sys.exit`` with this."""
    if code is None:
        return Ending(SUCCEEDED, 0)
    if isinstance(code, int):
        return Ending(FAILED, int(code) & 0xFF) if code else Ending(SUCCEEDED, 0)
    return Ending(FAILED, 1, f"SystemExit: {code}")


def _text(error: BaseException, trace: Optional[TracebackType]) -> str:
    with importing:
        import traceback  # 6 ms, for the runs that fail

    try:
        lines = traceback.format_exception(type(error), error, trace)
    except Exception:  # noqa: BLE001  a foreign exception may fail to describe itself
        return type(error).__name__
    return "".join(lines)


def bounded(text: str) -> str:
    """The head and the tail of a text that is too long, with what is between them counted."""
    if len(text) <= LONGEST_TRACEBACK:
        return text
    half = LONGEST_TRACEBACK // 2 - 50
    cut = len(text) - 2 * half
    return f"{text[:half]}\n... {cut} characters cut ...\n{text[-half:]}"
