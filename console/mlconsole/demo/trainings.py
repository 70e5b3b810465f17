"""Which trainings the demo launches: good ones, one that fails, one that diverges, and one that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("digits.py")
SERVED = SCRIPT.with_name("served")
"""The code that the models are released with."""
EXPERIMENT = "digits"
LONG = "long"
LONG_MINUTES = 20


@dataclass(frozen=True, slots=True)
class Training:
    """One run of the demo: its name, the flags of its script, its tags."""

    name: str
    flags: tuple[str, ...]
    tags: tuple[str, ...] = ()

    @property
    def is_long(self) -> bool:
        """True for the one that goes on while the others have ended."""
        return LONG in self.tags


def _training(name: str, flags: str, *tags: str) -> Training:
    return Training(name, tuple(flags.split()), tags)


_LONG_FLAGS = f"--model cnn --hidden 4 --lr 0.01 --epochs 100000 --pause 0.05 --minutes {LONG_MINUTES}"
LONG_ONE = _training("cnn-long", _LONG_FLAGS, LONG)
SHORT: tuple[Training, ...] = (
    _training("mlp-64", "--hidden 64 --lr 0.1", "baseline"),
    _training("mlp-64-slow", "--hidden 64 --lr 0.005", "sweep"),
    _training("mlp-16", "--hidden 16 --lr 0.05", "sweep"),
    _training("mlp-256-adam", "--hidden 256 --optimizer adam --lr 0.002", "sweep"),
    _training("cnn-8-adam", "--model cnn --hidden 8 --optimizer adam --lr 0.005", "sweep"),
    # The last batch of 1,437 images in fours holds a single one, and a batch norm cannot take that.
    _training("mlp-norm-batch-4", "--norm --batch 4 --lr 0.01", "debug"),
    # Ten is far beyond what this network bears: the loss grows past the largest number within four epochs.
    _training("mlp-lr-10", "--hidden 64 --lr 10", "debug"),
)
