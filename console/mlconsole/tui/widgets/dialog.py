"""Dialogs: a plan to confirm, a form made from an action's params, a text to read."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from mlconsole.actions.base import Action, option_of
from mlconsole.domain.plans import Effect, Plan
from mlconsole.render.plan_lines import plan_lines
from mlconsole.render.sanitise import clean
from mlconsole.tui.widgets.field import Field
from mlconsole.tui.widgets.folding import fold
from mlconsole.tui.widgets.line import Line, Span
from mlconsole.tui.widgets.page import Page


class EditWanted(Message):
    """A text is to be opened in the user's editor; ``then`` takes what was made of it."""

    def __init__(self, text: str, then: Callable[[str], None]) -> None:
        super().__init__()
        self.text = text
        self.then = then


class ViewWanted(Message):
    """A text is to be opened in the user's pager."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


WIDEST, FRAME = 110, 5
"""Cells of a dialog as in ``dialog.tcss``, and of its border, padding and scroll bar."""
COMMAND_LINES, NARROWEST = 3, 70
"""A command in a form takes so many lines: of a longer one both ends are shown, its flags stand at the end."""
AROUND = 7
"""Lines of a dialog beside its body: the frame, a title of two lines and a blank, a blank and the keys."""
WORD = 3
"""Lines that a word to be typed takes."""
SCROLLS = ("up", "down", "pageup", "pagedown")


class PlanDialog(ModalScreen[bool]):
    """Shows what an action would do, and asks.

    Enter does it, or, where the blast radius is large, typing the given word. Nothing is done by any other key.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,n", "no", "no, change nothing"),
        Binding("enter", "yes", "do it"),
        Binding("y,ctrl+y", "copy", "copy the command"),
        *(Binding(key, f"scroll_plan('{key}')", f"scroll {key}", show=False) for key in SCROLLS),
    ]

    def __init__(self, plan: Plan, title: str) -> None:
        super().__init__()
        self.plan = plan
        self._title = title

    def compose(self) -> ComposeResult:
        """The plan's lines, a word to type where one is wanted, and the keys."""
        with Vertical(id="dialog", classes="danger" if self.plan.effect is Effect.DESTROY else ""):
            yield Static(Content(clean(self._title)), id="title")
            with VerticalScroll(id="body", can_focus=not self.plan.confirm):
                yield Static(Content(self._text()), id="plan")
            if self.plan.confirm:
                yield Static(Content(f"Type {clean(self.plan.confirm)} to go on:"), classes="label")
                yield Field(id="word")
            yield Line(id="keys")

    def on_mount(self) -> None:
        """Put the focus into the word's field where there is one."""
        for field in self.query(Input):
            field.cursor_blink = False
            self.set_focus(field)
        self._say_keys()

    def on_resize(self) -> None:
        """The plan's lines are folded anew, and may have more or less room."""
        self.query_one("#plan", Static).update(Content(self._text()))
        height = self.size.height
        room = height - AROUND - (WORD if self.plan.confirm else 0)
        self.query_one("#body").styles.max_height = max(1, min(height * 60 // 100, room))
        self.call_after_refresh(self._say_keys)

    def _say_keys(self) -> None:
        yes, copy = ("word, Enter", "^y") if self.plan.confirm else ("Enter", "y")
        more = [("PgDn", "more")] if self.query_one("#body", VerticalScroll).max_scroll_y > 0 else []
        self.query_one("#keys", Line).show(
            _keys((yes, "does it"), ("Esc", "changes nothing"), (copy, "copies it"), *more)
        )

    def _text(self) -> str:
        """The plan, what is too long for a line hung under its step."""
        width = min(WIDEST, self.app.size.width * 94 // 100) - FRAME
        lines = [part for line in plan_lines(self.plan)[1:] for part in fold([(line, "value")], width)]
        return "\n".join("".join(text for text, _ in line) for line in lines)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the word's field."""
        self.action_yes()

    def action_yes(self) -> None:
        """Confirm, if the word that is wanted was typed."""
        if self.plan.confirm and self.query_one("#word", Input).value != self.plan.confirm:
            self.query_one("#keys", Line).show([(f'That is not "{self.plan.confirm}".', "error")])
            return
        self.dismiss(True)

    def action_no(self) -> None:
        """Change nothing."""
        self.dismiss(False)

    def action_scroll_plan(self, key: str) -> None:
        """Show more of a plan that is longer than the screen, also while the word is typed."""
        body = self.query_one("#body", VerticalScroll)
        page = {"up": body.scroll_up, "down": body.scroll_down, "pageup": body.scroll_page_up}
        page.get(key, body.scroll_page_down)(animate=False)

    def action_copy(self) -> None:
        """Copy the plan's command."""
        self.app.copy_to_clipboard(self.plan.command)


class TextDialog(ModalScreen[None]):
    """A text to read: what an action answered."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "close"),
        Binding("v", "view", "open it in $PAGER"),
    ]

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def action_view(self) -> None:
        """Open the text in the user's pager."""
        self.post_message(ViewWanted("\n".join(self._lines)))

    def compose(self) -> ComposeResult:
        """The lines, as many as there are."""
        with Vertical(id="dialog", classes="tall"):
            yield Static(Content(clean(self._title)), id="title")
            page = Page()
            page.show([[(line, "value")] for line in self._lines], folds=False)
            yield page
            yield Line(id="keys")

    def on_mount(self) -> None:
        """Say the keys."""
        self.query_one("#keys", Line).show(_keys(("Esc", "closes"), ("j k", "scroll"), ("v", "opens it in $PAGER")))


class FormDialog(ModalScreen[Mapping[str, Any] | None]):
    """A form made from the params of an action, with the command it makes shown as it grows."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel"),
        Binding("ctrl+s", "submit", "go on"),
        Binding("ctrl+o", "edit", "this field in $EDITOR"),
    ]

    def __init__(
        self,
        action: Action[Any],
        given: Mapping[str, Any],
        last: Mapping[str, Any],
        title: str = "",
        trouble: str = "",
    ) -> None:
        super().__init__()
        self._title = title or action.summary
        self._trouble = trouble
        self.action = action
        self._given = dict(given)
        self._last = dict(last)
        self._fields = [field for field in dataclasses.fields(action.params) if field.name not in given]

    @property
    def is_empty(self) -> bool:
        """True when the cursor has filled in all that must be, and nothing else is worth a question."""
        return not any(_must_be_given(self.action, field) or option_of(field).asked for field in self._fields)

    def compose(self) -> ComposeResult:
        """A labelled input for each param, those first that must be given."""
        with Vertical(id="dialog", classes="form"):
            yield Static(Content(clean(self._title)), id="title")
            with VerticalScroll(id="body", can_focus=False):
                for index, field in enumerate(self._fields):
                    with Horizontal(classes="row"):
                        yield Static(Content(self._label(field)), classes="label")
                        first = self._last.get(field.name, self._default(field))
                        yield Field(
                            _shown(first), id=f"field-{index}", placeholder=option_of(field).help, select_on_focus=False
                        )
            yield Line(id="about")
            if self._trouble:
                yield Static(Content(clean(self._trouble)), id="trouble")
            yield Static(id="command")
            yield Line(id="keys")

    def _label(self, field: dataclasses.Field[Any]) -> str:
        star = " *" if _must_be_given(self.action, field) else ""
        return clean(f"{field.name.replace('_', ' ')}{star}")

    def _default(self, field: dataclasses.Field[Any]) -> object:
        if field.default is None and _must_be_given(self.action, field):
            return f"{self.action.name.replace(' ', '-')}.{self._last.get('format', 'json')}"
        return field.default

    def on_mount(self) -> None:
        """Put the focus into the first field."""
        for field in self.query(Input):
            field.cursor_blink = False
        self._show_keys()
        self._show_command()
        self.set_focus(self.query_one("#field-0", Input))

    def _show_keys(self) -> None:
        self.query_one("#keys", Line).show(
            _keys(("Enter", "next"), ("^s", "go on"), ("^o", "$EDITOR"), ("Esc", "cancel"), ("*", "must be given"))
        )

    def on_descendant_focus(self) -> None:
        """Say in full what the focused field is for."""
        focused = self.focused
        if isinstance(focused, Input) and focused.id is not None:
            field = self._fields[int(focused.id.removeprefix("field-"))]
            self.query_one("#about", Line).show([(option_of(field).help, "dim")])

    def on_input_changed(self) -> None:
        """Keep the command up to date."""
        self._show_command()
        self._show_keys()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the next field, or on from the last."""
        if event.input.id == f"field-{len(self._fields) - 1}":
            self.action_submit()
        else:
            self.focus_next()

    def _show_command(self) -> None:
        try:
            text = command_of(self.action, self.values())
        except ValueError as error:
            text = str(error)
        static = self.query_one("#command", Static)
        lines = fold([(text, "dim")], static.size.width or NARROWEST, COMMAND_LINES)
        static.update(Content("\n".join("".join(part for part, _ in line) for line in lines)))

    def values(self) -> dict[str, Any]:
        """What the fields hold, by param.

        Raises:
            ValueError: a number is none, or quotes do not close; the message says where.
        """
        out = dict(self._given)
        for index, field in enumerate(self._fields):
            text = self.query_one(f"#field-{index}", Input).value
            out[field.name] = _parsed(field, text)
            choices = option_of(field).choices
            if choices and text not in choices and (text or field.default is not None):
                raise ValueError(f"{field.name}: one of {', '.join(choices)}")
        return out

    def missing(self) -> str:
        """The first field that must be given and is not; empty when there is none."""
        for index, field in enumerate(self._fields):
            if _must_be_given(self.action, field) and not self.query_one(f"#field-{index}", Input).value.strip():
                return f"field-{index}"
        return ""

    def action_submit(self) -> None:
        """Go on with what was typed."""
        try:
            values = self.values()
        except ValueError as error:
            self.query_one("#keys", Line).show([(str(error), "error")])
            return
        if missing := self.missing():
            field = self._fields[int(missing.removeprefix("field-"))]
            self.query_one(f"#{missing}", Input).focus()
            self.query_one("#keys", Line).show([(f"{field.name.replace('_', ' ')} must be given", "error")])
            return
        self.dismiss(values)

    def action_edit(self) -> None:
        """Open what stands in the focused field in the user's editor; what is saved there stands in the field then."""
        field = self.focused
        if not isinstance(field, Input):
            return

        def edited(text: str) -> None:
            # A field is one line; what a quoted word holds stays as it is.
            try:
                field.value = shlex.join(shlex.split(text, comments=True)) if "\n" in text.rstrip() else text.rstrip()
            except ValueError:
                field.value = text.rstrip()

        self.post_message(EditWanted(field.value, edited))

    def action_cancel(self) -> None:
        """Forget it."""
        self.dismiss(None)


def _keys(*pairs: tuple[str, str]) -> list[Span]:
    return [span for key, words in pairs for span in ((key, "strong"), (f" {words}   ", "dim"))]


def _must_be_given(action: Action[Any], field: dataclasses.Field[Any]) -> bool:
    """Whether the form asks for it; what an action would write to standard output needs a file here."""
    option = option_of(field)
    is_stream = action.streams and field.name == "output"
    return field.default is dataclasses.MISSING or option.remainder or option.positional or is_stream


def _shown(value: object) -> str:
    if value is None or value is dataclasses.MISSING or value is False:
        return ""
    if isinstance(value, tuple):
        return shlex.join(str(word) for word in value)
    return "yes" if value is True else str(value)


def _parsed(field: dataclasses.Field[Any], text: str) -> Any:
    kind = str(field.type).replace(" ", "")
    name = field.name.replace("_", " ")
    if kind.startswith("tuple"):
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise ValueError(f"{name}: a quote is not closed") from error
    if kind == "bool":
        return text.strip().lower() in ("y", "yes", "true", "1")
    if not text.strip() and kind.endswith("|None"):
        return None
    for word, convert in (("int", int), ("float", float)):
        if kind.startswith(word):
            try:
                return convert(text)
            except ValueError as error:
                raise ValueError(f'{name}: "{text}" is not a number') from error
    return text


def command_of(action: Action[Any], values: Mapping[str, Any]) -> str:
    """The command line that does the same thing."""
    words = ["mlconsole", *action.name.split()]
    behind: Sequence[str] = ()
    for field in dataclasses.fields(action.params):
        value, option = values.get(field.name, field.default), option_of(field)
        if option.remainder:
            behind = ["--", *value]
        elif option.positional:
            words += [str(v) for v in value] if isinstance(value, tuple) else [str(value)]
        elif value is True:
            words.append(f"--{field.name.replace('_', '-')}")
        elif value not in (None, False, (), field.default):
            flag = f"--{field.name.replace('_', '-')}"
            words += [w for v in (value if isinstance(value, tuple) else (value,)) for w in (flag, str(v))]
    return shlex.join([*words, *behind])
