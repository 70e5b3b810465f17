"""Help, made from the live bindings of the screen it is asked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from mlconsole import actions
from mlconsole.actions.keys import KEYED
from mlconsole.tui.places import PLACES
from mlconsole.tui.typed import WORDS, command_of
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.widgets.page import Page

if TYPE_CHECKING:
    from mlconsole.tui.screens.base import PlaceScreen

FILTERS = (
    ("loss<0.3", "a metric or a param compared: < <= > >= = != ~ (contains)"),
    ("min(loss)<0.2", "the least, greatest, last, count or step of a metric"),
    ("state:running user:ann", "fields of a run; side by side means and"),
    ("(a or b) not tag:debug", "or, not, parentheses, tags"),
    ("has:acc created>-2h", "has a value at all; in the last two hours"),
    ("sort:-loss cols:lr,loss", "order and columns in the same line"),
)
NOISE = {
    (binding.action, binding.description)
    for binding in [*App.BINDINGS, *Screen.BINDINGS]
    if isinstance(binding, Binding)
}


class HelpDialog(ModalScreen[None]):
    """Keys of the screen below, places to go, and how to filter."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark", "dismiss", "close")]

    def __init__(self, screen: PlaceScreen) -> None:
        super().__init__()
        self._of = screen

    def compose(self) -> ComposeResult:
        """The page."""
        with Vertical(id="dialog"):
            yield Static(Content("Help  (Esc closes)"), id="title")
            yield Page(self.page_lines())

    def page_lines(self) -> list[list[Span]]:
        """Every action and key that works on the screen below, then places, words and filters."""
        screen = self._of
        actions = _action_lines(screen)
        on = [line for line, is_off in actions if not is_off]
        out: list[list[Span]] = [[("Actions", "strong")], *on, []] if on else []
        out += [[("Keys here", "strong")]]
        out += [_entry(keys, words, 16) for keys, words in bound_keys(screen)]
        if off := [line for line, is_off in actions if is_off]:
            out += [[], [("Actions that are off here, and why", "strong")], *off]
        out += [[], [("Behind :", "strong")]]
        out += [_entry(place.name, place.summary, 16) for place in PLACES]
        out += [_entry(words, meaning, 16) for words, meaning in WORDS.items()]
        out += [_entry(name, line, 16) for name, line in screen.console.session.bookmarks.items()]
        out += [[], [("Filters, behind / or :runs", "strong")]]
        out += [_entry(text, words, 26) for text, words in FILTERS]
        if command := command_of(screen.location):
            out += [[], [("This page as a command", "strong")], [("  " + command, "value")]]
        return out


def _entry(left: str, right: str, width: int) -> list[Span]:
    return [(f"  {left:{width}} ", "accent"), (right, "value")]


def _action_lines(screen: PlaceScreen) -> list[tuple[list[Span], bool]]:
    """A line for every action that has a key, with the reason where it is off, and whether it is."""
    out: list[tuple[list[Span], bool]] = []
    taken = screen.focused._bindings.key_to_bindings if screen.focused is not None else {}
    for action in (actions.named(keyed.name) for keyed in KEYED):
        why = screen.console.acting.why_off(action)
        if not why and action.key in taken and action.key != "enter":
            why = f"{action.key} is taken here; ^p finds it"
        line = _entry(action.key, action.summary, 16)
        out.append(([*line, (f"  off: {why}", "warn")], True) if why else (line, False))
    return out


def bound_keys(screen: PlaceScreen) -> list[tuple[str, str]]:
    """(keys, what they do) of everything bound on the screen, its focused widget and the app, actions left out.

    A key that the focused widget takes is not listed again for what lies under it, nor are Textual's own keys.
    """
    found: dict[tuple[str, str], list[str]] = {}
    taken: set[str] = set()
    maps = [screen.focused._bindings] if screen.focused is not None else []
    for bindings in [*maps, screen._bindings, screen.app._bindings]:
        for key, several in bindings.key_to_bindings.items():
            for binding in several:
                is_ours = binding.description and (binding.action, binding.description) not in NOISE
                if is_ours and key not in taken and not binding.action.startswith("app.act("):
                    found.setdefault((binding.action, binding.description), []).append(_name_of(key, binding))
        taken.update(bindings.key_to_bindings)
    return [(" ".join(dict.fromkeys(keys)), words) for (_, words), keys in found.items()]


def _name_of(key: str, binding: Binding) -> str:
    named = binding.key_display or key.replace("ctrl+", "^").replace("_", " ")
    return {"pagedown": "pgdn", "pageup": "pgup", "escape": "esc"}.get(named, named)
