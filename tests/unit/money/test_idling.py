"""What is done about GPUs that are held for nothing: nothing, unless the settings say so, and then once (F-39)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlconsole.actions.context import Context
from mlconsole.config import Settings, load
from mlconsole.domain.evidence import Holder
from mlconsole.domain.gpu import DriverState, GpuReading, GpuSnapshot, Source
from mlconsole.domain.gpu_rows import GpuReport, GpuRow
from mlconsole.domain.idle import IdleClass, Step
from mlconsole.errors import ActionFailed, ConfigError
from mlconsole.policy.idling import AGAIN_S, Idling

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READING = GpuReading("lab", 0, "GPU-1", "H100", NOW)
ROW = GpuRow(
    READING, None, "r1", "churn", "ada", Holder.ENDED_RUN, IdleClass.ZOMBIE, "memory is held", Step.TEARDOWN, 12_290_000
)


class Hands:
    """Ends nothing, and remembers what it was to end; fails as often as it is told."""

    def __init__(self, fails: int = 0) -> None:
        self.did: list[tuple[str, Step]] = []
        self.fails = fails
        self.now_s = 1000.0
        self.said: list[str] = []

    def end(self, row: GpuRow) -> None:
        self.did.append((row.run_id, row.step))
        self.fails -= 1
        if self.fails >= 0:
            raise ActionFailed("it would not go")


def looks(hands: Hands, tmp_path: Path, mode: str, *rows: GpuRow, state: DriverState = DriverState.OK) -> None:
    ctx = Context(Settings(tmp_path, "ada", "lab", idle=mode), say=hands.said.append)
    idling = Idling(ctx, 1, hands.end, lambda: hands.now_s)
    for row in rows:
        idling.take(GpuReport(GpuSnapshot("lab", state), [row]))
        hands.now_s += 5.0


@pytest.mark.parametrize("mode", ["off", "proposing"])
def test_nothing_is_ended_unless_the_settings_say_so(tmp_path: Path, mode: str) -> None:
    looks(hands := Hands(), tmp_path, mode, ROW, ROW)
    assert hands.did == []


def test_a_step_is_carried_out_once_and_the_next_one_after_it(tmp_path: Path) -> None:
    stop = replace(ROW, step=Step.STOP, holder=Holder.RUN)
    looks(hands := Hands(), tmp_path, "acting", stop, stop, replace(stop, step=Step.TEARDOWN), stop)
    assert hands.did == [("r1", Step.STOP), ("r1", Step.TEARDOWN)]
    assert "$12.29/h" in hands.said[0]


def test_what_failed_is_tried_again_after_a_while(tmp_path: Path) -> None:
    looks(hands := Hands(fails=1), tmp_path, "acting", *[ROW] * 20)
    assert hands.did == [("r1", Step.TEARDOWN)] * 2
    assert "it would not go" in hands.said[0] and hands.now_s > 1000 + AGAIN_S


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, step=Step.COUNTDOWN),
        replace(ROW, step=Step.NOTIFY),
        replace(ROW, step=Step.MARK),
        replace(ROW, run_id="", holder=Holder.OTHER),
        replace(ROW, holder=Holder.UNSEEN),
        replace(ROW, holder=Holder.OTHER),
        replace(ROW, reading=replace(READING, source=Source.SIMULATED)),
        replace(ROW, reading=replace(READING, source=Source.REPLAY)),
    ],
    ids=["countdown", "notify", "kept", "a stranger's", "unseen", "no run's", "simulated", "replayed"],
)
def test_what_is_not_due_or_not_ours_or_not_live_is_left_alone(tmp_path: Path, row: GpuRow) -> None:
    looks(hands := Hands(), tmp_path, "acting", row, row)
    assert hands.did == []


def test_a_driver_that_does_not_answer_ends_nothing(tmp_path: Path) -> None:
    looks(hands := Hands(), tmp_path, "acting", ROW, state=DriverState.HUNG)
    assert hands.did == []


def test_acting_is_a_setting_of_the_file_alone_and_proposing_is_what_is_done_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    env = {"MLCONSOLE_CONFIG": str(path), "MLCONSOLE_IDLE": "acting"}
    assert load(env).idle == "proposing"
    path.write_text('idle = "acting"\n')
    assert load(env).idle == "acting"
    path.write_text('idle = "sometimes"\n')
    with pytest.raises(ConfigError, match="sometimes"):
        load(env)
