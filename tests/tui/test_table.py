from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from robot import Robot, robot
from textual.app import App, ComposeResult

from mlconsole.tui.widgets.columns import Column
from mlconsole.tui.widgets.look import Look
from mlconsole.tui.widgets.rows import Direction, ListSource, Row, RowSource
from mlconsole.tui.widgets.table import Table
from mlconsole.tui.widgets.table_feed import SETTLED_S

COLUMNS = (
    Column("name", "NAME", width=20, least=10, most=40, priority=0),
    Column("loss", "LOSS", right=True, width=9, priority=10),
    Column("user", "USER", width=10, priority=40),
)


def run(number: int, loss: float | None = None) -> Row:
    return Row(
        f"id{number:04}", ((f"run-{number:04}", "name"), (f"{loss or number / 100:.2f}", "value"), ("ada", "dim"))
    )


def runs(*numbers: int) -> list[Row]:
    return [run(number) for number in numbers]


class Live(ListSource):
    """A list that others change while it is looked at."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(rows)

    def become(self, rows: Sequence[Row]) -> None:
        super().__init__(rows)


class TableApp(App[None]):
    def __init__(self, source: RowSource, **options: Any) -> None:
        super().__init__(ansi_color=True)
        self.look = options.pop("look", Look())
        self.now = 1000.0
        self.table = Table(source, COLUMNS, clock=lambda: self.now, **options)
        self.heard: list[Any] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()

    def on_table_selected(self, event: Table.Selected) -> None:
        self.heard.append(("selected", event.key))

    def on_table_marks_changed(self, event: Table.MarksChanged) -> None:
        self.heard.append(("marks", event.count))

    def on_table_sort_wanted(self, event: Table.SortWanted) -> None:
        self.heard.append(("sort", event.column))

    def on_table_failed(self, event: Table.Failed) -> None:
        self.heard.append(("failed", str(event.error)))

    def on_table_tallied(self, event: Table.Tallied) -> None:
        self.heard.append(("total", event.total))

    def rests(self) -> None:
        """Time passes in which no key is pressed."""
        self.now += SETTLED_S


async def settled(user: Robot, app: TableApp) -> None:
    await user.waits(lambda: app.table.is_settled, "all answers")


async def test_rows_stand_under_their_titles() -> None:
    async with robot(TableApp(ListSource(runs(1, 2)))) as user:
        await user.sees("run-0001", "NAME", "LOSS", "USER")
        title, row = user.line_with("LOSS"), user.line_with("run-0001")
        assert title.index("LOSS") + len("LOSS") == row.index("0.01") + len("0.01")


async def test_keys_move_the_cursor_and_enter_opens_its_row() -> None:
    app = TableApp(ListSource(runs(*range(99))))
    async with robot(app) as user:
        await user.sees("run-0000")
        await user.presses("j", "j", "k", "down", "enter")
        assert app.heard[-1] == ("selected", "id0002")


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        (["G"], "id4999"),
        (["G", "g"], "id0000"),
        (["end", "k"], "id4998"),
        (["pagedown"], "id0022"),
        (["ctrl+f", "ctrl+b"], "id0000"),
        (["ctrl+d"], "id0011"),
        (["pagedown"] * 3 + ["home"], "id0000"),
    ],
)
async def test_far_moves_reach_their_row(keys: list[str], key: str) -> None:
    app = TableApp(ListSource(runs(*range(5000))))
    async with robot(app) as user:
        await user.sees("run-0000")
        for press in keys:
            await user.presses(press)
            await settled(user, app)
        assert app.table.cursor_key == key
        assert app.table.cursor_rank == int(key[2:])


async def test_walking_through_thousands_of_rows_misses_none() -> None:
    app = TableApp(ListSource(runs(*range(700))))
    async with robot(app) as user:
        await user.sees("run-0000")
        seen = [app.table.cursor_key]
        for _ in range(699):
            app.table.action_move(1)
            if app.table.cursor_key is None:
                await user.waits(lambda: app.table.cursor_key is not None, "a row under the cursor")
            seen.append(app.table.cursor_key)
        assert seen == [f"id{number:04}" for number in range(700)]


async def test_a_refresh_keeps_the_cursor_on_its_run() -> None:
    source = Live(runs(1, 2, 3, 4))
    app = TableApp(source)
    async with robot(app) as user:
        await user.sees("run-0004")
        await user.presses("j", "j")
        source.become(runs(9, 4, 3, 2, 1))
        app.rests()
        app.table.look_again()
        await user.sees("run-0009")
        assert app.table.cursor_key == "id0003"


async def test_nothing_changes_places_under_a_moving_hand() -> None:
    source = Live(runs(1, 2, 3))
    app = TableApp(source)
    async with robot(app) as user:
        await user.sees("run-0003")
        await user.presses("j")
        source.become([run(3), run(2), run(1, loss=7.77)])
        app.table.look_again()
        await user.sees("7.77")
        assert [line.split()[0] for line in user.lines[1:4] if line] == ["run-0001", "▌", "run-0003"]
        app.rests()
        await user.waits(lambda: "run-0003" in user.lines[1], "the new order once the hand rests")
        assert app.table.cursor_key == "id0002"


async def test_a_removed_run_gives_the_cursor_to_its_neighbour() -> None:
    source = Live(runs(1, 2, 3))
    app = TableApp(source)
    async with robot(app) as user:
        await user.sees("run-0003")
        await user.presses("j")
        source.become(runs(1, 3))
        app.rests()
        app.table.look_again()
        await user.sees_no("run-0002")
        assert app.table.cursor_key == "id0003"


async def test_marks_survive_another_order_and_another_filter() -> None:
    app = TableApp(ListSource(runs(1, 2, 3)))
    async with robot(app) as user:
        await user.sees("run-0003")
        await user.presses("space", "space")
        assert app.heard[-1] == ("marks", 2)
        app.table.set_source(ListSource(runs(3, 2)))
        await user.sees_no("run-0001")
        assert "◆" in user.line_with("run-0002")
        app.table.set_source(ListSource(runs(1, 2, 3)))
        await user.sees("run-0001")
        assert "◆" in user.line_with("run-0001")
        await user.presses("U")
        await user.sees_no("◆")
        assert app.heard[-1] == ("marks", 0)


async def test_a_range_is_marked_from_the_nearest_mark() -> None:
    app = TableApp(ListSource(runs(*range(9))))
    async with robot(app) as user:
        await user.sees("run-0008")
        await user.presses("space", "j", "j", "v")
        assert app.table.marks == {"id0000", "id0001", "id0002", "id0003"}


async def test_another_source_keeps_the_cursor_on_its_run_if_it_is_there() -> None:
    app = TableApp(ListSource(runs(1, 2, 3, 4)))
    async with robot(app) as user:
        await user.sees("run-0004")
        await user.presses("j", "j")
        app.table.set_source(ListSource(runs(4, 3)))
        await user.sees_no("run-0001")
        assert app.table.cursor_key == "id0003"
        app.table.set_source(ListSource(runs(1, 2)))
        await user.sees("run-0001")
        assert app.table.cursor_key == "id0001"


async def test_the_first_cursor_may_be_deep_in_the_list() -> None:
    app = TableApp(ListSource(runs(*range(5000))), cursor="id3000")
    async with robot(app) as user:
        await user.sees("run-3000")
        await settled(user, app)
        assert (app.table.cursor_key, app.table.cursor_rank) == ("id3000", 3000)


async def test_an_empty_list_says_what_to_do() -> None:
    async with robot(TableApp(ListSource([]), empty="No runs yet. Start one: mlconsole launch -- CMD")) as user:
        await user.sees("No runs yet. Start one: mlconsole launch -- CMD")
        await user.presses("j", "k", "G", "g", "enter", "space", "v", "f", "pagedown")


class Failing(ListSource):
    def page(self, anchor: str | None, direction: Direction, limit: int) -> Sequence[Row]:
        raise OSError("the catalog is on a disk that is gone")


async def test_a_source_that_fails_is_told_in_place_of_rows() -> None:
    app = TableApp(Failing([]))
    async with robot(app) as user:
        await user.sees("the catalog is on a disk that is gone")
        assert ("failed", "the catalog is on a disk that is gone") in app.heard


async def test_a_failing_refresh_leaves_the_rows_that_were_read() -> None:
    app = TableApp(ListSource(runs(1, 2)))
    async with robot(app) as user:
        await user.sees("run-0002")
        app.table.set_source(Failing([]))
        await user.waits(lambda: app.heard[-1][0] == "failed", "the failure")
        assert "run-0002" in user.text


class Slow(ListSource):
    """Gives its first page at once and the others when it is let go."""

    def __init__(self, rows: Sequence[Row], free_pages: int = 1) -> None:
        super().__init__(rows)
        self.free_pages = free_pages
        self.let_go = threading.Event()

    def page(self, anchor: str | None, direction: Direction, limit: int) -> Sequence[Row]:
        self.free_pages -= 1
        if self.free_pages < 0:
            self.let_go.wait(10)
        return super().page(anchor, direction, limit)


async def test_rows_on_their_way_are_placeholders_and_keys_stay_alive() -> None:
    source = Slow(runs(*range(5000)))
    app = TableApp(source)
    async with robot(app) as user:
        await user.sees("run-0000")
        await user.presses(*["pagedown"] * 9)
        await user.sees("······")
        await user.presses("g")
        await user.sees("run-0000")
        await user.presses(*["pagedown"] * 7)
        source.let_go.set()
        await user.sees_no("······")
        assert app.table.cursor_key is not None


async def test_a_first_page_that_takes_long_is_announced() -> None:
    source = Slow(runs(1, 2), free_pages=0)
    async with robot(TableApp(source)) as user:
        await user.sees("reading")
        source.let_go.set()
        await user.sees("run-0001")
        await user.sees_no("reading")


async def test_a_jump_label_takes_the_cursor_to_its_row() -> None:
    app = TableApp(ListSource(runs(*range(9))))
    async with robot(app) as user:
        await user.sees("run-0008")
        await user.presses("f")
        label = user.line_with("run-0004")[0]
        await user.presses(label)
        assert app.table.cursor_key == "id0004"


async def test_escape_takes_jump_labels_away() -> None:
    app = TableApp(ListSource(runs(*range(9))))
    async with robot(app) as user:
        await user.sees("run-0008")
        await user.presses("f", "escape")
        await user.waits(lambda: user.line_with("run-0004").startswith("  run"), "no labels")
        await user.presses("j")
        assert app.table.cursor_key == "id0001"


async def test_the_mouse_moves_opens_and_asks_for_a_sort() -> None:
    app = TableApp(ListSource(runs(*range(99))))
    async with robot(app) as user:
        await user.sees("run-0000")
        await user.clicks(5, 4)
        assert app.table.cursor_key == "id0003"
        await user.clicks(5, 6, times=2)
        assert app.heard[-1] == ("selected", "id0005")
        await user.clicks(user.lines[0].index("LOSS"), 0)
        assert app.heard[-1] == ("sort", "loss")


async def test_the_sorted_column_bears_an_arrow() -> None:
    app = TableApp(ListSource(runs(1)))
    async with robot(app) as user:
        app.table.show_sort("loss", True)
        await user.sees("LOSS▾")
        app.table.show_sort("loss", False)
        await user.sees("LOSS▴")


async def test_a_narrow_screen_keeps_the_important_columns_and_shows_that_there_are_more() -> None:
    app = TableApp(ListSource(runs(1)))
    async with robot(app, size=(31, 8)) as user:
        await user.sees("run-0001", "LOSS", "›")
        await user.sees_no("USER")
        await user.presses("right")
        await user.sees("USER", "‹")
        await user.presses("left")
        await user.sees("LOSS")


async def test_columns_can_be_chosen_and_ordered() -> None:
    app = TableApp(ListSource(runs(1)))
    async with robot(app) as user:
        await user.sees("run-0001")
        app.table.show_columns(["user", "name"])
        await user.sees_no("LOSS")
        title = user.line_with("NAME")
        assert title.index("USER") < title.index("NAME")


async def test_a_resize_fetches_what_a_taller_screen_needs() -> None:
    app = TableApp(ListSource(runs(*range(500))))
    async with robot(app, size=(80, 10)) as user:
        await user.sees("run-0000")
        await user.resizes(100, 300)
        await user.sees("run-0298")


async def test_the_list_is_counted() -> None:
    app = TableApp(ListSource(runs(*range(321))))
    async with robot(app) as user:
        await user.waits(lambda: ("total", 321) in app.heard, "the count")


@pytest.mark.parametrize("text", ["\x1b[2J", "a\u202eb", "\x00", "[/]", "[@click=app.quit]x", "\ud800", "\n" * 200_000])
async def test_hostile_cells_are_shown_and_do_nothing(text: str) -> None:
    rows = [Row("id1", ((text + "tail", "name"), (text, "value"), (text, text))), run(2)]
    async with robot(TableApp(ListSource(rows))) as user:
        await user.sees("run-0002")
        assert not any(ord(char) < 32 and char != "\n" for char in user.text)
        assert len(user.lines) == 24


async def test_two_rows_with_equal_names_are_two_rows() -> None:
    twins = [Row("id1", run(5).cells), Row("id2", run(5).cells)]
    app = TableApp(ListSource(twins))
    async with robot(app) as user:
        await user.sees("run-0005")
        await user.presses("j", "space")
        assert app.table.marks == {"id2"}


async def test_an_ascii_look_draws_with_ascii() -> None:
    app = TableApp(ListSource(runs(1, 2)), look=Look("mono", is_ascii=True))
    async with robot(app) as user:
        await user.sees("run-0001")
        await user.presses("space")
        app.table.show_sort("loss", True)
        await user.sees("LOSSv")
        assert user.text.isascii()


async def test_rows_known_beforehand_are_shown_at_once() -> None:
    source = Slow(runs(1, 2), free_pages=0)
    app = TableApp(source, rows=runs(1, 2))
    async with robot(app) as user:
        await user.sees("run-0001")
        source.let_go.set()
        await settled(user, app)
