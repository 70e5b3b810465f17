"""The registry of drift tests: one file each, loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlconsole.domain.drift import TestDefinition
from mlconsole.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from mlconsole.drift.stack import Categories, Numbers, Stack

TESTS: tuple[str, ...] = (
    "wasserstein",
    "ks",
    "jensen_shannon",
    "psi",
    "chi2",
    "chi2_fit",
    "linf",
    "cramers_v",
    "missing",
    "mmd",
)
FOR_NUMBERS = "wasserstein"
FOR_CATEGORIES = "chi2"
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Measured:
    """Effect and p-value of each window."""

    effect: np.ndarray
    p_value: np.ndarray


@dataclass(frozen=True, slots=True)
class DriftTest:
    """A test: what it is, and how it looks at a column; None where it does not take such a column.

    ``sample`` looks at rows of all numbers together, n by K and m by K, and gives effect and p-value.
    """

    definition: TestDefinition
    numbers: Callable[[Numbers], Measured] | None = None
    categories: Callable[[Categories], Measured] | None = None
    rows: Callable[[Stack], Measured] | None = None
    sample: Callable[[np.ndarray, np.ndarray], tuple[float, float]] | None = None

    @property
    def name(self) -> str:
        """As given to ``--tests``."""
        return self.definition.name


def named(name: str) -> DriftTest:
    """The test of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in TESTS:
        raise UsageError(f'No drift test "{name}".', f"Known: {', '.join(TESTS)}. See: mlconsole drift tests")
    found: DriftTest = importlib.import_module(f"mlconsole.drift.tests.{name}").TEST
    return found


def every() -> list[DriftTest]:
    """All tests."""
    return [named(name) for name in TESTS]
