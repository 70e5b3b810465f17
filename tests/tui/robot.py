"""A user made of code: it presses keys and looks at the screen, and its scripts read as a user's story.

async with robot(App(), size=(80, 24)) as user:
    await user.sees("3 runs")
    await user.presses("j", "enter")
    await user.sees("loss")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.app import App
from textual.pilot import Pilot

DEADLINE_S = 10.0


class Robot:
    """Drives an app through Textual's Pilot; every look waits until the screen agrees or the deadline passes."""

    def __init__(self, pilot: Pilot[Any]) -> None:
        self.pilot = pilot
        self.app: App[Any] = pilot.app

    @property
    def lines(self) -> list[str]:
        """The screen, line by line, without trailing blanks."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """The screen."""
        return "\n".join(self.lines)

    def line_with(self, text: str) -> str:
        """The first line that shows ``text``."""
        found = [line for line in self.lines if text in line]
        assert found, f"{text!r} is not on the screen:\n{self.text}"
        return found[0]

    async def presses(self, *keys: str) -> None:
        """Press keys, by Textual's names."""
        await self.pilot.press(*keys)

    async def types(self, text: str) -> None:
        """Type text, character by character."""
        await self.pilot.press(*text)

    async def clicks(self, column: int, line: int, times: int = 1) -> None:
        """Click on a cell of the screen."""
        await self.pilot.click(offset=(column, line), times=times)

    async def resizes(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        await self.pilot.resize_terminal(columns, lines)

    async def sees(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        for text in texts:
            await self.waits(lambda text=text: text in self.text, f"{text!r} on the screen")

    async def sees_no(self, *texts: str) -> None:
        """Wait until none of these is on the screen."""
        for text in texts:
            await self.waits(lambda text=text: text not in self.text, f"no {text!r} on the screen")

    async def waits(self, claim: Callable[[], object], what: str = "a claim to hold") -> None:
        """Wait until ``claim()`` is true."""
        end = time.monotonic() + DEADLINE_S
        await self.pilot.pause()
        while not claim():
            assert time.monotonic() < end, f"waited for {what}; the screen shows:\n{self.text}"
            await asyncio.sleep(0.005)
            await self.pilot.pause()


@asynccontextmanager
async def robot(app: App[Any], size: tuple[int, int] = (80, 24)) -> AsyncIterator[Robot]:
    """A robot in front of a running app."""
    async with app.run_test(size=size) as pilot:
        yield Robot(pilot)
