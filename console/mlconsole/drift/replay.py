"""Judging stored windows anew: all of them at once, column by column, from their counts alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mlconsole.domain.drift import ColumnProfile, NumberShape, Profile, Rule, Verdict
from mlconsole.drift.compare import Plan, chosen_tests, measured
from mlconsole.drift.stack import Stack, cells_of
from mlconsole.drift.tests import DriftTest

if TYPE_CHECKING:
    import numpy as np

ROWS, MEAN, STD, BEYOND = 0, 6, 7, slice(10, 12)
FACTS = 12
NULLS_AND_WRONG = (1, 3, 4, 5)


class Judged:
    """Effects and chances of many windows, ready to be judged by any rule.

    Attributes:
        effects: W windows by T tests; not a number where one could not be made.
        chances: the same of p-values.
        floors: the tests' floors.
        names: column and test of each.
    """

    def __init__(
        self, effects: np.ndarray, chances: np.ndarray, floors: np.ndarray, names: list[tuple[str, str]]
    ) -> None:
        self.effects, self.chances, self.floors, self.names = effects, chances, floors, names

    def drifted(self, level: float, factor: float = 1.0) -> np.ndarray:
        """Which tests of which windows say drift: Benjamini and Hochberg 1995 along each window."""
        import numpy as np

        if not self.chances.size:
            return np.zeros(self.chances.shape, dtype=bool)
        known = ~np.isnan(self.chances)
        filled = np.where(known, self.chances, 2.0)
        order = np.argsort(filled, axis=1)
        ranked = np.take_along_axis(filled, order, axis=1)
        many = known.sum(axis=1, keepdims=True)
        fits = ranked * many <= level * np.arange(1, ranked.shape[1] + 1)
        last = np.where(fits.any(axis=1), ranked.shape[1] - 1 - np.argmax(fits[:, ::-1], axis=1), -1)
        limit = np.where(last >= 0, np.take_along_axis(ranked, np.maximum(last, 0)[:, None], axis=1)[:, 0], -1.0)
        found: np.ndarray = known & (filled <= limit[:, None]) & (self.effects >= self.floors * factor)
        return found

    def verdicts(self, level: float, factor: float = 1.0) -> list[Verdict]:
        """The verdict of each window."""
        import numpy as np

        drifted = np.asarray(self.drifted(level, factor).any(axis=1)).tolist()
        known = np.asarray((~np.isnan(self.effects)).any(axis=1)).tolist()
        return [
            Verdict.DRIFT if is_drift else Verdict.OK if is_known else Verdict.INSUFFICIENT
            for is_drift, is_known in zip(drifted, known, strict=True)
        ]

    def columns_drifted(self, level: float) -> list[int]:
        """How many columns drifted in each window; one that did so in several slices or tests counts once."""
        import numpy as np

        columns = [name for name, _ in self.names]
        found = self.drifted(level)
        return [len({columns[place] for place in np.flatnonzero(row)}) for row in found]

    def worst(self, window: int) -> tuple[str, str, float, float]:
        """Column, test, effect and effect in floors of the one that counts most."""
        import numpy as np

        if not self.effects.size or np.isnan(self.effects[window]).all():
            return "", "", 0.0, 0.0
        with np.errstate(over="ignore"):
            weights = self.effects[window] / self.floors
        place = int(np.nanargmax(weights))
        return *self.names[place], float(self.effects[window][place]), float(weights[place])


def judge(baseline: Profile, numbers: np.ndarray, plan: Plan) -> Judged:
    """The effects and chances of windows.

    Args:
        baseline: what they are compared with.
        numbers: a row a window, as :func:`mlconsole.catalog.profiles.window_numbers` gives them.
        plan: which tests of which columns.
    """
    import numpy as np

    effects, chances, floors, names = [], [], [], []
    for stack in _stacks(baseline, numbers):
        if plan.columns and stack.reference.name not in plan.columns:
            continue
        for test in chosen_tests(stack.reference, plan):
            effect, chance = _measured(stack, test, plan.rule)
            effects.append(effect)
            chances.append(chance)
            floors.append(plan.rule.floor(test.definition))
            names.append((stack.reference.name, test.name))
    shape = (len(numbers), 0)
    whole = np.stack(effects, axis=1) if effects else np.zeros(shape)
    return Judged(whole, np.stack(chances, axis=1) if chances else np.zeros(shape), np.array(floors), names)


def _measured(stack: Stack, test: DriftTest, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    sizes = stack.rows if test.rows is not None else stack.n
    own = stack.reference.rows if test.rows is not None else stack.reference.values
    effect, chance = np.full(len(sizes), np.nan), np.full(len(sizes), np.nan)
    enough = np.flatnonzero((sizes >= rule.fewest) & (own >= rule.fewest))
    if not len(enough):
        return effect, chance
    picked = stack.pick(enough)
    found, _ = measured(picked, test, names_worst=False)
    effect[enough], chance[enough] = found.effect, found.p_value
    if test.rows is not None and not stack.reference.missing:
        chance[(stack.missing == 0) & ~np.isnan(chance)] = np.nan
    return effect, chance


def _stacks(baseline: Profile, numbers: np.ndarray) -> Iterator[Stack]:
    """Each column, its counts in all windows behind each other; see ``FACTS`` of the catalog's profiles."""
    place = 0
    for column in _every(baseline):
        facts = numbers[:, place : place + FACTS]
        width = cells_of(column)
        cells = numbers[:, place + FACTS : place + FACTS + width]
        place += FACTS + width
        missing = facts[:, NULLS_AND_WRONG].sum(axis=1)
        is_number = isinstance(column.shape, NumberShape)
        beyond = facts[:, BEYOND] if is_number else facts[:, BEYOND] * 0
        yield Stack(column, facts[:, ROWS], missing, cells, beyond, facts[:, STD], facts[:, MEAN])


def _every(baseline: Profile) -> Iterator[ColumnProfile]:
    yield from baseline.columns
    for one in baseline.slices:
        yield from one.columns


def stacked(windows: Sequence[object]) -> np.ndarray:
    """Rows of numbers, one a window, as one array."""
    import numpy as np

    return np.array([np.frombuffer(one, dtype=np.float64) for one in windows])  # type: ignore[call-overload]
