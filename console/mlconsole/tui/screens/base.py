"""What every screen has: a status line, a title line with breadcrumbs, its content, the keys, and the prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.renderables.blank import Blank
from textual.screen import Screen
from textual.widget import Widget

from mlconsole.domain.query import Query
from mlconsole.errors import QueryError
from mlconsole.tui.places import Location
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.prompt import Prompt
from mlconsole.tui.widgets.table_messages import Failed
from mlconsole.tui.work import words_of

if TYPE_CHECKING:
    from mlconsole.tui.console import Console

ALWAYS = ((":", "go to"), ("?", "help"), ("q", "quit"))


class PlaceScreen(Screen[None]):
    """A screen of the console.

    Textual calls the handlers of a class and of its bases, each one: a subclass's ``on_...`` never calls ``super()``.
    A subclass gives its content in :meth:`content`, reads its data in :meth:`look_again`, and says in ``offers``
    which params the thing under its cursor can fill in; the keys of all fitting actions come by themselves.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("colon", "prompt(':')", "go to", key_display=":"),
        Binding("minus", "app.go_back", "back", key_display="-"),
        Binding("question_mark", "app.help", "help", key_display="?"),
        Binding("q", "app.quit", "quit"),
    ]
    offers: ClassVar[frozenset[str]] = frozenset()
    shown_keys: ClassVar[tuple[str, ...]] = ()
    wants_gpus: ClassVar[bool] = False

    def __init__(self, location: Location, query: Query) -> None:
        super().__init__()
        self.location = location
        self.query_line = query
        self._notice: tuple[Span, ...] = ()
        self._has_keys = False

    @property
    def console(self) -> Console:
        """The app this screen belongs to."""
        return cast("Console", self.app)

    @property
    def is_ready(self) -> bool:
        """True when keys typed ahead can act here: the screen stands, with its keys."""
        return self._has_keys

    @property
    def is_shown(self) -> bool:
        """True while this is the screen of the present place; a late answer for another one is dropped."""
        return self.is_mounted and self.console.place_screen is self

    def render(self) -> RenderableType:
        """The terminal's own background: Textual would draw the screen below, which a place covers."""
        return cast("RenderableType", Blank(self.app.styles.background))

    async def on_event(self, event: events.Event) -> None:
        """A screen that was left before it stood has no parts, and is not told that it stands."""
        if not isinstance(event, events.Mount) or self.children:
            await super().on_event(event)

    def compose(self) -> ComposeResult:
        """The frame round the content."""
        yield Line(id="status")
        yield Line(id="title")
        yield from self.content()
        yield from self.below()
        yield Line(id="keys")
        yield Prompt(id="prompt")

    def content(self) -> Iterable[Widget]:
        """The widgets between title and keys."""
        return ()

    def below(self) -> Iterable[Widget]:
        """What stands under the content."""
        return ()

    def look_again(self) -> None:
        """Read the data again; called when something changed, on the screen's thread: must only ask."""

    def gpus_seen(self) -> None:
        """There was another look at the GPUs."""
        self.look_again()

    def tick(self) -> None:
        """A second has gone while something runs."""
        self.look_again()

    def widened(self, action: str, given: dict[str, Any]) -> dict[str, Any]:
        """What an action is given here, where that is more or other than what the cursor stands on."""
        return given

    def filled(self, cursor: str) -> Any:
        """What the cursor fills into a param that wants ``run``, ``marked`` or the like; None when there is nothing."""
        return None

    @property
    def subject(self) -> str:
        """What an action from here is about, in a person's words; empty where the place is about nothing."""
        return self.console.names.get(self.location.target, self.location.target)

    def cursor_name(self) -> str:
        """What the cursor stands on, to come back to it."""
        return ""

    def on_mount(self) -> None:
        """Add the keys of the actions that fit here, and say where we are."""
        for action in self.console.actions_for(self.offers):
            self._bindings.bind(action.key, f"app.act('{action.name}')", action.name, show=False)
        prompt = self.query_one(Prompt)
        prompt.lines = self.console.typed_lines
        prompt.completer = self.console.complete
        self.show_status()
        self.show_title()
        self.show_keys()
        self._has_keys = True

    def show_line(self, name: str, left: Sequence[Span], right: Sequence[Span] = ()) -> None:
        """Fill one of the lines around the content; nothing where they are not there yet, or not any more."""
        if (line := self.query_one_optional(f"#{name}", Line)) is not None:
            line.show(left, right)

    def show_status(self) -> None:
        """Refresh the status line."""
        self.show_line("status", *self.console.status(self.size.width))

    def show_title(self, right: Sequence[Span] = ()) -> None:
        """Refresh the title line."""
        crumbs: list[Span] = []
        for crumb in self.console.trail.crumbs[:-1]:
            crumbs += [(self.console.name_of(crumb), "dim"), (" › ", "dim")]
        crumbs.append((self.console.name_of(self.location), "strong"))
        if self.location.line:
            crumbs.append((f"  {self.location.line}", "accent"))
        self.show_line("title", crumbs, right)

    def show_keys(self) -> None:
        """Refresh the line of keys, or the notice that stands in its place."""
        if self._notice:
            self.show_line("keys", self._notice)
            return
        always = _spans(ALWAYS)
        room = self.size.width - sum(len(text) for text, _ in always)
        spans: list[Span] = []
        for pair in self.keys():
            more = _spans([pair])
            room -= sum(len(text) for text, _ in more)
            if room < 0:
                break
            spans += more
        self.show_line("keys", [*spans, *always])

    def wanted_keys(self) -> Sequence[str]:
        """The actions whose keys matter here, those that matter most first."""
        return self.shown_keys

    def keys(self) -> list[tuple[str, str]]:
        """The keys that matter here, with a word for each, the ones that matter most first."""
        may_change = not self.console.ctx.settings.read_only
        fitting = self.console.actions_for(self.offers)
        wanted = {action.name: action for action in fitting if may_change or action.only_reads}
        taken = self.focused._bindings.key_to_bindings if self.focused is not None else {}
        found = [wanted[name] for name in self.wanted_keys() if name in wanted]
        return [(action.key, action.word) for action in found if action.key not in taken]

    def on_resize(self) -> None:
        """Show the keys for which there is room."""
        self.show_keys()
        self.show_status()

    def on_descendant_focus(self) -> None:
        """Other keys work where the focus is now."""
        self.show_keys()

    def on_charts_chosen(self) -> None:
        """Another chart is chosen, or there are other charts: the keys tell which of how many."""
        self.show_keys()

    def say(self, text: str, token: str = "value") -> None:
        """Show a notice in the line of keys until the next key."""
        self._notice = ((text, token),) if text else ()
        self.show_keys()

    def show_trouble(self, words: str) -> None:
        """Something went wrong: where nothing was read yet, the words stand in its place and not only in a notice."""

    def on_key(self) -> None:
        """A key takes the notice away."""
        if self._notice:
            self.say("")

    def action_prompt(self, mode: str, text: str = "") -> None:
        """Open the line at the bottom."""
        self.console.learn_names()
        self._notice = ()
        self.query_one("#keys", Line).display = False
        self.query_one(Prompt).open(mode, text)
        if mode == ":":
            self.show_line("title", self.console.says_typed(text))

    def close_prompt(self) -> None:
        """Close the line at the bottom and give the focus back."""
        self.query_one(Prompt).close()
        self.query_one("#keys", Line).display = True
        self.show_keys()
        self.show_title()
        self.focus_content()

    def focus_content(self) -> None:
        """Put the focus where keys are wanted."""
        self.set_focus(None)

    def on_table_failed(self, event: Failed) -> None:
        """What a table shows could not be read again."""
        self.say(words_of(event.error), "error")

    def on_prompt_closed(self, event: Prompt.Closed) -> None:
        """The line was left."""
        self.close_prompt()

    def on_prompt_edited(self, event: Prompt.Edited) -> None:
        """Say the command that shows the same, while a place is typed."""
        if event.mode == ":":
            self.show_line("title", self.console.says_typed(event.text))

    def on_prompt_offered(self, event: Prompt.Offered) -> None:
        """Show the words that could be meant."""
        self.show_line("title", [(" ".join(event.words), "accent")])

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        """Enter in the line."""
        if event.mode == ":":
            self.enter_line(event.text)

    def enter_line(self, text: str) -> None:
        """Go where a typed line says, or point at what is wrong with it."""
        prompt = self.query_one(Prompt)
        try:
            go = self.console.way_to(text)
        except QueryError as error:
            prompt.point_at(error)
            self.show_line("title", [(f"{error.message} {error.hint}", "error")])
            return
        prompt.remember(text)
        self.close_prompt()
        go()


def _spans(pairs: Sequence[tuple[str, str]]) -> list[Span]:
    return [span for key, word in pairs for span in ((key, "strong"), (f" {word}  ", "dim"))]
