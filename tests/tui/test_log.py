from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from log_app import LogApp
from robot import Robot, robot

from hostile import STRINGS, raw_controls
from mlconsole.tui.widgets.log import LogView
from mlconsole.tui.widgets.look import Look

SIZE = (80, 12)


def numbered(first: int, last: int) -> str:
    return "".join(f"line {number}\n" for number in range(first, last + 1))


def append(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


@asynccontextmanager
async def reading(path: Path | None, look: Look | None = None) -> AsyncIterator[Robot]:
    async with robot(LogApp(path, look), SIZE) as user:
        yield user


async def test_a_log_is_followed_until_someone_scrolls_up(path: Path) -> None:
    append(path, numbered(1, 100))
    async with reading(path) as user:
        await user.sees("line 100", "following", "90-100 of 100 lines")
        append(path, numbered(101, 120))
        await user.sees("line 120")
        await user.presses("k")
        await user.sees("paused")
        append(path, numbered(121, 127))
        await user.sees("7 new lines")
        assert "line 121" not in user.text
        await user.presses("F")
        await user.sees("line 127", "following")


async def test_a_log_that_does_not_exist_yet_says_so_and_then_shows(path: Path) -> None:
    async with reading(path) as user:
        await user.sees("Nothing printed yet.")
        append(path, "hello")
        await user.sees("hello", "1 line")
        await user.sees_no("Nothing printed yet.")


async def test_a_run_without_a_log_says_why() -> None:
    async with reading(None) as user:
        await user.sees("This run was not launched here, so its output was not kept.")


async def test_what_cannot_be_read_says_why(path: Path) -> None:
    path.mkdir()
    async with reading(path) as user:
        await user.sees("cannot be read: it is not a regular file.")


async def test_opening_the_same_log_again_changes_nothing(path: Path) -> None:
    append(path, numbered(1, 100))
    async with reading(path) as user:
        await user.sees("line 100")
        await user.presses("g")
        await user.sees("line 1\n")
        before = user.text
        user.app.query_one(LogView).open(path)
        await user.presses("j", "k")
        await user.sees("line 1\n")
        assert user.text == before


async def test_another_log_takes_the_place_of_the_first(path: Path, tmp_path: Path) -> None:
    append(path, numbered(1, 100))
    (tmp_path / "other").write_text("other words\n")
    async with reading(path) as user:
        await user.sees("line 100")
        user.app.query_one(LogView).open(tmp_path / "other")
        await user.sees("other words", "1 line")
        await user.sees_no("line 100")


async def test_a_search_is_typed_gone_through_and_ended(path: Path) -> None:
    append(path, numbered(1, 100))
    async with reading(path) as user:
        await user.sees("line 100")
        await user.presses("g", "slash")
        await user.types("line 5")
        await user.sees("/line 5")
        await user.presses("enter")
        await user.sees('"line 5" 1 of 11')
        assert user.line_with("▌").split() == ["▌", "5", "line", "5"]
        await user.presses("n")
        await user.sees('"line 5" 2 of 11')
        await user.presses("N", "N")
        await user.sees("11 of 11", "The search went on from the end.")
        await user.presses("escape")
        await user.sees_no("of 11")


async def test_a_search_for_what_is_not_there_says_so(path: Path) -> None:
    append(path, numbered(1, 100))
    async with reading(path) as user:
        await user.sees("line 100")
        await user.presses("slash")
        await user.types("zebra")
        await user.presses("enter")
        await user.sees('Found no "zebra".')


async def test_hits_are_lit_up_while_they_are_typed(path: Path) -> None:
    append(path, numbered(1, 5))
    async with reading(path) as user:
        await user.sees("line 5")
        assert lit(user) == []
        await user.presses("slash")
        await user.types("ne 4")
        await user.waits(lambda: lit(user) == ["ne 4"])
        await user.presses("escape")
        await user.waits(lambda: lit(user) == [])


def lit(user: Robot) -> list[str]:
    """What is underlined and bold, as hits are."""
    strips = user.app.screen._compositor.render_strips()[:-1]
    return [segment.text for strip in strips for segment in strip if segment.style and segment.style.underline]


async def test_a_filter_shows_as_it_is_typed_and_escape_takes_it_back(path: Path) -> None:
    append(path, numbered(1, 100))
    async with reading(path) as user:
        await user.sees("line 100")
        await user.presses("ampersand")
        await user.types("7")
        await user.sees("79 line 79", "97 line 97")
        await user.sees_no("line 100")
        await user.presses("escape")
        await user.sees("line 100", "following")
        await user.presses("ampersand")
        await user.types("line 7")
        await user.presses("enter")
        await user.sees('only "line 7" 11 lines', "   7 line 7", "  79 line 79")
        append(path, "line 700\n")
        await user.sees("line 700", "12 lines")
        await user.presses("escape")
        await user.sees("line 100")
        assert "only" not in user.text


async def test_a_filter_that_nothing_passes_says_so(path: Path) -> None:
    append(path, numbered(1, 100))
    async with reading(path) as user:
        await user.sees("line 100")
        await user.presses("ampersand")
        await user.types("zebra")
        await user.presses("enter")
        await user.sees('No line has "zebra".')


async def test_the_first_error_is_one_key_away(path: Path) -> None:
    append(path, numbered(1, 50) + "RuntimeError: CUDA out of memory\n" + numbered(51, 100))
    async with reading(path) as user:
        await user.sees("line 100")
        await user.presses("e")
        await user.sees("▌  51 RuntimeError: CUDA out of memory", "errors 1 of 1")


async def test_long_lines_are_wrapped_or_cut_and_slid(path: Path) -> None:
    append(path, "start" + "." * 100 + "end\nlast\n")
    async with reading(path) as user:
        await user.sees("start", "›")
        assert "end" not in user.text
        await user.presses("w")
        await user.sees("start", "end", "wrapped")
        await user.presses("w")
        await user.sees_no("end")
        for _ in range(10):
            await user.presses("right")
        await user.sees("end", "column")
        assert "start" not in user.text


async def test_it_is_shown_when_lines_came(path: Path) -> None:
    append(path, numbered(1, 4))
    os.utime(path, (86_410, 86_410))
    path.with_suffix(".times").write_bytes(b"3600.4 7\nno note\n9e99 8\n7200.0 14\n86400.0 21\n86401")
    async with reading(path) as user:
        await user.presses("at")
        await user.sees("01:00:00    1 line 1", "02:00:00    2 line 2", "00:00:00    3 line 3", "00:00:10    4 line 4")
        await user.presses("number_sign")
        await user.sees("01:00:00 line 1")
        await user.presses("w")
        await user.sees("01:00:00 line 1")
        await user.presses("at")
        await user.sees_no("01:00:00")


async def test_a_log_whose_lines_nobody_timed_says_so(path: Path) -> None:
    append(path, numbered(1, 4))
    async with reading(path) as user:
        await user.presses("at")
        await user.sees("Nobody here noted when these lines came.")


async def test_line_numbers_go_and_come(path: Path) -> None:
    append(path, numbered(1, 5))
    async with reading(path) as user:
        await user.sees("   5 line 5")
        await user.presses("number_sign")
        await user.sees_no("5 line 5")
        await user.presses("number_sign")
        await user.sees("   5 line 5")


async def test_the_current_line_and_the_screen_are_given_to_be_copied(path: Path) -> None:
    append(path, numbered(1, 3))
    async with reading(path) as user:
        await user.sees("line 3")
        await user.clicks(20, 1)
        await user.sees("▌   2 line 2")
        await user.presses("y", "Y")
        await user.waits(lambda: len(user.app.copied) == 2)
        assert user.app.copied == [("line 2", "line 2"), ("line 1\nline 2\nline 3", "3 lines")]


async def test_escape_is_the_screens_key_when_there_is_nothing_to_end(path: Path) -> None:
    append(path, numbered(1, 3))
    async with reading(path) as user:
        await user.sees("line 3")
        await user.presses("escape")
        await user.waits(lambda: user.app.escapes == 1)
        await user.presses("slash", "l", "enter")
        await user.sees("1 of 3")
        await user.presses("escape")
        await user.sees_no("1 of 3")
        assert user.app.escapes == 1


async def test_a_log_out_of_sight_is_not_watched_and_catches_up_when_it_is_back(path: Path) -> None:
    append(path, numbered(1, 3))
    async with reading(path) as user:
        await user.sees("line 3")
        view = user.app.query_one(LogView)
        view.display = False
        await user.sees_no("line 3")
        append(path, numbered(4, 6))
        view.display = True
        await user.sees("line 6")


async def test_a_replaced_log_is_told(path: Path, tmp_path: Path) -> None:
    append(path, numbered(1, 50))
    async with reading(path) as user:
        await user.sees("line 50")
        (tmp_path / "new").write_text("fresh\n")
        (tmp_path / "new").replace(path)
        await user.sees("fresh", "The file was replaced; this is the new one.")


async def test_colours_of_the_program_show_and_mono_has_none(path: Path) -> None:
    append(path, "\x1b[31mred\x1b[0m and \x1b[1mbold\x1b[0m\n")
    for look, colour in ((Look(), 1), (Look("mono"), None)):
        async with reading(path, look) as user:
            await user.sees("red and bold")
            strip = user.app.screen._compositor.render_strips()[0]
            styles = {segment.text: segment.style for segment in strip}
            assert (styles["red"].color.number if styles["red"].color else None) == colour
            assert styles["bold"].bold


async def test_hostile_lines_show_no_control_characters_and_run_nothing(path: Path) -> None:
    path.write_bytes(b"\n".join(text.encode("utf-8", "surrogatepass") for text in STRINGS.values()) + b"\nthe end\n")
    async with reading(path) as user:
        await user.sees("the end")
        await user.presses("g")
        shown = user.text
        for _ in range(len(STRINGS)):
            await user.presses("j")
            shown += user.text
        await user.presses("slash")
        await user.types("[@click=app.quit]")
        await user.presses("enter")
        await user.sees('"[@click=app.quit]" 1 of 1', "[@click=app.quit]x[/]")
        assert not raw_controls(shown + user.text)
        assert user.app.is_running


async def test_the_hostile_text_of_a_search_is_shown_safely(path: Path) -> None:
    append(path, numbered(1, 3))
    async with reading(path) as user:
        await user.sees("line 3")
        await user.presses("slash")
        user.app.query_one("LogPrompt Input").value = "[red]\x1b[2J\u202ex"
        await user.presses("enter")
        await user.sees("Found no")
        assert not raw_controls(user.text)


async def test_an_ascii_terminal_gets_ascii_alone(path: Path) -> None:
    append(path, numbered(1, 3) + "." * 200 + "\n")
    async with reading(path, Look(is_ascii=True)) as user:
        await user.sees("line 3", "following")
        await user.presses("slash", "l", "enter")
        await user.sees("1 of 3", "paused")
        assert user.text.isascii()


async def test_a_log_too_small_for_a_row_does_not_break(path: Path) -> None:
    append(path, numbered(1, 3))
    async with reading(path) as user:
        await user.sees("line 3")
        for size in ((80, 1), (3, 3), (1, 1)):
            await user.resizes(*size)
            await user.presses("j", "k", "w", "w", "right")
        await user.resizes(80, 12)
        await user.sees("line 3")
