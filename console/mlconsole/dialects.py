"""How a table file is written: its format, what it is packed with, what stands between its fields.

Told from its name and its first line, with nothing but the standard library: whoever counts its rows and whoever
compares them has to see the same table.
"""

from __future__ import annotations

import os
from typing import IO, cast

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
NO_VALUE = frozenset({"", "na", "n/a", "null", "none", "nan", "-nan", "#n/a", "nil"})
"""Texts, in small letters, that stand for no value."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How text begins that is UTF-16."""


def dialect_of(path: str) -> tuple[str, str]:
    """The format that a name says, and what it is packed with; empty for no table, and for what is not packed."""
    stem, suffix = os.path.splitext(path.lower())
    packed = PACKED.get(suffix, "")
    if packed:
        suffix = os.path.splitext(stem)[1]
    return FORMATS.get(suffix, ""), packed


def opened(path: str, packed: str) -> IO[bytes]:
    """The bytes of a file, unpacked; those of zstd as they lie there, which the standard library cannot unpack."""
    if packed == "gzip":
        import gzip

        return cast("IO[bytes]", gzip.open(path, "rb"))
    if packed == "bz2":
        import bz2

        return bz2.open(path, "rb")
    if packed == "xz":
        import lzma

        return lzma.open(path, "rb")
    return open(path, "rb")


def separator(header: bytes) -> str:
    """What stands between the fields of CSV: a comma, unless its header has none and has one of the others.

    What is quoted is part of a name: ``"price, net";amount`` has two columns.
    """
    bare = b"".join(header.split(b'"')[::2])
    if b"," in bare:
        return ","
    return max(";\t|", key=lambda one: bare.count(one.encode())) if any(one in bare for one in b";\t|") else ","
