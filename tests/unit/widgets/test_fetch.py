from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import Queue

import pytest

from mlconsole.tui.widgets.feed import Delivery, Feed
from mlconsole.tui.widgets.fetch import Ask, Page, Request, answer, neighbours
from mlconsole.tui.widgets.jump import labels
from mlconsole.tui.widgets.rows import Direction, ListSource, Row


def row(number: int) -> Row:
    return Row(f"r{number}", ((str(number), ""),))


SOURCE = ListSource([row(number) for number in range(10)])


def keys(page: Page) -> list[str]:
    return [one.key for one in page.rows]


def test_the_start_of_a_list() -> None:
    page = answer(SOURCE, Request(Ask.START, limit=3))
    assert (keys(page), page.is_start, page.is_end) == (["r0", "r1", "r2"], True, False)


def test_the_end_of_a_list() -> None:
    page = answer(SOURCE, Request(Ask.END, limit=3))
    assert (keys(page), page.cursor, page.is_start, page.is_end) == (["r7", "r8", "r9"], 2, False, True)


def test_rows_around_a_key() -> None:
    page = answer(SOURCE, Request(Ask.AROUND, ("r5",), 2))
    assert (keys(page), page.cursor) == (["r3", "r4", "r5", "r6"], 2)


def test_rows_around_a_key_that_is_gone_are_those_around_the_next_liked() -> None:
    page = answer(SOURCE, Request(Ask.AROUND, ("gone", "r6"), 2))
    assert keys(page)[page.cursor] == "r6"


def test_rows_around_nothing_known_are_the_start() -> None:
    assert answer(SOURCE, Request(Ask.AROUND, ("gone",), 2)).is_start


def test_rows_after_an_edge_do_not_repeat_it() -> None:
    page = answer(SOURCE, Request(Ask.AFTER, ("r7",), 5))
    assert (keys(page), page.is_end) == (["r8", "r9"], True)


def test_rows_after_an_edge_that_is_gone_are_lost() -> None:
    assert answer(SOURCE, Request(Ask.AFTER, ("gone",), 5)).is_lost


def test_rows_after_an_edge_that_left_the_list_are_lost() -> None:
    class Filtered(ListSource):
        def page(self, anchor: str | None, direction: Direction, limit: int) -> Sequence[Row]:
            return [one for one in super().page(anchor, direction, limit) if one.key != "r7"]

    assert answer(Filtered([row(number) for number in range(10)]), Request(Ask.AFTER, ("r7",), 2)).is_lost


def test_neighbours_come_nearest_first() -> None:
    assert neighbours([row(number) for number in range(5)], 2)[:5] == ("r2", "r3", "r1", "r4", "r0")


def test_labels_are_different_and_of_one_length() -> None:
    for count in (1, 20, 26, 27, 200):
        found = labels(count)
        assert len(set(found)) == count
        assert len({len(label) for label in found}) == 1


class Hanging(ListSource):
    """Answers nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__([])
        self.let_go = threading.Event()

    def count(self) -> int | None:
        self.let_go.wait(10)
        return None


class Interrupted(Hanging):
    """Gives up when it is told to."""

    def stop(self) -> None:
        self.let_go.set()

    def count(self) -> int | None:
        super().count()
        raise InterruptedError


def taken(feed: Feed, deliveries: Queue[Delivery]) -> list[Delivery]:
    """Answers that are of the present source, until it owes none."""
    out = []
    while not feed.is_idle:
        delivery = deliveries.get(timeout=10)
        if feed.takes(delivery):
            out.append(delivery)
    return out


def test_a_source_that_hangs_does_not_hold_up_the_next() -> None:
    deliveries: Queue[Delivery] = Queue()
    feed, hanging = Feed(deliveries.put), Hanging()
    feed.turn_to(hanging)
    feed.ask(Request(Ask.TALLY))
    feed.turn_to(SOURCE)
    feed.ask(Request(Ask.START, limit=1))
    assert [delivery.request.ask for delivery in taken(feed, deliveries)] == [Ask.START]
    hanging.let_go.set()
    assert not feed.takes(deliveries.get(timeout=10))


def test_the_same_question_waits_only_once() -> None:
    deliveries: Queue[Delivery] = Queue()
    feed, hanging = Feed(deliveries.put), Hanging()
    feed.turn_to(hanging)
    feed.ask(Request(Ask.TALLY))
    for number in range(50):
        feed.ask(Request(Ask.UPDATE, (f"r{number}",)))
    hanging.let_go.set()
    assert [delivery.request.keys for delivery in taken(feed, deliveries)] == [(), ("r49",)]


def test_an_exception_is_an_answer() -> None:
    class Broken(ListSource):
        def count(self) -> int | None:
            raise OSError("disk gone")

    deliveries: Queue[Delivery] = Queue()
    feed = Feed(deliveries.put)
    feed.turn_to(Broken([]))
    feed.ask(Request(Ask.TALLY))
    with pytest.raises(OSError, match="disk gone"):
        found = taken(feed, deliveries)[0].answer
        assert isinstance(found, Exception)
        raise found


def test_a_source_that_is_busy_is_stopped_when_another_one_is_asked() -> None:
    old, deliveries = Interrupted(), Queue[Delivery]()
    feed = Feed(deliveries.put)
    feed.turn_to(old)
    feed.ask(Request(Ask.TALLY))
    feed.turn_to(SOURCE)
    feed.ask(Request(Ask.START, limit=3))

    assert old.let_go.is_set()
    assert [one.request.ask for one in taken(feed, deliveries)] == [Ask.START]


def test_a_source_that_has_answered_is_left_alone() -> None:
    idle, deliveries = Interrupted(), Queue[Delivery]()
    feed = Feed(deliveries.put)
    feed.turn_to(idle)
    feed.ask(Request(Ask.START, limit=3))
    taken(feed, deliveries)
    feed.turn_to(SOURCE)

    assert not idle.let_go.is_set()
