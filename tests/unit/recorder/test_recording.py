"""What a training process records, seen from the files it leaves."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest
from recorded import RUN_ID, Trainer

from mlconsole import config
from mlconsole.recorder import places


def test_a_run_records_metrics_params_tags_and_its_end(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        with mlconsole.start_run("digits", "first", params={"lr": 0.1}, tags={"team": "vision"}) as run:
            for step in range(3):
                mlconsole.log({"loss": 1.0 / (step + 1)}, step=step * 10)
            mlconsole.log_params({"depth": 3})
            mlconsole.set_tags(["kept"], remove=["team"])
        """)
    log = trainer.log()
    assert log.steps("loss") == [0, 10, 20]
    assert log.values("loss") == [1.0, 0.5, 1 / 3]
    assert [event["params"] for event in log.of("params")] == [{"lr": 0.1}, {"depth": 3}]
    tags = [(event["set"], event["remove"]) for event in log.of("tags")]
    assert tags == [({"team": "vision"}, []), ({"kept": ""}, ["team"])]
    start, end = log.last("start"), log.last("end")
    assert (start["experiment"], start["name"], start["parent"]) == ("digits", "first", None)
    assert (end["outcome"], end["lost"], end["traceback"]) == ("succeeded", 0, "")
    assert log.damage == []


def test_the_log_says_who_wrote_it_and_a_marker_points_to_it(trainer: Trainer) -> None:
    trainer.run("import mlconsole; mlconsole.start_run()")
    log, (marker,) = trainer.log(), trainer.markers()
    opened = log.events[0]
    assert (opened["e"], opened["format"]) == ("open", 1)
    for fact in ("pid", "start_ticks", "boot_id", "host"):
        assert opened[fact] == marker[fact]
    assert (marker["run"], marker["writer"]) == (log.run_id, log.path.name)
    assert str(marker["pid_ns"]).startswith("pid:[")
    (path,) = (trainer.home / "live").iterdir()
    assert path.name == f"{log.run_id}--{log.path.stem}.json"


def test_without_a_step_a_counter_of_the_process_gives_it(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        for value in range(4):
            mlconsole.log({"a": value})
        mlconsole.log({"b": 1}, step=100)
        mlconsole.log({"a": 9})
        """)
    assert trainer.log().steps("a") == [0, 1, 2, 3, 4]
    assert trainer.log().steps("b") == [100]


def test_nan_and_infinities_are_data(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        for value in (float("nan"), float("inf"), -float("inf")):
            mlconsole.log({"loss": value})
        mlconsole.log_params({"worst": float("nan")})
        """)
    values = trainer.log().values("loss")
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]
    assert math.isnan(trainer.log().last("params")["params"]["worst"])  # type: ignore[index]


def test_anything_with_a_float_is_a_metric(trainer: Trainer) -> None:
    trainer.run("""
        import decimal, fractions, mlconsole
        class Tensor:
            def __float__(self):
                return 2.5
        half, quarter = decimal.Decimal("0.5"), fractions.Fraction(1, 4)
        mlconsole.log({"t": Tensor(), "d": half, "f": quarter, "b": True, "i": 7})
        """)
    log = trainer.log()
    values = {key: log.values(key) for key in log.series}
    assert values == {"t": [2.5], "d": [0.5], "f": [0.25], "b": [1.0], "i": [7.0]}


def test_a_tensor_with_a_gradient_is_a_metric_without_a_warning(trainer: Trainer) -> None:
    done = trainer.run("""
        import mlconsole, warnings
        class Loss:
            def __float__(self):
                warnings.warn("a tensor with requires_grad", UserWarning)
                return 1.0
            def item(self):
                return 0.5
        for step in range(3):
            mlconsole.log({"loss": Loss(), "lr": 0.1}, step=step)
        mlconsole.log({"loss": "none", "lr": 0.1}, step=3)
        """)
    log = trainer.log()
    assert (log.values("loss"), log.steps("lr")) == ([0.5, 0.5, 0.5], [0, 1, 2, 3])
    assert log.last("end")["lost"] == 1
    assert "'loss' got no number" in done.stderr


