"""Jump labels: a short name for each thing in view, typed to go there."""

from __future__ import annotations

_LETTERS = "asdfjklghqweruiopzxcvnmtyb"


def labels(count: int) -> list[str]:
    """As many different labels as asked for, all of one length, the easiest keys first.

    At most two letters each, so at most 676; what is past that has no label.
    """
    if count <= len(_LETTERS):
        return list(_LETTERS[:count])
    return [first + second for first in _LETTERS for second in _LETTERS][:count]
