"""The way of a new user at a real terminal of 80x24: from the failed run to its successor in the audit."""

from __future__ import annotations

import sys

import pytest

from program import Program
from ptyterm import PtyTerm

TRAIN = """
import sys, time
import mlconsole
lr = float(sys.argv[sys.argv.index("--lr") + 1])
mlconsole.start_run()
loss = 2.0
for epoch in range(20 if lr != 0.02 else 100_000):
    loss *= lr if lr > 1 else 1 - lr
    mlconsole.log({"val/loss": loss}, step=epoch)
    print("epoch", epoch, "loss", loss, flush=True)
    if loss > 1e6:
        raise FloatingPointError("loss diverged")
    if lr == 0.02:
        time.sleep(0.2)
"""


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=["80x24", "200x60"])
def test_from_a_failed_run_to_its_successor(cli: Program, size: tuple[int, int]) -> None:
    (cli.cwd / "train.py").write_text(TRAIN)
    for name, lr in (("good", "0.1"), ("too-fast", "1e3")):
        cli.ended(cli.launch(sys.executable, "train.py", "--lr", lr, name=name))
    argv = [sys.executable, "-P", "-m", "mlconsole", "--catalog", str(cli.home)]
    with PtyTerm(argv, *size, {"MLCONSOLE_CONFIG": "/nonexistent"}) as term:
        term.wait_for("? help")
        term.send("/state:failed\r")
        term.wait_gone("good")
        term.send("\r")
        term.wait_for("Run too-fast")
        term.wait_for("FloatingPointError: loss diverged")
        term.send("7")
        term.wait_for("Traceback")
        term.send("-")
        term.wait_for("state:failed")
        term.wait_for("▌ too-fast")
        term.send(" \x1b")
        term.wait_for("1 marked")
        term.wait_for("good")
        term.send(":runs sort:val/loss\r")
        term.wait_for("▌ good")
        term.send(" c")
        term.wait_for("Compare 2 runs")
        term.wait_for("≠ lr")
        term.send("-")
        term.wait_for("sort:val/loss")
        term.send(":runs state:failed\r")
        term.wait_for("▌◆too-fast")
        term.send("r")
        term.wait_for("Launch a run again")
        term.send("lr=0.02\tslower\x13")
        term.wait_for("Enter does it")
        term.wait_for("--lr 0.02")
        term.send("\r")
        term.wait_for("run relaunch: ")
        term.send(":runs name:slower\r")
        term.wait_for("▌ slower")
        term.wait_for("● running")
        term.send("L")
        term.wait_for("following")
        term.wait_for("epoch 5 ")
        term.send("s")
        term.wait_for("Enter does it")
        term.send("\r")
        term.wait_for("■ cancelled")
        term.send(":audit\r")
        term.wait_for("run stop")
        term.wait_for("run relaunch")
        term.send("q")
        assert term.wait_exit() == 0
    runs = {run["name"]: run for run in cli.json("run", "list")["items"]}
    assert runs["slower"]["outcome"] == "cancelled"
    assert runs["slower"]["params"]["lr"] == 0.02