def test_nested_metrics_and_keys_that_are_no_text_get_names(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        for step in range(2):
            mlconsole.log({"train": {"loss": 1, "top": {5: 2}}, 3: 4})
        """)
    log = trainer.log()
    assert {key: log.values(key) for key in log.series} == {
        "train/loss": [1.0, 1.0],
        "train/top/5": [2.0, 2.0],
        "3": [4.0, 4.0],
    }


def test_a_value_that_is_no_number_is_counted_and_the_others_are_kept(trainer: Trainer) -> None:
    done = trainer.run("""
        import mlconsole
        class Broken:
            def __float__(self):
                raise RuntimeError("device lost")
        mlconsole.start_run()
        for step in range(3):
            mlconsole.log({"good": step, "text": "0.5", "huge": 10**400, "broken": Broken(), "none": None})
        """)
    log = trainer.log()
    assert log.values("good") == [0.0, 1.0, 2.0]
    assert set(log.series) == {"good"}
    assert log.last("end")["lost"] == 12
    assert "'text'" in str(log.last("note")["text"])
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["mlconsole", "mlconsole"]
    assert "12 of" in done.stderr


WRONG_CALLS = ["log(None)", "log(3)", "log({'a': 1}, step='x')", "log({'a': 1}, step=2**70)"]


@pytest.mark.parametrize("call", WRONG_CALLS)
def test_a_wrong_call_is_counted_and_never_raises(trainer: Trainer, call: str) -> None:
    trainer.run(f"import mlconsole; mlconsole.{call}; mlconsole.log({{'good': 1}}, step=5)")
    assert trainer.log().steps("good") == [5]
    assert trainer.log().last("end")["lost"] == 1


def test_wrong_arguments_elsewhere_never_raise(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        run = mlconsole.start_run(params=3, tags=5)
        run.log_params(None)
        run.set_tags(7)
        run.log_artifact("missing.bin")
        run.log_artifact(None)
        run.log_model("missing.pt")
        run.log_dataset(object())
        run.end("finished")
        run.end()
        run.log({"late": 1})
        """)
    end = trainer.log().last("end")
    assert (end["outcome"], end["lost"]) == ("failed", 8)


def test_very_many_metrics_in_one_call_are_all_kept(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        for step in range(2):
            mlconsole.log({f"k{i}": i for i in range(9_000)}, step=step)
        """)
    log = trainer.log()
    expected = {f"k{i}": ([0, 1], [float(i)] * 2) for i in range(9_000)}
    assert {key: (log.steps(key), log.values(key)) for key in log.series} == expected


def test_more_schemas_than_the_format_has_go_on_in_a_further_file(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        for step in range(65_540):
            mlconsole.log({f"k{step}": step}, step=step)
        """)
    logs = trainer.logs()
    assert len(logs) == 2
    found = {key: log.values(key) for log in logs for key in log.series}
    assert found == {f"k{i}": [float(i)] for i in range(65_540)}
    assert [log.last("end")["outcome"] for log in logs] == ["succeeded", "succeeded"]


def test_params_of_any_kind_are_kept_as_what_they_are_or_as_text(trainer: Trainer) -> None:
    trainer.run(r"""
        import argparse, mlconsole, pathlib
        loop = []
        loop.append(loop)
        mlconsole.log_params(argparse.Namespace(
            big=2**100, vast=10**5000, text="\ud800\x00\x1b[2J", flag=True, none=None, tuple=(1, "a"),
            nested={1: {"deep": [1.5]}}, path=pathlib.PurePosixPath("/data"), kind=int, loop=loop,
        ))
        """)
    params = trainer.log().last("params")["params"]
    assert isinstance(params, dict)
    assert params["big"] == 2**100
    assert params["vast"].startswith("0x")
    assert params["text"] == "\ud800\x00\x1b[2J"
    assert (params["flag"], params["none"], params["tuple"]) == (True, None, [1, "a"])
    assert params["nested"] == {"1": {"deep": [1.5]}}
    assert (params["path"], params["kind"]) == ("/data", "<class 'int'>")


def test_hostile_names_are_kept_as_they_are(trainer: Trainer) -> None:
    trainer.run(r"""
        import mlconsole
        text = "\x1b]0;x\x07[/red]\u202e\ud83d\x00../../etc"
        mlconsole.start_run(text, text, params={text: text}, tags={text: text})
        mlconsole.log({text: 1})
        """)
    text = "\x1b]0;x\x07[/red]\u202e\ud83d\x00../../etc"
    log = trainer.log()
    assert (log.last("start")["experiment"], log.last("start")["name"]) == (text, text)
    assert log.last("params")["params"] == {text: text} == log.last("tags")["set"]
    assert log.values(text) == [1.0]


