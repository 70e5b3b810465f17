"""The console: one Textual app that moves between places, keeps the catalog fresh, and carries out actions."""

from __future__ import annotations

import dataclasses
import gc
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType

from mlconsole import actions
from mlconsole.actions.context import Context
from mlconsole.actions.keys import KEYED, Keyed
from mlconsole.domain.query import Query, parse
from mlconsole.errors import QueryError
from mlconsole.render.sanitise import clean
from mlconsole.render.width import cell_width, end, middle
from mlconsole.tui import clipboard, palettes, places, session, signals, typed
from mlconsole.tui.acting import Acting
from mlconsole.tui.first_frame import Picture
from mlconsole.tui.freshness import Changed, Freshness
from mlconsole.tui.gpu_feed import GpuFeed, GpusSeen
from mlconsole.tui.handoff import HandOff
from mlconsole.tui.history import Trail
from mlconsole.tui.painted_app import PaintedApp
from mlconsole.tui.places import Location
from mlconsole.tui.questions import Questions
from mlconsole.tui.screens.base import PlaceScreen
from mlconsole.tui.start import WEB_DRIVER
from mlconsole.tui.takeover import TakeOverDriver, TerminalDriver
from mlconsole.tui.turns import Turns
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.look import Look
from mlconsole.tui.widgets.palette import Entry, Palette
from mlconsole.tui.widgets.rows import Row
from mlconsole.tui.work import Answered, Desk, words_of

if TYPE_CHECKING:
    from mlconsole.tui.widgets.dialog import EditWanted, ViewWanted

TICK_S = 1.0
LEAST_PATH = 6
HANGS_S = 5.0
"""An action that owes its end for so long may never come to it; the next one goes its own way."""
USUAL_COLLECTION = (700, 10, 10)  # CPython's own


def _begin_collecting() -> None:
    """From here on garbage is looked for as usual: none was while starting, where it cost more than it gave.

    What has been made by now, the modules above all, stays; looking through it took 35 ms, before the first key.
    """
    gc.freeze()
    gc.set_threshold(*USUAL_COLLECTION)


