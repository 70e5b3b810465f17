"""Looking for a text in upper or lower case without making lower case of all that is looked through.

One byte of the text is rare in logs. Where it stands is found by the C library at the speed of memory, and only there
is the text compared: a third of the time of a copy in lower case, as long as the byte is rare in this log too.
"""

from __future__ import annotations

_LEAST = 16
_BYTES_A_PLACE = 1024


def places(data: bytearray, needle: bytes, rare: bytes, first: int, last: int) -> list[int] | None:
    """Where a text stands in a part of some data.

    Args:
        data: what is looked through.
        needle: the text, ASCII, in lower case.
        rare: the byte of it to go by, in lower case.
        first: where the part starts.
        last: where it ends.

    Returns:
        The places in ascending order; None if the byte is too frequent here for this to be quick.
    """
    offset = needle.index(rare)
    step = 1 if offset + 1 < len(needle) else -min(offset, 1)
    beside = needle[offset + step]
    neighbours = (beside, ord(chr(beside).upper()))
    begin = first + offset
    end = max(begin, last - (len(needle) - offset - 1))  # A part may be shorter than the text.
    most = max(_LEAST, (last - first) // _BYTES_A_PLACE)
    found: list[int] = []
    for byte in {rare, rare.upper()}:
        at = data.find(byte, begin, end)
        for _ in range(most):
            if at < 0:
                break
            if data[at + step] in neighbours and data[at - offset : at - offset + len(needle)].lower() == needle:
                found.append(at - offset)
            at = data.find(byte, at + 1, end)
        else:
            return None
    return sorted(found)
