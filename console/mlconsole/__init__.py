"""mlconsole: a terminal control console for machine learning teams. This is the face of its recorder::

    import mlconsole

    with mlconsole.start_run(experiment="digits", params={"lr": 0.1}):
        for step in range(100):
            mlconsole.log({"loss": 1 / (step + 1)}, step=step)

Importing it costs next to nothing: the recorder, which needs the standard library only, is loaded at its first use.
"""

from __future__ import annotations

import sys

from mlconsole.recorder.forking import importing

if sys.version_info < (3, 9):
    raise ImportError("mlconsole's recorder needs Python 3.9 or newer")

# The real one costs the 7 ms that importing typing takes; type checkers know it by its name.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from mlconsole.recorder.active import (
        log,
        log_artifact,
        log_dataset,
        log_model,
        log_params,
        set_tags,
        start_run,
        use_model,
    )
    from mlconsole.recorder.run import Run
    from mlconsole.version import __version__

__all__ = [
    "Run",
    "__version__",
    "log",
    "log_artifact",
    "log_dataset",
    "log_model",
    "log_params",
    "set_tags",
    "start_run",
    "use_model",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from mlconsole.version import __version__ as value
    elif name in __all__:
        with importing:
            from mlconsole.recorder import active

        value = getattr(active, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
