"""Figures that waver are shown as they were while they waver by little, so that a link is not kept busy by noise."""

from __future__ import annotations

from collections.abc import Hashable


class Steady:
    """What was shown last of each figure.

    What is shown is never further from the present figure than it was allowed to be; a larger change shows at once.
    """

    def __init__(self) -> None:
        self._shown: dict[Hashable, float] = {}

    def __call__(self, key: Hashable, value: float, within: float) -> float:
        """The figure to show for ``value``: the one before, unless that is more than ``within`` away."""
        before = self._shown.get(key)
        if before is not None and abs(value - before) <= within:
            return before
        self._shown[key] = value
        return value
