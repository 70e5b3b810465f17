"""Opens the console: the first rows are on the screen before Textual is imported, then Textual takes over."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import TYPE_CHECKING

from mlconsole import config
from mlconsole.config import Settings
from mlconsole.errors import MlconsoleError
from mlconsole.tui import palettes, session, signals
from mlconsole.tui.places import HOME, Location

if TYPE_CHECKING:
    from mlconsole.actions.context import Context

WEB_DRIVER = "TEXTUAL_DRIVER"
"""Set by textual-serve: Textual then speaks to a browser, and nothing else may write to stdout."""


def start(flags: Mapping[str, str | bool]) -> int:
    """Open the console with these global flags; returns the exit code."""
    try:
        settings = config.load(
            catalog=str(flags["catalog"]) if "catalog" in flags else None,
            read_only=bool(flags.get("read_only")),
            no_color=bool(flags.get("no_color")),
            plain=bool(flags.get("plain")),
        )
        if WEB_DRIVER in settings.terminal:
            return _open(settings)
        if settings.plain or not _is_terminal():
            return _plain(settings)
        return _open(settings)
    except MlconsoleError as error:
        sys.stderr.write(f"mlconsole: {error}\n")
        return error.exit_code


def _is_terminal() -> bool:
    return os.isatty(sys.stdin.fileno()) and os.isatty(sys.stdout.fileno())


def _plain(settings: Settings) -> int:
    from mlconsole.tui.plain import converse

    return converse(settings)


def _open(settings: Settings) -> int:
    from mlconsole.actions.context import Context
    from mlconsole.tui.first_frame import paint

    signals.before_textual()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name may have letters that the terminal's encoding lacks
    ctx = Context(settings)
    try:
        remembered = session.load(session.path_of(settings.home, settings.user))
        signals.keep_quiet()
        place = remembered.location or Location(HOME)
        usual = _usual(ctx)
        chosen = remembered.columns.get("runs", [])
        palette = palettes.chosen(settings, remembered.theme)
        picture = None if WEB_DRIVER in settings.terminal else paint(ctx, place, chosen, usual, palette)
        load_asyncio()
        from mlconsole.tui.console import Console  # 150 ms, after the first rows are seen

        app = Console(ctx, picture=picture, usual=usual)
        app.run()
        return app.return_code or 0
    finally:
        # A thread may hang in a backend or a dead disk; it must not hold up the shell prompt.
        signals.last_resort(0)
        signals.give_back()
        ctx.close()


def load_asyncio() -> None:
    """Load asyncio without TLS, which is optional to it and of no use to a screen: OpenSSL is 9 ms and 5 MB.

    Whoever wants :mod:`ssl` itself later, as a notifier does, loads it then.
    """
    if "ssl" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # "import ssl" fails while this stands.
    try:
        import asyncio  # noqa: F401  25 ms, of which Textual needs every one
    finally:
        del sys.modules["ssl"]


def _usual(ctx: Context) -> tuple[str, ...]:
    from mlconsole.tui.sources import usual_columns

    try:
        return usual_columns(ctx.catalog)
    except MlconsoleError:
        return ()  # The app then says what is wrong with the catalog.
