from __future__ import annotations

import threading

from mlconsole.policy.duties import Duties, Duty
from program import wait_until


def test_a_duty_that_is_woken_does_not_sit_out_its_pause() -> None:
    rounds: list[int] = []
    duties = Duties(lambda words: None)
    duties.start([Duty("seldom", lambda: rounds.append(1), 3600.0)])
    wait_until(lambda: len(rounds) == 1, "its first round")

    duties.wake("seldom")

    wait_until(lambda: len(rounds) == 2, "another one")
    duties.stop()


def test_what_wakes_a_duty_at_its_work_brings_another_round() -> None:
    at_work, goes_on, rounds = threading.Event(), threading.Event(), []

    def work() -> None:
        rounds.append(1)
        at_work.set()
        goes_on.wait(30)

    duties = Duties(lambda words: None)
    duties.start([Duty("slow", work, 3600.0)])
    at_work.wait(30)
    duties.wake("slow")
    goes_on.set()

    wait_until(lambda: len(rounds) == 2, "another round")
    duties.stop()


def test_duties_end_in_the_middle_of_their_pause() -> None:
    duties = Duties(lambda words: None)
    duties.start([Duty("paused", lambda: None, 3600.0)])
    (thread,) = [each for each in threading.enumerate() if each.name == "mlconsole-paused"]

    duties.stop()

    thread.join(10)
    assert not thread.is_alive()