def test_the_first_log_call_starts_a_run_by_itself(trainer: Trainer) -> None:
    trainer.run("import mlconsole; mlconsole.log({'a': 1})")
    assert trainer.log().last("end")["outcome"] == "succeeded"


def test_a_nested_run_names_its_parent_and_the_outer_one_is_active_again(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        with mlconsole.start_run(name="outer"):
            with mlconsole.start_run(name="inner"):
                mlconsole.log({"inner": 1})
            mlconsole.log({"outer": 1})
        """)
    outer, inner = trainer.logs()
    assert inner.last("start")["parent"] == outer.run_id
    assert (set(outer.series), set(inner.series)) == ({"outer"}, {"inner"})


def test_runs_started_one_after_another_without_a_block_are_no_children(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        for i in range(3):
            mlconsole.start_run()
        mlconsole.start_run(nested=True)
        """)
    logs = trainer.logs()
    assert [log.last("start")["parent"] for log in logs] == [None, None, None, logs[2].run_id]


def test_a_launched_program_writes_to_its_run_and_its_later_runs_are_children(trainer: Trainer) -> None:
    trainer.environ["MLCONSOLE_RUN_ID"] = RUN_ID
    trainer.run("""
        import mlconsole
        with mlconsole.start_run("given", "named"):
            pass
        with mlconsole.start_run():
            pass
        mlconsole.log({"after": 1})
        """)
    first, child, again = trainer.logs()
    assert first.run_id == again.run_id == RUN_ID != child.run_id
    assert (first.last("start")["launched"], first.last("start")["name"]) == (True, "named")
    assert (child.last("start")["launched"], child.last("start")["parent"]) == (False, RUN_ID)
    assert again.values("after") == [1.0]


@pytest.mark.parametrize("text", ["../../../tmp/x", "/etc", "a b", "0123456789AB", "x" * 500, "\ud800"])
def test_a_run_id_that_is_none_stands_for_a_safe_one(text: str) -> None:
    assert places.is_id(places.as_id(text))
    assert places.as_id(text) == places.as_id(text) != places.as_id(text + "2")


def test_ids_are_random_and_of_one_form() -> None:
    ids = {places.new_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(places.is_id(run_id) and set(run_id) <= set(places.ID_ALPHABET) for run_id in ids)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MLCONSOLE_HOME": "/lab", "XDG_DATA_HOME": "/x"}, "/lab"),
        ({"XDG_DATA_HOME": "/x"}, "/x/mlconsole"),
        ({}, str(Path("~/.local/share/mlconsole").expanduser())),
    ],
)
def test_the_catalog_is_found_as_the_console_finds_it(environ: dict[str, str], expected: str) -> None:
    environ = {"MLCONSOLE_CONFIG": "/nonexistent", **environ}

    assert places.home(environ) == expected == str(config.load(environ).home)


@pytest.mark.parametrize("variable", ["MLCONSOLE_CONFIG", "XDG_CONFIG_HOME"])
def test_a_script_logs_to_the_catalog_of_the_settings_file(tmp_path: Path, variable: str) -> None:
    file = tmp_path / "mlconsole" / "config.toml"
    file.parent.mkdir()
    file.write_text('theme = "light"\nhome = "/lab/ours"  # for all of us\n')
    environ = {variable: str(file if variable == "MLCONSOLE_CONFIG" else tmp_path), "XDG_DATA_HOME": "/x"}

    assert places.home(environ) == "/lab/ours" == str(config.load(environ).home)
    assert places.home({**environ, "MLCONSOLE_HOME": "/mine"}) == "/mine"


@pytest.mark.parametrize("content", [b"home = ", b"home = 3", b"\xff\xfe", b"", b'[machine]\nhome = "/no"'])
def test_a_settings_file_that_says_nothing_usable_stops_no_training(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)

    assert places.home({"MLCONSOLE_CONFIG": str(file), "XDG_DATA_HOME": "/x"}) == "/x/mlconsole"


@pytest.mark.parametrize(
    "text",
    [
        'home = "/lab"',
        "theme='dark'\r\n  home   =  '/a b\\c'   # where\r\n",
        '"home" = "/tab\\tquote\\"é\\u00e9"\n[machine]\nhome = "/other"',
        '# home = "/no"\nhome = "~/lab#1"',
        '[machine]\ninstance = "x"',
        'homes = "/no"\nthe.home = "/no"',
    ],
)
def test_a_python_without_toml_reads_the_same_home(text: str) -> None:
    assert places.home_in(text) == tomllib.loads(text).get("home", "")
