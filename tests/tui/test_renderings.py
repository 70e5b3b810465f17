"""Every screen at three sizes and in every mode, against what was stored.

The text and the styles are those of the bytes that a terminal would get. After a change that is meant:

    MLCONSOLE_STORE_RENDERINGS=1 python -m pytest tests/tui/test_renderings.py

and look at the difference in ``tests/tui/renderings`` before it is taken in.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pyte
import pytest
from consolekit import opened, settled, stage
from morningkit import morning
from rich.color import ColorSystem
from robot import Robot

from mlconsole.tui.console import Console
from mlconsole.tui.history import Trail
from mlconsole.tui.painted_app import _placed
from mlconsole.tui.painter import Painter
from mlconsole.tui.places import Location
from mlconsole.tui.widgets.look import Look

STORED = Path(__file__).with_name("renderings")
STORES = bool(os.environ.get("MLCONSOLE_STORE_RENDERINGS"))
SIZES = ((80, 24), (120, 40), (200, 60))
SCREENS: dict[str, tuple[Location, tuple[str, ...]]] = {
    "overview": (Location("overview"), ()),
    "runs": (Location("runs", line="sort:-lr cols:lr,optimizer,val/acc,duration"), ("space",)),
    "run": (Location("run", "live"), ()),
    "run-params": (Location("run", "broken", cursor="params"), ()),
    "run-timeline": (Location("run", "broken", cursor="timeline"), ()),
    "compare": (Location("compare", "broken,live"), ()),
    "curves": (Location("compare", "broken,live", cursor="curves"), ()),
    "gpus": (Location("gpus"), ()),
    "gpu-tiles": (Location("gpus"), ("H",)),
    "gpu": (Location("gpu", "0"), ()),
    "run-gpus": (Location("run", "live", cursor="gpus"), ()),
    "cost": (Location("cost"), ()),
    "experiments": (Location("experiments"), ()),
    "models": (Location("models"), ()),
    "model": (Location("model", "digits@2"), ()),
    "lineage": (Location("lineage"), ()),
    "lineage-of": (Location("lineage", "digits@2"), ("j", "j", "enter")),
    "run-lineage": (Location("run", "live", cursor="lineage"), ()),
    "jobs": (Location("jobs"), ()),
    "audit": (Location("audit"), ()),
    "environments": (Location("environments"), ()),
    "environment": (Location("environment", "prod"), ()),
    "environment-contracts": (Location("environment", "prod", cursor="contracts"), ()),
    "environment-rollout": (Location("environment", "staging", cursor="rollout"), ()),
    "sweeps": (Location("sweeps"), ()),
    "help": (Location("runs"), ("question_mark",)),
    "palette": (Location("runs"), ("ctrl+p",)),
    "launch": (Location("runs"), ("l",)),
    "stop": (Location("runs", line="name:live"), ("s",)),
}
MORNING: dict[str, tuple[Location, tuple[str, ...]]] = {
    "run-log": (Location("run", "broken", cursor="log"), ()),
    "run-environment": (Location("run", "broken", cursor="environment"), ()),
    "run-code": (Location("run", "broken", cursor="code"), ()),
    "run-artifacts": (Location("run", "broken", cursor="artifacts"), ()),
    "scatter": (Location("compare", "broken,live", cursor="scatter"), ()),
    "overview-firing": (Location("overview"), ()),
    "alerts": (Location("alerts"), ()),
    "alert": (Location("alert", "monitor:churn"), ()),
    "policies": (Location("policies"), ()),
    "policy": (Location("policy", "retrain"), ()),
    "monitors": (Location("monitors"), ()),
    "monitor": (Location("monitor", "sales"), ()),
}
"""Screens of the catalog after a night: one console shows them all."""


@dataclass(frozen=True)
class Mode:
    """One way to draw: a palette, what colours the terminal has, and whether it has only ASCII."""

    palette: str
    system: ColorSystem | None = ColorSystem.EIGHT_BIT
    is_ascii: bool = False


MODES = {
    "dark": Mode("dark", ColorSystem.TRUECOLOR),
    "light": Mode("light", ColorSystem.TRUECOLOR),
    "contrast": Mode("contrast", ColorSystem.TRUECOLOR),
    "colour-blind": Mode("colour-blind", ColorSystem.TRUECOLOR),
    "256": Mode("dark"),
    "16": Mode("terminal", ColorSystem.STANDARD),
    "mono": Mode("mono", None),
    "ascii": Mode("mono", None, is_ascii=True),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog under a path that is the same everywhere, and that no other test has been at."""
    monkeypatch.chdir(tmp_path)
    return stage(Path("lab")).home


