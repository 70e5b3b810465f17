"""How a run ends is recorded as it was: an exception, an exit code, Ctrl-C, or nothing at all."""

from __future__ import annotations

import signal
import subprocess

import pytest
from recorded import Trainer


def test_an_exception_that_leaves_the_block_fails_the_run_and_goes_on(trainer: Trainer) -> None:
    done = trainer.run(
        """
        import mlconsole
        def step():
            raise ValueError("diverged")
        with mlconsole.start_run():
            try:
                {}["missing"]
            except KeyError as error:
                step()
        """,
        status=1,
    )
    end = trainer.log().last("end")
    assert "ValueError: diverged" in done.stderr
    assert end["outcome"] == "failed"
    assert "KeyError: 'missing'" in str(end["traceback"])
    assert str(end["traceback"]).endswith("ValueError: diverged\n")


def test_an_uncaught_exception_without_a_block_fails_the_run(trainer: Trainer) -> None:
    done = trainer.run("import mlconsole; mlconsole.start_run(); raise OSError('no data')", status=1)
    end = trainer.log().last("end")
    assert (end["outcome"], end["exit_code"]) == ("failed", 1)
    assert "OSError: no data" in str(end["traceback"])
    assert "OSError: no data" in done.stderr


def test_a_hook_that_was_there_before_is_called_after(trainer: Trainer) -> None:
    done = trainer.run(
        """
        import mlconsole, sys
        sys.excepthook = lambda kind, error, trace: print("earlier hook", error)
        mlconsole.start_run()
        raise ValueError("x")
        """,
        status=1,
    )
    assert done.stdout == "earlier hook x\n"
    assert trainer.log().last("end")["outcome"] == "failed"


ENDINGS = [
    ("", "succeeded", 0),
    ("0", "succeeded", 0),
    ("None", "succeeded", 0),
    ("3", "failed", 3),
    ("'no'", "failed", 1),
]


@pytest.mark.parametrize(("code", "outcome", "exit_code"), ENDINGS)
@pytest.mark.parametrize("block", [True, False])
def test_an_exit_code_is_the_runs_outcome(
    trainer: Trainer, code: str, outcome: str, exit_code: int, block: bool
) -> None:
    opening = "with mlconsole.start_run(): " if block else "mlconsole.start_run(); "
    trainer.run(f"import mlconsole, sys\n{opening}sys.exit({code})", status=exit_code)
    end = trainer.log().last("end")
    assert (end["outcome"], end["exit_code"]) == (outcome, exit_code)


@pytest.mark.parametrize("leave", ["exit(3)", "quit(3)"])
def test_the_exit_of_an_interactive_session_counts_in_a_script_too(trainer: Trainer, leave: str) -> None:
    trainer.run(f"import mlconsole\nmlconsole.start_run()\n{leave}", status=3)
    end = trainer.log().last("end")
    assert (end["outcome"], end["exit_code"]) == ("failed", 3)


def test_an_exit_that_was_caught_is_no_end(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole, sys
        mlconsole.start_run()
        try:
            sys.exit(3)
        except SystemExit:
            pass
        """)
    end = trainer.log().last("end")
    assert (end["outcome"], end["exit_code"]) == ("succeeded", 0)


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_that_nobody_saw_is_not_called_a_success(trainer: Trainer, code: int) -> None:
    trainer.run(f"import mlconsole\nmlconsole.start_run()\nraise SystemExit({code})", status=code)
    log = trainer.log()
    assert log.of("end") == []
    assert "exit code is not known" in str(log.last("note")["text"])


def test_an_exception_fails_the_run_though_a_later_hook_keeps_it(trainer: Trainer) -> None:
    done = trainer.run(
        """
        import mlconsole, sys
        mlconsole.start_run()
        sys.excepthook = lambda kind, error, trace: print("later hook")
        raise ValueError("x")
        """,
        status=1,
    )
    assert done.stdout == "later hook\n"
    end = trainer.log().last("end")
    assert (end["outcome"], end["exit_code"]) == ("failed", 1)
    assert "ValueError: x" in str(end["traceback"])


def test_ctrl_c_ends_the_program_as_it_would_without_a_recorder(trainer: Trainer) -> None:
    trainer.run("import mlconsole\nmlconsole.start_run()\nraise KeyboardInterrupt", status=-signal.SIGINT)
    end = trainer.log().last("end")
    assert (end["outcome"], end["exit_code"]) == ("cancelled", 130)


def test_ctrl_c_cancels_the_run(trainer: Trainer) -> None:
    process = trainer.start("""
        import mlconsole, os, signal, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Also where the tests were started in the background.
        mlconsole.start_run()
        os.write(1, b"!")
        while True:  # One long wait could begin after the signal came, and never see it.
            time.sleep(0.05)
        """)
    assert process.stdout is not None
    with process.stdout as stream:
        stream.read(1)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert trainer.log().last("end")["outcome"] == "cancelled"


def test_an_exception_in_an_interactive_session_ends_nothing(trainer: Trainer) -> None:
    code = "import mlconsole\nrun = mlconsole.start_run()\n1/0\nmlconsole.log({'after': 1})\nexit()\n"
    subprocess.run(
        [trainer.executable, "-i", "-q"],
        input=code,
        env=trainer.environment(),
        cwd=trainer.work,
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert trainer.log().values("after") == [1.0]
    assert trainer.log().last("end")["outcome"] == "succeeded"


def test_a_long_traceback_keeps_its_head_and_its_tail(trainer: Trainer) -> None:
    code = "import mlconsole\nwith mlconsole.start_run(): raise ValueError('begin ' + 'x' * 200_000 + ' the end')"
    trainer.run(code, status=1)
    text = str(trainer.log().last("end")["traceback"])
    assert len(text) <= 64 << 10
    assert text.startswith("Traceback")
    assert "ValueError: begin" in text
    assert text.endswith("the end\n")


def test_a_traceback_shows_no_variables(trainer: Trainer) -> None:
    code = "import mlconsole\nwith mlconsole.start_run():\n    x = 'val' + 'ue-of-x'\n    raise ValueError"
    trainer.run(code, status=1)
    assert "value-of-x" not in str(trainer.log().last("end")["traceback"])


def test_an_exception_that_cannot_describe_itself_is_recorded(trainer: Trainer) -> None:
    trainer.run(
        """
        import mlconsole
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError
        with mlconsole.start_run():
            raise Mute
        """,
        status=1,
    )
    assert "Mute" in str(trainer.log().last("end")["traceback"])


def test_end_is_written_once_and_with_what_it_was_told(trainer: Trainer) -> None:
    trainer.run("""
        import mlconsole
        with mlconsole.start_run() as run:
            run.end("cancelled", exit_code=7)
        """)
    (end,) = trainer.log().of("end")
    assert (end["outcome"], end["exit_code"]) == ("cancelled", 7)
