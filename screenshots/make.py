"""Renders every screen of the console from a real catalog, as SVG and PNG.

Usage: python screenshots/make.py CATALOG [NAME ...]

CATALOG is the demo's (``make demo HEADLESS=1`` makes it in ``.demo/catalog``). PNGs need Chromium, which draws braille
from whatever font has it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlconsole import config
from mlconsole.actions.context import Context
from mlconsole.tui.console import Console
from mlconsole.tui.places import Location
from mlconsole.tui.sources import usual_columns

HERE = Path(__file__).parent
SIZE = (120, 32)
FONT = "DejaVu Sans Mono"
#: From a deployment's release to its model, the run behind it, and what that was made from.
BACK = ("enter", "j", "enter", "j", "enter")


@dataclass(frozen=True)
class Picture:
    """One picture: where to go, which keys to press, how large the terminal is, and where GPUs are read from."""

    name: str
    location: Location
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = SIZE
    gpus: str = ""


PICTURES = (
    Picture("overview", Location("overview"), size=(120, 18)),
    Picture("runs", Location("runs", line="sort:val/loss cols:val/loss,val/acc,lr,hidden,optimizer,duration")),
    Picture("run", Location("run", "mlp-64"), size=(130, 32)),
    Picture("run-failed", Location("run", "mlp-norm-batch-4", cursor="timeline")),
    Picture("run-nan", Location("run", "mlp-lr-10")),
    Picture("log", Location("run", "mlp-64", cursor="log")),
    Picture("params", Location("run", "mlp-64", cursor="params")),
    Picture("compare", Location("compare", "mlp-64,mlp-16,mlp-64-slow,cnn-8-adam")),
    Picture("curves", Location("compare", "mlp-64,mlp-16,mlp-64-slow,cnn-8-adam", cursor="curves"), size=(130, 30)),
    Picture("stop-plan", Location("runs", line="state:running"), ("s",)),
    Picture("launch-form", Location("runs"), ("l",)),
    Picture("palette", Location("runs"), ("ctrl+p",)),
    Picture("experiments", Location("experiments")),
    Picture("lineage", Location("lineage", "prod"), ("w", "j", *BACK), size=(110, 22)),
    Picture("models", Location("models")),
    Picture("model-lineage", Location("model", "digits@1", cursor="lineage")),
    Picture("gpus", Location("gpus"), size=(140, 24), gpus="simulated"),
    Picture("gpu", Location("gpu", "6"), ("3",), size=(120, 20), gpus="simulated"),
    Picture("cost", Location("cost"), size=(120, 24)),
    Picture("jobs", Location("jobs")),
    Picture("audit", Location("audit")),
    Picture("alerts", Location("alerts"), size=(120, 24)),
    Picture("incident", Location("alert", "monitor:churn"), size=(120, 24)),
    Picture("policies", Location("policies"), size=(140, 24)),
    Picture("environment", Location("environment", "prod"), size=(120, 22)),
    Picture("gates", Location("environment", "prod", cursor="gates"), size=(120, 22)),
    Picture("rollback-plan", Location("environment", "prod"), ("b", "tab", *"model", "ctrl+s")),
    Picture("loop", Location("alert", "monitor:digits-live"), size=(140, 45)),
    Picture("help", Location("runs"), ("question_mark",)),
    Picture("run-80x24", Location("run", "mlp-64"), size=(80, 24)),
    Picture("runs-80x24", Location("runs"), size=(80, 24)),
    Picture("runs-200x60", Location("runs"), size=(200, 60)),
)


async def draw(catalog: Path, picture: Picture) -> str:
    """The SVG of one picture."""
    ctx = Context(config.load({"TERM": "xterm-256color", "MLCONSOLE_GPUS": picture.gpus}, catalog=str(catalog)))
    app = Console(ctx, picture.location, usual=usual_columns(ctx.catalog))
    async with app.run_test(size=picture.size) as pilot:
        await settled(app, pilot)
        for key in picture.keys:
            await pilot.press(key)
            await settled(app, pilot)
        return app.export_screenshot(title="mlconsole")


async def settled(app: Console, pilot: object) -> None:
    """Wait until nothing is on its way to the screen."""
    for _ in range(12):
        await pilot.pause(0.1)  # type: ignore[attr-defined]
    while app.reads.waiting_s or app.doing.waiting_s:
        await pilot.pause(0.05)  # type: ignore[attr-defined]


def apart(text: re.Match[str]) -> str:
    """A text whose braille stands in texts of its own: it comes from another font, and would stretch all of them."""
    before, x, between, length, after, content = text.groups()
    cells = re.findall(r"&[^;]+;|.", content)
    step = float(length) / max(1, len(cells))
    out, at = "", 0
    for _, run in itertools.groupby(cells, lambda cell: "\u2800" <= cell <= "\u28ff"):
        part = list(run)
        where = f'x="{float(x) + at * step:.1f}"{between}textLength="{len(part) * step:.1f}"'
        out += f"<text {before}{where}{after}>{''.join(part)}</text>"
        at += len(part)
    return out or text[0]


def save(svg: str, name: str) -> None:
    """Write the SVG, and the PNG where there is a Chromium to draw it."""
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", FONT)
    svg = re.sub(r'<text ([^>]*?)x="([\d.]+)"([^>]*?)textLength="([\d.]+)"([^>]*)>([^<]*)</text>', apart, svg)
    (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if browser is None or found is None:
        return
    size = ",".join(str(math.ceil(float(side))) for side in found.groups())
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
    picture, page = HERE / f"{name}.png", (HERE / f"{name}.svg").as_uri()
    subprocess.run([browser, *flags, f"--screenshot={picture}", page], check=True, capture_output=True, timeout=60)


def main(argv: Sequence[str] | None = None) -> None:
    """Render the pictures that were asked for, or all."""
    parser = argparse.ArgumentParser(description="Render the console's screens.")
    parser.add_argument("catalog", type=Path)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args(argv)
    for picture in PICTURES:
        if not args.names or picture.name in args.names:
            save(asyncio.run(draw(args.catalog, picture)), picture.name)
            print(picture.name)


if __name__ == "__main__":
    main()
