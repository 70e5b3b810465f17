"""A backend that loses replies, lists late or answers falsely: one job a run, nothing is guessed (F-34)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mlconsole.actions.context import Context, utc_now
from mlconsole.actions.sync import refresh
from mlconsole.config import load
from program import Program, wait_until


@pytest.fixture
def lied_to(cli: Program, tmp_path: Path) -> Program:
    """A console whose launches go to the fake backend; its lies are in a file that may change."""
    config = tmp_path / "config.toml"
    config.write_text(f'backend = "fake"\n[backends.fake]\ndirectory = "{tmp_path}/fake"\n')
    return replace(cli, env={**cli.env, "MLCONSOLE_CONFIG": str(config)})


def lie(tmp_path: Path, *lies: str) -> None:
    (tmp_path / "fake").mkdir(exist_ok=True)
    (tmp_path / "fake" / "lies").write_text(" ".join(lies))


def counted(program: Program, tmp_path: Path, name: str, code: str = "") -> int:
    """Launch a run that notes its start; gives the exit code of the launch."""
    words = ("sh", "-c", f'echo x >> "$0"; {code}', str(tmp_path / f"{name}-starts"))
    return program("launch", "-n", name, "--", *words).code


def starts(tmp_path: Path, name: str) -> int:
    path = tmp_path / f"{name}-starts"
    return path.read_text().count("x") if path.exists() else 0


def shown(program: Program, name: str) -> tuple[str, str | None, str]:
    found = program.json("run", "show", name)
    return found["state"], found["outcome"], found["reach"]


def test_a_lost_reply_is_settled_by_the_token_and_the_job_starts_once(lied_to: Program, tmp_path: Path) -> None:
    lie(tmp_path, "lost_reply", "late")
    assert counted(lied_to, tmp_path, "r", "exit 3") == 5

    wait_until(lambda: shown(lied_to, "r")[0] == "ended", "its end to be seen")
    assert (shown(lied_to, "r")[1], starts(tmp_path, "r")) == ("failed", 1)


def test_a_submit_that_never_arrived_is_said_to_be_none_once_that_is_certain(
    lied_to: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie(tmp_path, "unheard")
    assert counted(lied_to, tmp_path, "r") == 5
    assert shown(lied_to, "r")[:2] == ("submitting", None)

    monkeypatch.setenv("MLCONSOLE_CONFIG", lied_to.env["MLCONSOLE_CONFIG"])
    later = Context(load({"MLCONSOLE_HOME": str(lied_to.home)}), clock=lambda: utc_now() + timedelta(minutes=2))
    refresh(later)
    later.catalog.close()

    assert shown(lied_to, "r")[:2] == ("ended", "never_started")
    assert starts(tmp_path, "r") == 0


def test_a_backend_that_does_not_answer_ends_nothing(lied_to: Program, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    counted(lied_to, tmp_path, "r", f"until [ -e {gate} ]; do sleep 0.02; done; exit 4")
    lie(tmp_path, "unreachable")

    assert shown(lied_to, "r") == ("running", None, "unreachable")
    assert lied_to("run", "stop", "r", "--yes").code == 5
    gate.touch()
    lie(tmp_path)

    wait_until(lambda: shown(lied_to, "r")[0] == "ended", "its end to be seen")
    assert shown(lied_to, "r")[1] in ("failed", "cancelled")


def test_an_answer_about_another_job_is_not_taken(lied_to: Program, tmp_path: Path) -> None:
    lie(tmp_path)
    counted(lied_to, tmp_path, "good", "exit 0")
    gate = tmp_path / "gate"
    counted(lied_to, tmp_path, "long", f"until [ -e {gate} ]; do sleep 0.02; done; exit 7")
    lie(tmp_path, "reused")
    assert shown(lied_to, "long")[1] is None

    lie(tmp_path)
    gate.touch()
    wait_until(lambda: shown(lied_to, "long")[0] == "ended", "its end to be seen")
    assert (shown(lied_to, "good")[1], shown(lied_to, "long")[1]) == ("succeeded", "failed")


def test_a_teardown_is_not_done_while_the_job_is_seen_running(lied_to: Program, tmp_path: Path) -> None:
    lie(tmp_path, "keeps_running")
    counted(lied_to, tmp_path, "r", "sleep 60")

    torn = lied_to("teardown", "r", "--yes", "--grace", "0s")

    assert torn.code != 0 or "pending" in torn.out + torn.err, torn
    lie(tmp_path)
    wait_until(lambda: lied_to("teardown", "r", "--yes", "--grace", "0s").code == 0, "the teardown to be done")
    assert shown(lied_to, "r")[0] == "ended"