def painted(user: Robot, mode: Mode) -> pyte.Screen:
    """The terminal after the console's present frame was sent to it."""
    size = user.app.size
    screen = pyte.Screen(*size)
    strips = user.app.screen._compositor.render_strips()
    lines = [(y, _placed([strip], 0)) for y, strip in enumerate(strips)]
    pyte.Stream(screen).feed(Painter(is_ascii=mode.is_ascii).paint(lines, tuple(size), mode.system))
    return screen


def text_of(screen: pyte.Screen) -> str:
    return "\n".join(line.rstrip() for line in screen.display) + "\n"


def styles_of(screen: pyte.Screen) -> str:
    """For each line the runs of cells that look alike: how many, and how they look."""
    out = []
    for y in range(screen.lines):
        runs: list[tuple[str, int]] = []
        for x in range(screen.columns):
            look = _look(screen.buffer[y][x])
            if runs and runs[-1][0] == look:
                runs[-1] = (look, runs[-1][1] + 1)
            else:
                runs.append((look, 1))
        out.append(" ".join(f"{count}{look}" for look, count in runs))
    return "\n".join(out) + "\n"


def _look(char: pyte.screens.Char) -> str:
    words = [name for name in ("bold", "underscore", "reverse") if getattr(char, name)]
    words += [char.fg] if char.fg != "default" and char.data != " " else []
    words += [f"on-{char.bg}"] if char.bg != "default" else []
    return f"[{','.join(words)}]" if words else ""


def agree(name: str, found: str) -> None:
    path = STORED / name
    if STORES:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert path.exists(), f"nothing stored for {name}; see this file's docstring"
    assert found == path.read_text(encoding="utf-8"), f"{name} is drawn otherwise than stored"


async def shown(user: Robot, name: str) -> None:
    app = user.app
    assert isinstance(app, Console)
    location, keys = (SCREENS | MORNING)[name]
    app.marks.clear()
    app._use(Look("dark"))
    app.go(location)
    await settled(user)
    for key in keys:
        await user.presses(key)
        await settled(user)


async def drawn(user: Robot, mode: Mode) -> pyte.Screen:
    app = user.app
    assert isinstance(app, Console)
    # A frame of Textual's own costs as much again.
    quiet = nullcontext() if app.screen.is_modal else app.batch_update()
    with quiet:
        app._use(Look(mode.palette, mode.is_ascii))
        await user.pilot.pause()
        if mode.is_ascii:
            app.look_again()  # Rows are read with drawings in ASCII.
            await settled(user)
        return painted(user, mode)


async def in_every_mode(user: Robot, name: str) -> None:
    """One text for all modes, and for each of them its styles, and the text in ASCII."""
    dark = text_of(await drawn(user, MODES["dark"]))
    agree(f"{name}.txt", dark)
    styles = []
    for mode_name, mode in MODES.items():
        screen = await drawn(user, mode)
        text = text_of(screen)
        if mode.is_ascii:
            assert text.isascii()
            agree(f"{name}-ascii.txt", text)
        else:
            assert text == dark, f"{mode_name} shows other words than dark"
            styles.append(f"--- {mode_name}\n{styles_of(screen)}")
        if mode.system is None:
            cells = (char for row in screen.buffer.values() for char in row.values())
            assert all(char.fg == char.bg == "default" for char in cells)
    agree(f"{name}.styles", "".join(styles))


async def of_every_size(user: Robot, name: str) -> None:
    for size in SIZES:
        await user.resizes(*size)
        await shown(user, name)
        await in_every_mode(user, f"{name}-{size[0]}x{size[1]}")
        for _ in user.app.screen_stack[2:]:
            await user.presses("escape")


@pytest.mark.parametrize("name", SCREENS)
async def test_a_screen_is_drawn_as_stored(home: Path, name: str) -> None:
    async with opened(stage(home, read_only=False).console(Location("audit")), SIZES[0]) as user:
        await of_every_size(user, name)


@pytest.mark.timeout(600)  # A hundred pictures, half a second each on a quiet machine.
async def test_the_screens_of_a_morning_are_drawn_as_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    console = morning(Path("lab"), read_only=False).console(Location("audit"))
    async with opened(console, SIZES[0]) as user:
        for name in MORNING:
            console.trail = Trail(Location("audit"))  # No screen tells of those before it.
            await of_every_size(user, name)


@pytest.mark.parametrize("place", ["run", "alert", "policies", "monitor", "compare"])
async def test_a_resize_storm_ends_in_the_picture_of_that_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    target = {"run": "broken", "alert": "monitor:churn", "monitor": "sales", "compare": "broken,live"}.get(place, "")
    console = morning(Path("lab")).console(Location(place, target))
    async with opened(console, SIZES[0]) as user:
        await user.sees("✖ 6", "? 1")
        quiet = user.lines
        for size in ((40, 10), (200, 60), (20, 5), (1, 1), (120, 40), (79, 23), SIZES[0]):
            await user.resizes(*size)
        await settled(user)
        await user.waits(lambda: user.lines == quiet, "the picture of before")
