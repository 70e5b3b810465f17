"""A log as its program writes it: followed, searched, filtered, in the program's colours, at any size."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType

from mlconsole.render.numbers import counted
from mlconsole.tui.logs.pager import Pager
from mlconsole.tui.logs.pattern import typed
from mlconsole.tui.widgets import log_messages
from mlconsole.tui.widgets.log_feed import FedLog
from mlconsole.tui.widgets.prompt import Prompt

_WHEEL_ROWS = 3


class LogView(FedLog):
    """A log file that may still grow. Give it the file with :meth:`open`.

    It is read on a thread of the view's own, and watched only while it is on the screen. The current line, with a
    bar before it, is the last hit, or the one that was clicked.
    """

    keys: ClassVar[list[tuple[str, str]]] = [("/ e", "search, errors"), ("&", "filter"), ("w", "wrap"), ("@", "times")]
    """The keys that matter here."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "prompt('/')", "search", key_display="/", show=False),
        Binding("n", "hit(1)", "next hit", show=False),
        Binding("N", "hit(-1)", "hit before", show=False),
        Binding("ampersand", "prompt('&')", "show only lines with", key_display="&", show=False),
        Binding("e", "first_error", "first error", show=False),
        Binding("E", "next_error", "next error", show=False),
        Binding("F,G,end", "end", "last line, and follow", show=False),
        Binding("g,home", "top", "first line", show=False),
        Binding("j,down", "scroll_rows(1)", "down", show=False),
        Binding("k,up", "scroll_rows(-1)", "up", show=False),
        Binding("pagedown,ctrl+f", "turn(1.0)", "page down", show=False),
        Binding("pageup,ctrl+b", "turn(-1.0)", "page up", show=False),
        Binding("ctrl+d", "turn(0.5)", "half a page down", show=False),
        Binding("ctrl+u", "turn(-0.5)", "half a page up", show=False),
        Binding("right", "slide(8)", "further right in long lines", show=False),
        Binding("left", "slide(-8)", "further left in long lines", show=False),
        Binding("w", "wrap", "wrap long lines or not", show=False),
        Binding("number_sign", "numbers", "line numbers or none", show=False, key_display="#"),
        Binding("at", "times", "when lines came, or not", show=False, key_display="@"),
        Binding("y", "copy_line", "copy the current line", show=False),
        Binding("Y", "copy_screen", "copy what is in view", show=False),
        Binding("escape", "stop", "end the search, then the filter", show=False),
    ]

    CopyWanted = log_messages.CopyWanted
    Read = log_messages.Read

    # Keys.

    def action_scroll_rows(self, rows: int) -> None:
        """Go down or up by rows."""
        self._do(lambda pager: pager.scroll(rows))

    def action_turn(self, screens: float) -> None:
        """Go down or up by screens."""
        self._do(lambda pager: pager.turn(screens))

    def action_top(self) -> None:
        """Go to the first line."""
        self._do(Pager.top)

    def action_end(self) -> None:
        """Go to the last line and follow."""
        self._do(Pager.end)

    def action_slide(self, cells: int) -> None:
        """Look further right or left in long lines, as far as there is text."""
        if self._seen is not None and not self._seen.is_wrapped:
            there = self._column + cells
            self._slide_to(there if cells < 0 else max(self._column, min(there, self._furthest())))

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self._is_wrapped = is_on = not self._is_wrapped
        self._do(lambda pager: pager.wrap(is_on))

    def action_numbers(self) -> None:
        """Show line numbers, or none."""
        self._has_numbers = is_on = not self._has_numbers
        self._do(lambda pager: pager.show_numbers(is_on))

    def action_times(self) -> None:
        """Show when lines came, or not."""
        self._has_times = is_on = not self._has_times
        self._do(lambda pager: pager.show_times(is_on))

    def action_hit(self, step: int) -> None:
        """Go to the next hit, or the one before."""
        self._do(lambda pager: pager.hit(step))

    def action_first_error(self) -> None:
        """Go to the first line that tells of a failure."""
        self._do(Pager.first_error)

    def action_next_error(self) -> None:
        """Go to the next line that tells of a failure."""
        self._do(Pager.next_error)

    def action_stop(self) -> None:
        """End the search, then the filter; without either the key is the screen's."""
        frame = self._seen
        if frame is None or not (frame.search or frame.filtered):
            raise SkipAction
        if frame.search is None:
            self._filter = ""
        self._do(Pager.stop)

    def action_copy_line(self) -> None:
        """Ask for the current line to be copied: the one with the bar, or else the first in view."""
        rows = self._seen.rows if self._seen is not None else ()
        for row in [*(row for row in rows if row.is_current), *rows][:1]:
            number = "" if row.number is None else f" {row.number:,}"
            self.post_message(self.CopyWanted(row.shown.text, f"line{number}"))

    def action_copy_screen(self) -> None:
        """Ask for every line in view to be copied."""
        rows = self._seen.rows if self._seen is not None else ()
        lines = list(dict.fromkeys(row.shown for row in rows))
        if lines:
            count = counted(len(lines), "line")
            self.post_message(self.CopyWanted("\n".join(line.text for line in lines), count))

    # The prompt.

    def action_prompt(self, mode: str) -> None:
        """Ask for a text to search for or to filter by."""
        self._status_line.display = False
        self._prompt.open(mode, self._filter if mode == "&" else "")

    def on_prompt_edited(self, event: Prompt.Edited) -> None:
        """Show hits, or filter, while it is typed."""
        event.stop()
        text = event.text
        if event.mode == "&":
            self._do(lambda pager: pager.filter(text))
        else:
            self._typing = typed(text) if text else None
            self.refresh()

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Search or filter."""
        event.stop()
        text = event.text
        self._prompt.remember(text)
        if event.mode == "&":
            self._filter = text
        else:
            self._do(lambda pager: pager.search(text))
        self._close_prompt()

    def on_prompt_closed(self, event: Prompt.Closed) -> None:
        """Leave everything as it was before the prompt."""
        event.stop()
        before = self._filter
        if event.mode == "&":
            self._do(lambda pager: pager.filter(before))
        self._close_prompt()

    def _close_prompt(self) -> None:
        self._typing = None
        self._prompt.close()
        self._status_line.display = True
        self.focus()
        self.refresh()

    # Mouse.

    def on_click(self, event: events.Click) -> None:
        """Make the line that was clicked the current one."""
        offset = event.get_content_offset(self)
        if offset is not None and self._seen is not None and offset.y < len(self._seen.rows):
            start = self._seen.rows[offset.y].shown.line.start
            self._do(lambda pager: pager.point_at(start))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.action_scroll_rows(_WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.action_scroll_rows(-_WHEEL_ROWS)
