"""Carries actions out from the screen: form where something is missing, plan, confirmation, result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlconsole import actions
from mlconsole.actions.base import Action, Option, option_of
from mlconsole.actions.execute import execute, plan
from mlconsole.actions.redaction import words_without_secrets
from mlconsole.domain.plans import Effect, Plan
from mlconsole.domain.results import Done
from mlconsole.domain.runs import Run
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import lines
from mlconsole.render.width import middle
from mlconsole.tui.places import Location
from mlconsole.tui.widgets.dialog import FormDialog, PlanDialog, TextDialog
from mlconsole.tui.widgets.line import Span
from mlconsole.tui.work import words_of

if TYPE_CHECKING:
    from mlconsole.tui.console import Console
    from mlconsole.tui.screens.base import PlaceScreen

SHOWN_BY = {
    "run show": "run",
    "run logs": "run",
    "run compare": "compare",
    "run list": "runs",
    "experiment list": "experiments",
    "backend list": "jobs",
    "audit list": "audit",
    "env list": "environments",
    "env show": "environment",
}
"""The place that shows what an action reads."""
WHERE = {
    "gpu": ("a GPU", ":gpus"),
    "alert": ("an alert", ":alerts"),
    "model_name": ("a model", ":models"),
    "model_version": ("a model", ":models"),
    "environment": ("an environment", ":environments"),
    "monitor": ("a monitor", ":monitors"),
    "firing": ("what a policy proposes", ":policies"),
    "policy": ("a policy", ":policies"),
    "node": ("a thing with a past", ":lineage"),
    "sweep": ("a sweep", ":sweeps"),
}
"""What a cursor that is no run's stands on, and in which place."""


SUBJECT_CELLS = 48
SLOW_S = 1.5
"""An action that takes longer says so."""
LAUNCHING = ("launch", "run relaunch")
"""Actions whose result is a run that the screen's filter may well not show."""


