"""What a log view tells its screen; handlers are named ``on_log_...``."""

from __future__ import annotations

from textual.message import Message

from mlconsole.tui.logs.reader import Reader


class CopyWanted(Message, namespace="log"):
    """Text to put on the clipboard, cleaned, and what it is in words."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__()
        self.text = text
        self.what = what


class Read(Message, namespace="log"):
    """A reader has a new frame; of no interest to others."""

    bubble = False

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader = reader