class Console(PaintedApp[None]):
    """The app.

    Args:
        ctx: the session: settings, catalog, backends, clock.
        start: where to begin; where the last session ended when it is left out.
        picture: what the terminal shows of that place already.
        usual: the metrics and params among the columns of runs until somebody chooses columns.
    """

    TITLE = "mlconsole"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "suspend", show=False),
        Binding("ctrl+p", "palette", "all actions and places", show=False),
    ]

    def __init__(
        self,
        ctx: Context,
        start: Location | None = None,
        *,
        picture: Picture | None = None,
        usual: Sequence[str] = (),
    ) -> None:
        in_browser = WEB_DRIVER in ctx.settings.terminal
        driver = TakeOverDriver if picture else None if in_browser else TerminalDriver
        super().__init__(driver_class=driver, ansi_color=True)
        self.animation_level = "none"
        self.no_color = self.no_color or not ctx.settings.color
        self.ctx = ctx
        self._first_rows: Sequence[Row] = picture.rows if picture else ()
        self.session_path = session.path_of(ctx.settings.home, ctx.settings.user)
        self.session = session.load(self.session_path)
        self.trail = Trail(start or self.session.location or Location(places.HOME))
        self.marks: set[str] = set(self.session.marks)
        self.typed_lines = self.session.typed
        self.names: dict[str, str] = {}
        self.look = _look(ctx, self.session.theme)
        self.theme = "ansi-light" if self.look.palette == "light" else "ansi-dark"
        self.usual_columns = tuple(usual)
        self.metric_names: tuple[str, ...] = ()
        self.acting = Acting(self)
        self._says_waiting = False
        self.turns = Turns(self)
        self.handoff = HandOff(self)
        self.reads = Desk(self, self.failed)
        self.questions = Questions(lambda: self.post_message(Changed()))
        self.doing = Desk(self, self.failed)
        self._hung: list[Desk] = []
        self._looked_at_s = 0.0
        self.freshness = Freshness(self, ctx)
        self.gpus = GpuFeed(self, ctx)
        if picture is not None:
            self.take_over(picture.lines, picture.size, is_coloured=picture.is_coloured)

    def on_mount(self) -> None:
        """Show the first place and begin to keep the catalog fresh."""
        if not self.is_headless:
            signals.under_textual(lambda code: self.exit(return_code=code))
            signals.hand_over(self._driver)
        self._show(self.trail.here)
        self.set_interval(TICK_S, self._tick)
        self.call_after_refresh(self._stand)

    def _stand(self) -> None:
        """The first picture stands: begin with what can wait for it."""
        if not self.is_headless:  # What is frozen is never given back, and a test opens a hundred consoles.
            _begin_collecting()
        self.freshness.start()

    def _tick(self) -> None:
        """Durations of what is live go on, whether or not it has logged anything."""
        is_recent = time.monotonic() - self._looked_at_s < TICK_S  # What has just been read again is of this second.
        if self.freshness.live and not is_recent and (screen := self.place_screen) is not None and screen.is_mounted:
            screen.tick()
        if (waits := bool(self.acting.spans())) or self._says_waiting:
            self._says_waiting = waits
            self.show_status()

    def on_unmount(self) -> None:
        """Remember where we are, and let go of the threads; none is waited for."""
        if not self.ctx.settings.read_only:
            self.session.location, self.session.marks = self.trail.here, sorted(self.marks)
            session.save(self.session_path, self.session)
        self.freshness.stop()
        self.gpus.stop()
        self.reads.stop()
        self.questions.stop()
        for desk in (self.doing, *self._hung):
            desk.stop()

    def take_first_rows(self) -> Sequence[Row]:
        """The rows that were painted before the app began; only once."""
        rows, self._first_rows = self._first_rows, ()
        return rows

    @property
    def place_screen(self) -> PlaceScreen | None:
        """The screen of the present place, also while a dialog is over it; none while the app ends."""
        if not self.is_running:
            return None
        found = [screen for screen in self.screen_stack if isinstance(screen, PlaceScreen)]
        return found[-1] if found else None

    async def on_event(self, event: events.Event) -> None:
        """Look at keys one after the other."""
        if not isinstance(event, events.Key):
            await super().on_event(event)
        elif event.is_forwarded:
            await super().on_event(event)
            self.turns.done(event)
        elif self.turns.may_go(event):
            await super().on_event(event)
            self.turns.begun(event)

    def on_answered(self, event: Answered) -> None:
        """A desk has done a task; while the console ends, its screens are being taken down and nobody waits for it."""
        if self.is_running:
            event.then(event.result)

    def on_changed(self, event: Changed) -> None:
        """The catalog holds something new."""
        self.look_again()

    def on_gpus_seen(self, event: GpusSeen) -> None:
        """There was another look at the GPUs."""
        if (screen := self.place_screen) is not None and screen.wants_gpus:
            screen.gpus_seen()

    def on_edit_wanted(self, event: EditWanted) -> None:
        """A form wants one of its texts edited."""
        self.handoff.edit_text(event.text, event.then)

    def on_view_wanted(self, event: ViewWanted) -> None:
        """A dialog wants its text read."""
        self.handoff.view_text(event.text)

    def _fatal_error(self) -> None:
        """End with the traceback of what nobody expected, without local variables: those may hold secrets."""
        self._exit_renderables.append(Text(clean(traceback.format_exc(), 65_536, 400)))
        self._close_messages_no_wait()

    def desk_for_actions(self) -> Desk:
        """Where the next action is planned or carried out; one that has hung for long holds no other up."""
        if self.doing.waiting_s > HANGS_S:
            self._hung.append(self.doing)
            self.doing = Desk(self, self.failed)
        return self.doing

    def failed(self, error: Exception) -> None:
        """Say what went wrong, where the eyes are."""
        self.say(words_of(error), "error")
        if (screen := self.place_screen) is not None and screen.is_mounted:
            screen.show_trouble(words_of(error))

    def show_status(self) -> None:
        """Refresh the status line of the present screen."""
        if (screen := self.place_screen) is not None and screen.is_mounted:
            screen.show_status()

    def say(self, text: str, token: str = "value") -> None:
        """Show a notice on the present screen."""
        if (screen := self.place_screen) is not None and screen.query("#keys"):
            screen.say(text, token)

    def way_to(self, line: str) -> Callable[[], None]:
        """What a typed line asks for, to be called when the line has been put away.

        Raises:
            QueryError: it means nothing; the error points at its token.
        """
        return typed.way_to(self, line)

    def go(self, location: Location) -> None:
        """Visit a place."""
        self._leave()
        self.trail.visit(location)
        self._show(location)

    def action_go_back(self) -> None:
        """Go back to where we were before."""
        self._leave()
        location = self.trail.back()
        if location is None and self.trail.here.place != places.HOME:
            # A restored session begins anywhere, and there is always a way home from it.
            location = Location(places.HOME)
            self.trail = Trail(location)
        if location is None:
            self.say("This is where you began.", "dim")
        else:
            self._show(location)

    def _leave(self) -> None:
        if (screen := self.place_screen) is not None and screen.is_mounted:
            self.trail.leave(screen.cursor_name())

    def _show(self, location: Location) -> None:
        place = places.find(location.place)
        assert place is not None
        query = parse(location.line) if place.lists else Query()
        screen = places.load(place)(location, query)
        if self.place_screen is None:
            self.push_screen(screen)
        else:
            self.switch_screen(screen)

    def name_of(self, location: Location) -> str:
        """A location in the breadcrumbs: its title, and the name of what it is about."""
        place = places.find(location.place)
        title = place.title if place else location.place
        return f"{title} {self.names.get(location.target, location.target)}".rstrip()

    def status(self, width: int) -> tuple[Sequence[Span], Sequence[Span]]:
        """The status line of so many cells: whose console this is, on which catalog, and how fresh.

        The catalog's path gives way to the mode and the counts, and these to what an action waits for.
        """
        settings = self.ctx.settings
        mode: Span = ("  READ-ONLY", "warn") if settings.read_only else ("  rw", "dim")
        head: list[Span] = [("mlconsole", "accent"), (f"  {settings.user}@{settings.host}  ", "value")]
        most = width - 2 - sum(cell_width(clean(text)) for text, _ in [*head, mode])
        waits = self.acting.spans()
        for is_short in (False, True):
            told = waits if waits and is_short else [*waits, *self.freshness.spans(is_short=is_short)]
            right = [(end(clean(text), max(24, width // 2)), token) for text, token in told]
            room = most - sum(cell_width(clean(text)) for text, _ in right)
            if room >= 0:
                break
        path = middle(clean(str(settings.home)), room) if room >= LEAST_PATH else ""
        return [*head, (path, "dim"), mode], right

    def actions_for(self, offers: frozenset[str]) -> list[Keyed]:
        """The actions with a key whose params the cursor of such a screen can fill in."""
        return [keyed for keyed in KEYED if keyed.key != "enter" and keyed.wants <= offers]

    def complete(self, head: str) -> Sequence[str]:
        """Words that may stand at the end of a typed line."""
        return typed.completions(self, head)

    def says_typed(self, line: str) -> list[Span]:
        """What stands over a line while it is typed: places it may become, or the command that shows the same."""
        if words := typed.begun(line):
            return words
        try:
            location, _ = places.locate(line, self.trail.here)
            command = typed.command_of(location)
        except QueryError:
            return [(typed.hint(line), "dim")]
        return [("as a command: ", "dim"), (command, "value")] if command else []

    def learn_names(self) -> None:
        """Read the names of metrics, params and tags again, for completion."""
        self.reads.do(self.ctx.catalog.search.names, self._take_names)

    def _take_names(self, names: Sequence[str]) -> None:
        self.metric_names = tuple(names)

    def save_bookmark(self, name: str) -> None:
        """Keep the present place, filter, sort and columns under a name."""
        self.session.bookmarks[name] = self.trail.here.text
        self.say(f"Saved: :{name} is {self.trail.here.text}", "good")

    def forget_bookmark(self, name: str) -> None:
        """Drop a bookmark."""
        del self.session.bookmarks[name]
        self.say(f"Forgotten: :{name}", "good")

    def choose_columns(self, names: Sequence[str]) -> None:
        """The columns of this list, or else of runs, from now on and in this order; the first ones without names."""
        here = self.trail.here if places.lists(self.trail.here.place) else Location("runs")
        self.session.columns[here.place] = list(names)
        self.go(here)

    def use_theme(self, name: str) -> None:
        """Draw in other colours, now and at the next start."""
        self.session.theme = name
        self._use(dataclasses.replace(self.look, palette=name if self.ctx.settings.color else "mono"))

    def _use(self, look: Look) -> None:
        self.look = look
        self.theme = "ansi-light" if look.palette == "light" else "ansi-dark"
        self.painter.forget() if hasattr(self, "painter") else None
        for screen in self.screen_stack:
            screen.refresh(layout=True)
            for widget in screen.query("*"):
                widget.refresh()

    def action_act(self, name: str) -> None:
        """Begin an action on what the cursor stands on."""
        self.acting.begin(name)

    def look_again(self) -> None:
        """Have the present screen read its data again."""
        self._looked_at_s = time.monotonic()
        if (screen := self.place_screen) is not None and screen.is_mounted:
            screen.show_status()
            screen.look_again()

    def action_palette(self) -> None:
        """Choose any action or place by typing part of its name."""

        def chosen(choice: str | None) -> None:
            if choice is None:
                return
            kind, _, name = choice.partition(" ")
            if kind == "go":
                self.go(Location(name))
            else:
                self.action_act(name)

        self.push_screen(Palette(self.entries()), chosen)

    def entries(self) -> list[Entry]:
        """Every action, what is off last and with the reason, and every place."""
        out = [
            Entry(f"act {action.name}", action.name, action.summary, action.key, self.acting.why_off(action))
            for action in actions.every()
        ]
        out.sort(key=lambda entry: bool(entry.disabled))
        return out + [
            Entry(f"go {place.name}", place.name, place.summary, "")
            for place in places.PLACES
            if not place.takes or place.is_optional
        ]

    def copy(self, text: str, what: str) -> None:
        """Copy a text to the clipboard of the terminal, and say how much."""
        osc, lost = clipboard.sequence(text, self.ctx.settings.terminal)
        if self._driver is not None:
            self._driver.write(osc)
        size = f"{len(text):,} characters"
        self.say(f"Copied {what}: {size}" + (f", the last {lost:,} bytes left out for size" if lost else ""), "good")

    def copy_to_clipboard(self, text: str) -> None:
        """Copy, for widgets that ask the app."""
        self.copy(text, "the text")

    def action_help(self) -> None:
        """Show the keys that work here."""
        from mlconsole.tui.screens.help import HelpDialog

        if (screen := self.place_screen) is not None:
            self.push_screen(HelpDialog(screen))


def _look(ctx: Context, remembered: str) -> Look:
    return Look(palettes.chosen(ctx.settings, remembered), ctx.settings.ascii)
