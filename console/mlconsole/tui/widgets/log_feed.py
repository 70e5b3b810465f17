"""How a log view gets what it shows: from a reader on a thread of its own, while it is on the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlconsole.tui.logs.frame import Frame
from mlconsole.tui.logs.pager import Pager
from mlconsole.tui.logs.reader import Reader
from mlconsole.tui.widgets import log_messages
from mlconsole.tui.widgets.log_pane import LogPane

_WORDS_AFTER_S = 0.3


class FedLog(LogPane):
    """The fed half of a log view: it reads a file and watches it grow."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._path: Path | None = None
        self._is_opened = False
        self._is_in_sight = False
        self._reader: Reader | None = None
        self._filter = ""
        self._is_wrapped = False
        self._has_numbers = True
        self._has_times = False

    def open(self, path: Path | None) -> None:
        """Show another log from its end on; None when there is none. The same path again changes nothing."""
        if self._is_opened and path == self._path:
            return
        self._is_opened, self._path = True, path
        self._stop_reading()
        self._filter, self._column, self._is_slow = "", 0, False
        self.show(None if path is not None else Frame())
        if self._is_in_sight:
            self._start_reading()

    def on_show(self) -> None:
        """Read while it can be seen."""
        self._is_in_sight = True
        if self._reader is None:
            self._start_reading()
        else:
            self._reader.watch(True)

    def on_hide(self) -> None:
        """Watch the file no longer."""
        self._is_in_sight = False
        if self._reader is not None:
            self._reader.watch(False)

    def on_resize(self) -> None:
        """Fit the rows to the new size."""
        self._fit()
        self._slide_to(min(self._column, self._furthest()))
        self.refresh()

    def on_unmount(self) -> None:
        """Read nothing more."""
        self._stop_reading()

    def _start_reading(self) -> None:
        if self._path is None:
            return
        self._reader = Reader(self._path, self._tell)
        self._do(lambda pager: pager.wrap(self._is_wrapped))
        self._do(lambda pager: pager.show_numbers(self._has_numbers))
        self._do(lambda pager: pager.show_times(self._has_times))
        self._fit()
        self.set_timer(_WORDS_AFTER_S, self._say_reading)

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.stop()
            self._reader = None

    def _fit(self) -> None:
        width, height = self.size.width, self._height
        if height:
            self._do(lambda pager: pager.resize(width, height))

    def _do(self, command: Callable[[Pager], None]) -> None:
        if self._reader is not None:
            self._reader.do(command)

    def _tell(self, reader: Reader) -> None:
        try:
            self.post_message(log_messages.Read(reader))
        except RuntimeError:
            pass  # The app is gone; called in the reading thread, where nobody could be told.

    def on_log_read(self, message: log_messages.Read) -> None:
        """Show what was read."""
        if message.reader is self._reader:
            self.show(message.reader.take())

    def _say_reading(self) -> None:
        if self._seen is None and self._is_opened:
            self._is_slow = True
            self.refresh()