class Acting:
    """Does what a key or the palette asks for, on what the cursor stands on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._name = ""

    def spans(self) -> list[Span]:
        """What the status line says of an action that has not come to its end for a while: how long, and for what."""
        age = self._console.doing.waiting_s
        if age < SLOW_S or not self._name:
            return []
        is_held = self._console.ctx.catalog.store.is_held
        words = f"waiting {age:.0f}s for the catalog" if is_held else f"{age:.0f}s so far"
        return [(f"{self._name}: {words}  ", "warn")]

    def begin(self, name: str) -> None:
        """Begin an action."""
        console = self._console
        action = actions.named(name)
        if reason := self.why_off(action):
            console.say(f"{name} is off: {reason}.", "warn")
            return
        given: dict[str, Any] = {}
        screen = console.place_screen
        for field in dataclasses.fields(action.params):
            if cursor := option_of(field).cursor:
                found = screen.filled(cursor) if screen else None
                if not found:
                    console.say(f"{name}: there is nothing under the cursor.", "warn")
                    return
                given[field.name] = found
        if screen is not None:
            given = screen.widened(name, given)
        if name == "run compare" and screen is not None:
            given = {"runs": self._compared(given["runs"], screen)}
            if len(given["runs"]) < 2:
                console.say("run compare: this is one run alone. Mark others with space, then c.", "warn")
                return
        if name in SHOWN_BY:
            self._navigate(name, given)
        else:
            self._ask_params(action, given)

    def _compared(self, runs: Sequence[str], screen: PlaceScreen) -> tuple[str, ...]:
        """What is compared: one run alone means that one and whatever else is marked or under the cursor."""
        if len(runs) > 1:
            return tuple(runs)
        here = screen.filled("run")
        return tuple(dict.fromkeys((*sorted(self._console.marks), *runs, *([str(here)] if here else []))))

    def why_off(self, action: Action[Any]) -> str:
        """Why an action cannot be begun here; empty when it can."""
        console = self._console
        if action.effect is not Effect.READ and console.ctx.settings.read_only:
            return "this console is read-only"
        offers = console.place_screen.offers if console.place_screen else frozenset()
        missing = {option.cursor for option in options_of(action) if option.cursor} - offers
        what, where = next((WHERE[cursor] for cursor in WHERE if cursor in missing), ("a run", ":runs"))
        return f"it needs {what} under the cursor, as in {where}" if missing else ""

    def _navigate(self, name: str, given: Mapping[str, Any]) -> None:
        target = given.get("run") or given.get("name") or ",".join(given.get("runs", ()))
        cursor = "log" if name == "run logs" else ""
        self._console.go(Location(SHOWN_BY[name], str(target), cursor=cursor))

    def _ask_params(self, action: Action[Any], given: dict[str, Any]) -> None:
        console = self._console
        # What destroys something is asked for anew each time: nobody takes back what they took back last week.
        kept = {} if action.effect is Effect.DESTROY else console.session.values.get(action.name, {})
        last = {k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()}
        if action.name == "run relaunch":
            # The run's own command stands in the form, to be edited.
            console.reads.do(
                lambda: console.ctx.catalog.runs.get(given["run"]).command,
                lambda command: self._open_form(action, given, {"command": command}),
            )
        else:
            self._open_form(action, given, last)

    def _title(self, action: Action[Any], values: Mapping[str, Any]) -> str:
        """What an action does, and what to: a dialog hides the row it is about."""
        cursors = [f.name for f in dataclasses.fields(action.params) if option_of(f).cursor]
        several = max((len(found) for name in cursors if isinstance(found := values.get(name), tuple)), default=1)
        screen = self._console.place_screen
        about = screen.subject if screen and cursors else ""
        subject = f"{several} marked" if several > 1 else middle(clean(about), SUBJECT_CELLS)
        return f"{action.summary}: {subject}" if subject else action.summary

    def _open_form(
        self, action: Action[Any], given: dict[str, Any], first: Mapping[str, Any], trouble: str = ""
    ) -> None:
        """Ask for what is not given; a plan that cannot be made of it brings the form back as it was filled in."""
        form = FormDialog(action, given, first, self._title(action, given), trouble)
        if form.is_empty:
            self._make_plan(action, given, self._console.failed)
            return

        def entered(values: Mapping[str, Any] | None) -> None:
            if values is not None:
                self._remember(action, given, values)
                self._make_plan(action, values, lambda error: ask_again(error, values))

        def ask_again(error: Exception, values: Mapping[str, Any]) -> None:
            self._console.failed(error)
            self._open_form(action, given, values, words_of(error))

        self._console.push_screen(form, entered)

    def _remember(self, action: Action[Any], given: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        private = {f.name for f in dataclasses.fields(action.params) if option_of(f).private}
        kept = {k: v for k, v in values.items() if k not in given and k not in private}
        safe = {k: words_without_secrets(list(v)) if isinstance(v, tuple) else v for k, v in kept.items()}
        self._console.session.values[action.name] = safe

    def _make_plan(
        self, action: Action[Any], values: Mapping[str, Any], otherwise: Callable[[Exception], None]
    ) -> None:
        console = self._console
        params = action.params(**values)
        if action.effect is Effect.READ:
            self._do(action, params)
            return
        title = self._title(action, values)
        self._name = action.name
        console.say(f"Planning {action.name} ...", "dim")
        console.desk_for_actions().do(
            lambda: plan(console.ctx, action, params),
            lambda found: self._show_plan(action, params, found, title),
            otherwise,
        )

    def _show_plan(self, action: Action[Any], params: Any, found: Plan, title: str) -> None:
        self._console.say("")

        def answered(yes: bool | None) -> None:
            if yes:
                self._do(action, params)
            else:
                self._console.say("Nothing was changed.", "dim")

        self._console.push_screen(PlanDialog(found, title), answered)

    def _do(self, action: Action[Any], params: Any) -> None:
        self._name = action.name
        self._console.say(f"{action.name} ...", "dim")
        self._console.desk_for_actions().do(
            lambda: self._carry_out(action, params), lambda result: self._done(action, params, result)
        )

    def _carry_out(self, action: Action[Any], params: Any) -> object:
        result = execute(self._console.ctx, action, params, confirmed=True)
        return list(result) if isinstance(result, Iterator) else result

    def _done(self, action: Action[Any], params: Any, result: object) -> None:
        console = self._console
        if isinstance(result, Run):
            console.names[result.id] = result.name
        if output := getattr(params, "output", None):
            words = [f"written to {output}"]
        else:
            words = [] if result is None else lines(result, console.ctx.clock())
        if action.effect is Effect.READ and len(words) > 1 and not isinstance(result, Done):
            console.say("")
            console.push_screen(TextDialog(action.name, words))
        else:
            where = f"   :run {result.id} opens it" if isinstance(result, Run) and action.name in LAUNCHING else ""
            console.say(f"{action.name}: {words[0] if words else 'done'}{where}", "good")
        console.look_again()


def options_of(action: Action[Any]) -> list[Option]:
    """How the params of an action appear."""
    return [option_of(field) for field in dataclasses.fields(action.params)]
