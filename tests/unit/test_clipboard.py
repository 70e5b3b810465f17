from __future__ import annotations

import base64

from mlconsole.tui import clipboard

PLAIN = "\x1b]52;c;cnVu\x07"


def test_a_text_is_copied_by_osc_52() -> None:
    assert clipboard.sequence("run", {"TERM": "xterm-256color"}) == (PLAIN, 0)


def test_within_tmux_it_goes_out_plain_and_wrapped_as_only_one_may_be_allowed() -> None:
    wrapped = "\x1bPtmux;\x1b\x1b]52;c;cnVu\x07\x1b\\"

    assert clipboard.sequence("run", {"TERM": "screen-256color", "TMUX": "/tmp/tmux-0/default,1,0"}) == (
        PLAIN + wrapped,
        0,
    )


def test_within_screen_it_is_wrapped() -> None:
    assert clipboard.sequence("run", {"TERM": "screen"}) == (f"\x1bP{PLAIN}\x1b\\", 0)


def test_what_is_too_long_is_cut_between_letters_and_counted() -> None:
    osc, lost = clipboard.sequence("é" * clipboard.LIMIT_BYTES, {})

    copied = base64.b64decode(osc.removeprefix("\x1b]52;c;").removesuffix("\x07"))
    assert copied.decode() == "é" * (clipboard.LIMIT_BYTES // 2)
    assert len(copied) + lost == 2 * clipboard.LIMIT_BYTES
