"""An app whose frames go through a :class:`~mlconsole.tui.painter.Painter`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, TypeVar, cast

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.binding import Binding, BindingType
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.screen import Screen
from textual.strip import Strip

from mlconsole.tui.painter import Line, Painter, Piece
from mlconsole.tui.widgets.look import look_of

ReturnType = TypeVar("ReturnType")


class PaintedApp(App[ReturnType]):
    """A Textual app that sends the terminal what has changed and nothing else.

    Reaches into Textual 8.2 at three points: ``App._display``, through which every frame passes, and the
    attributes of the two kinds of compositor update. Frames it does not know go the way Textual sends them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+l", "redraw", "Redraw the screen", show=False, system=True)]

    painter: Painter
    is_away: bool = False
    """True while another program has the terminal: nothing is painted then."""
    _taken_over: tuple[int, int] | None = None

    def take_over(
        self, lines: Sequence[Sequence[tuple[str, str]]], size: tuple[int, int], *, is_coloured: bool = False
    ) -> None:
        """Begin on a terminal that shows these lines: only what differs from them will be sent.

        Args:
            lines: (text, style) of the pieces of each line from the first on; those below are blank.
            size: columns and lines of the terminal.
            is_coloured: the terminal was sent the colours, too, of the 256.
        """
        width, height = size
        below: list[Sequence[tuple[str, str]]] = [()] * (height - len(lines))
        shown = [
            [*(Segment(text, Style.parse(style)) for text, style in line), Segment(" " * width)]
            for line in (*lines, *below)
        ]
        system = ColorSystem.EIGHT_BIT if is_coloured else None
        self._painter.paint([(y, [(0, line, width)]) for y, line in enumerate(shown)], size, system)
        self._taken_over = size

    def action_redraw(self) -> None:
        """Draw the whole screen again, for when another program wrote on the terminal."""
        self._painter.forget()
        self.screen.refresh()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Leave the terminal to another program.

        Raises:
            SuspendNotSupported: what this app runs in has no terminal to leave.
        """
        with self.suspend():
            self.is_away = True
            try:
                yield
            finally:
                self.is_away = False

    @property
    def _painter(self) -> Painter:
        """Made at first use, so that subclasses may build themselves in any order."""
        try:
            return self.painter
        except AttributeError:
            self.painter = Painter(is_ascii=look_of(self).is_ascii)
            return self.painter

    async def on_event(self, event: events.Event) -> None:
        """Forget what the terminal shows when it is resized or resumed; Textual tells both in one way."""
        if isinstance(event, events.Ready):
            self._taken_over = None  # The events that begin an app, two of its size among them, are past.
        if isinstance(event, events.Resize):
            event = self._latest(event)
        if isinstance(event, events.Resize) and event.size != self._taken_over:
            self._painter.forget()
            if event.size == self.size and self.screen_stack:
                self.call_later(self.action_redraw)  # Textual draws nothing when the size is what it was.
        await super().on_event(event)

    def _latest(self, event: events.Resize) -> events.Resize:
        """The size that the terminal has now: in a storm of signals one handler interrupts another, and the older
        size would be told last."""
        if not isinstance(self._driver, LinuxDriver):
            return event
        size = Size(*self._driver._get_terminal_size())
        return event if event.size == size else events.Resize(size, size)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if self.is_away:
            return
        if renderable is not None and self._is_painting:
            renderable = self._painted(screen, renderable)
        super()._display(screen, renderable)

    @property
    def _is_painting(self) -> bool:
        """True under the conditions in which Textual itself would write the frame to a full screen."""
        driver = self._driver
        is_open = self._running and not self._closed and not self._batch_count
        return is_open and not self.is_headless and driver is not None and not driver.is_inline

    def _painted(self, screen: Screen[object], frame: RenderableType) -> RenderableType | None:
        painter = self._painter
        if painter.is_unknown_at(screen._compositor.size) and isinstance(frame, ChopsUpdate):
            frame = screen._compositor.render_full_update()
        if isinstance(frame, ChopsUpdate):
            lines = _changed_lines(frame)
        elif isinstance(frame, LayoutUpdate):
            lines = _all_lines(frame)
        else:
            painter.forget()
            return frame
        system = None if self.no_color else self.console._color_system
        text = painter.paint(lines, screen._compositor.size, system)
        return cast("RenderableType", _Painted(text)) if text else None


class _Painted(CompositorUpdate):
    """A frame that has become text already."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render_segments(self, console: Console) -> str:
        return self.text


def _changed_lines(frame: ChopsUpdate) -> Iterator[Line]:
    for y in dict.fromkeys(span[0] for span in frame.spans):
        ends = frame.chop_ends[y]
        yield (
            y,
            [
                (x, strip, end - x)
                for end, (x, strip) in zip(ends, frame.chops[y].items(), strict=True)
                if strip is not None
            ],
        )


def _all_lines(frame: LayoutUpdate) -> Iterator[Line]:
    for y, strips in enumerate(frame.strips, frame.region.y):
        yield y, _placed(strips, frame.region.x)


def _placed(strips: Iterable[Strip | None], x: int) -> Iterator[Piece]:
    for strip in strips:
        if strip is not None:
            yield x, strip, strip.cell_length
            x += strip.cell_length
