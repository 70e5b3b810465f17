"""Copying to the clipboard of the terminal at the other end: OSC 52, through tmux and screen, with a size limit.

OSC 52 as in xterm's "Control Sequences". Within tmux the sequence goes out both ways of tmux(1), which
takes the plain one where ``set-clipboard`` is on, hands the wrapped one on where ``allow-passthrough`` is on, and drops
what it may not take.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

LIMIT_BYTES = 74_994
"""The most that common terminals take: 100,000 characters of sequence, three quarters of which are text."""


def sequence(text: str, environ: Mapping[str, str]) -> tuple[str, int]:
    """The sequence that copies a text, and how many bytes of it were left out for size."""
    data = text.encode("utf-8", "backslashreplace")
    kept = data[:LIMIT_BYTES].decode("utf-8", "ignore").encode("utf-8")
    osc = f"\x1b]52;c;{base64.b64encode(kept).decode('ascii')}\x07"
    if environ.get("TMUX"):
        osc += "\x1bPtmux;" + osc.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    elif environ.get("TERM", "").startswith("screen"):
        osc = "\x1bP" + osc + "\x1b\\"
    return osc, len(data) - len(kept)
