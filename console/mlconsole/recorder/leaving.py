"""How this program ends, as far as that shows from inside it: an exception, an exit code, or its last line."""

from __future__ import annotations

import atexit
import builtins
import sys
from threading import current_thread, main_thread
from types import TracebackType
from typing import Callable, Optional

from mlconsole.recorder.failure import SUCCEEDED, Ending, ending_of, ending_of_exit

End = Callable[[Optional[Ending]], None]

_watched = False
_script: Optional[dict[str, object]] = None
_exit_codes: list[object] = []


def watch(end: End) -> None:
    """Have ``end`` called when the program ends, with how it does, or None where nobody can say; only once."""
    global _watched, _script
    if _watched:
        return
    _watched = True
    _script = _globals_of_script()
    atexit.register(lambda: end(_ending()))
    _listen_for_exceptions(end)
    _listen_for_exits()


def _globals_of_script() -> Optional[dict[str, object]]:
    """What the program's file defines, where the interpreter runs that file itself: ``python train.py``."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    found = frame.f_globals
    is_main = found is vars(sys.modules["__main__"]) and found.get("__spec__") is None
    return found if is_main and "__file__" in found else None


def _listen_for_exceptions(end: End) -> None:
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
        # In an interactive interpreter an exception ends a statement, not the program.
        if not hasattr(sys, "ps1"):
            end(ending_of(error, exits=True))
            if kind is KeyboardInterrupt:
                _be_interrupted()
        previous(kind, error, trace)

    sys.excepthook = excepthook


def _be_interrupted() -> None:
    """Have the interpreter end by SIGINT still, as shells expect after Ctrl-C.

    It does when the last text that it ran was left by KeyboardInterrupt (CPython, ``run_eval_code_obj``), and what
    is imported to record the end runs texts, too.
    """
    try:
        exec("raise KeyboardInterrupt")  # noqa: S102  a text of our own
    except KeyboardInterrupt:
        pass


def _listen_for_exits() -> None:
    """SystemExit reaches no hook and is gone when the exit functions run, so its code is noted where it is raised."""
    previous = sys.exit

    def exit_noting(code: object = None) -> None:
        _note(code)
        previous(code)  # type: ignore[arg-type]

    sys.exit = exit_noting  # type: ignore[assignment]
    quitter = type(getattr(builtins, "exit", None))
    if quitter.__module__ == "_sitebuiltins":
        quits = quitter.__call__

        def quit_noting(self: object, code: object = None) -> None:
            _note(code)
            quits(self, code)

        quitter.__call__ = quit_noting  # type: ignore[method-assign]


def _note(code: object) -> None:
    if current_thread() is main_thread():
        _exit_codes[:] = [code]


def _ending() -> Optional[Ending]:
    """How the program ended, when its exit functions run.

    CPython takes ``__file__`` away from a script that has come to its end or to an exception, and not from one that
    SystemExit left (``_PyRun_SimpleFile``).
    """
    if _script is not None and "__file__" not in _script:
        error = _last_error(_script)
        return Ending(SUCCEEDED, 0) if error is None else ending_of(error, exits=True)
    if _exit_codes:
        return ending_of_exit(_exit_codes[0])
    return None if _script is not None else Ending(SUCCEEDED, 0)


def _last_error(script: dict[str, object]) -> Optional[BaseException]:
    """The exception that ended the script, where a hook that was set later kept it from ours."""
    error = getattr(sys, "last_value", None)
    trace = getattr(error, "__traceback__", None)
    if hasattr(sys, "ps1") or trace is None or trace.tb_frame.f_globals is not script:
        return None
    return error if trace.tb_frame.f_code.co_name == "<module>" else None
