"""The line under a log in which a search or a filter is typed."""

from __future__ import annotations

from mlconsole.tui.widgets.prompt import Prompt


class LogPrompt(Prompt, inherit_css=False):
    """A prompt of a log's own. Of another CSS type than the screen's, so that one is not found for the other."""

    DEFAULT_CSS = """
    LogPrompt { display: none; layout: horizontal; height: 1; width: 1fr; }
    LogPrompt.open { display: block; }
    LogPrompt Line { width: 1; }
    LogPrompt Input { height: 1; border: none; padding: 0; background: transparent; width: 1fr; }
    LogPrompt Input:focus { border: none; background: transparent; }
    """
