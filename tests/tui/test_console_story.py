"""The way of a new user with keys alone: why did it fail, what was better, once more with another learning rate."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from consolekit import opened

from mlconsole.actions.context import Context
from mlconsole.config import Settings
from mlconsole.tui.console import Console
from program import Program, wait_until

TRAIN = """
import sys, time
import mlconsole
lr = float(sys.argv[sys.argv.index("--lr") + 1])
epochs = int(sys.argv[sys.argv.index("--epochs") + 1])
mlconsole.start_run()
loss = 2.0
for epoch in range(epochs):
    loss *= lr if lr > 1 else 1 - lr
    mlconsole.log({"val/loss": loss}, step=epoch)
    print("epoch", epoch, "loss", loss, flush=True)
    if loss > 1e6:
        raise FloatingPointError("loss diverged")
    if epochs > 100:
        time.sleep(0.1)
"""


@pytest.fixture
def trained(cli: Program) -> Program:
    """A good run and one whose learning rate was too high."""
    (cli.cwd / "train.py").write_text(TRAIN)
    for name, lr in (("good", "0.1"), ("too-fast", "1e3")):
        run = cli.launch(sys.executable, "train.py", "--lr", lr, "--epochs", "20", name=name)
        cli.ended(run)
    return cli


def console(home: Path) -> Console:
    return Console(Context(Settings(home=home, user="ada", host="here")))


async def test_from_a_failed_run_to_a_better_one_and_back_to_the_audit(trained: Program) -> None:
    async with opened(console(trained.home), (80, 24)) as user:
        await user.sees("too-fast", "✖ failed", "good")
        # Find the failing run and see why.
        await user.presses("slash")
        await user.types("state:failed")
        await user.sees_no("good")
        await user.presses("enter", "enter")
        await user.sees("FloatingPointError", "loss diverged", "val/loss")
        await user.presses("3")
        await user.sees("epoch 0", "ended  ")
        await user.presses("7")
        await user.sees("Traceback", "● running ", "✖ failed ")
        await user.waits(lambda: user.line_with("● running ").split()[1].startswith("+"), "how long after the launch")
        # Compare it with the best.
        await user.presses("minus")
        await user.sees("1 run")
        await user.presses("space", "escape")
        await user.sees("2 runs", "1 marked")
        await user.presses("colon")
        await user.types("runs sort:val/loss")
        await user.presses("enter")
        await user.waits(lambda: user.lines[3].startswith("▌ good"), "the best one first")
        await user.presses("space", "c")
        await user.sees("Compare 2 runs", "≠ lr", "1,000.0")
        await user.presses("tab")
        await user.sees("val/loss")
        # Launch it again with another learning rate, and for longer.
        await user.presses("minus", "U", "slash")
        await user.types("state:failed")
        await user.presses("enter")
        await user.waits(lambda: user.lines[3].startswith("▌ too-fast"), "the failed one")
        await user.presses("r")
        await user.sees("Launch a run again, with changes: too-fast", "command *")
        await user.types("lr=0.01")
        await user.sees("--set lr=0.01")
        await user.presses("tab")
        await user.types("slower")
        await user.presses("tab", "end", *["backspace"] * 2)
        await user.types("5000")
        await user.presses("ctrl+s")
        await user.sees("Enter does it", "as a command:", "--lr 0.01", "5000")
        await user.presses("enter")
        await user.sees("run relaunch: ", " opens it")
        # Follow its log.
        await user.presses("escape")
        await user.sees("slower", "● running")
        await user.presses("g", "L")
        await user.sees("Run slower", "following", "epoch")
        first = user.line_with("epoch")
        await user.waits(lambda: user.line_with("epoch") != first or "epoch 9" in user.text, "the log to grow")
        # Stop it.
        await user.presses("s")
        await user.sees("Enter does it", "SIGTERM")
        await user.presses("enter")
        await user.sees("run stop: ")
        await user.sees("■ cancelled")
        # See it in the audit.
        await user.presses("colon")
        await user.types("audit")
        await user.presses("enter")
        await user.sees("run stop", "run relaunch", "ada@here", "done")
    runs = {run["name"]: run for run in trained.json("run", "list")["items"]}
    assert runs["slower"]["outcome"] == "cancelled"
    assert runs["slower"]["params"]["lr"] == 0.01


async def test_a_form_comes_back_as_it_was_when_no_plan_can_be_made_of_it(cli: Program) -> None:
    cli.launch("true", "--lr", "1", name="one")
    async with opened(console(cli.home), (80, 24)) as user:
        await user.sees("one")
        await user.presses("r")
        await user.types("stepz=2")
        await user.presses("ctrl+s")
        await user.sees('The command has no flag "stepz"', "set           stepz=2", "command *     true --lr 1")
        await user.presses(*["backspace"] * 7)
        await user.types("lr=2")
        await user.presses("ctrl+s")
        await user.sees("Enter does it", "as a command:", "--lr 2")


async def test_a_live_run_shows_new_points_within_two_seconds(cli: Program) -> None:
    (cli.cwd / "train.py").write_text(TRAIN)
    cli.launch(sys.executable, "train.py", "--lr", "0.01", "--epochs", "5000", name="live")
    async with opened(console(cli.home), (80, 24)) as user:
        await user.sees("live", "● running")
        await user.presses("enter", "2")
        await user.sees("points")

        def points() -> int:
            return int(user.line_with("val/loss").split()[-1])

        await user.sees("val/loss")
        for _ in range(3):
            seen = points()
            began = time.monotonic()
            await user.waits(lambda seen=seen: points() > seen, "more points")
            assert time.monotonic() - began < 2.0


async def test_a_job_goes_on_when_the_console_ends(cli: Program) -> None:
    (cli.cwd / "train.py").write_text(TRAIN)
    run = cli.launch(sys.executable, "train.py", "--lr", "0.01", "--epochs", "5000", name="live")
    async with opened(console(cli.home), (80, 24)) as user:
        await user.sees("● running")
        await user.presses("q")
    before = cli.json("metric", "show", run, "val/loss")["values"]
    wait_until(lambda: len(cli.json("metric", "show", run, "val/loss")["values"]) > len(before), "more points")
    assert cli.json("run", "show", run)["state"] == "running"
