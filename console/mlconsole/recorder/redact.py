"""Takes secrets out of text before it is written anywhere: pure functions, whole words of a name decide.

What is taken out becomes ``[redacted]``. Three things are secret: the value under a secret-sounding name,
text of a known shape (keys of cloud and code hosts, JSON web tokens, private keys, the user part of a URL),
and, wherever they occur, the values that this process's environment holds under secret names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from mlconsole.recorder.secret_names import is_secret_name

REDACTED = "[redacted]"
SHORTEST_SECRET = 8

_CHUNK = 1 << 16


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


_SHAPES = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:(?!-----END)[\w\s+/=\\:,.-])*(?:-----END [A-Z0-9 ]*-----)?"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\b(?:hf|npm|shpat|sk_live|rk_live|sk_test)_[A-Za-z0-9_-]{20,}"
    r"|\b(?:sk|nvapi)-[A-Za-z0-9_-]{20,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}"
    r"|\bAIza[A-Za-z0-9_-]{35}"
    r"|\bpypi-[A-Za-z0-9_-]{40,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)
# One of these is in every text that has a shape: looking for them first is many times faster.
_MARKS = _split(
    "PRIVATE KEY,AKIA,ASIA,ghp_,gho_,ghu_,ghs_,ghr_,github_pat_,glpat-,hf_,npm_,shpat_,k_live_,k_test_"
    ",sk-,nvapi-,xox,AIza,pypi-,eyJ"
)
_USERINFO = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/?#'\"<>]*@")
_HINTS = ("pass", "secret", "token", "key", "credential", "auth", "pwd", "bearer")
_HEADER = re.compile(r"(?i)(\bbearer\s+|\bauthorization[\"']?\s*[:=]\s*[\"']?(?:[a-z]+\s+)?)[\w.~+/=-]{8,}")
_ASSIGNMENT = re.compile(
    r"(?P<name>[A-Za-z_][\w.-]{2,80})(?P<sep>[\"']?\s{0,3}(?::=|=(?!=)|:)\s{0,3})"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s\"',;&(){}\[\]<>]+)(?P<call>[(\[]?)"
)
_HARMLESS = frozenset(
    ["", "0", "1", "none", "null", "true", "false", "nil", "yes", "no", "str", "int", "self", "optional", REDACTED]
)


def secret_values(environ: Mapping[str, str]) -> frozenset[str]:
    """The values of secret-named variables that are long enough to be looked for anywhere."""
    return _spellings(value for name, value in environ.items() if is_secret_name(name))


def argv_secrets(argv: Sequence[str]) -> frozenset[str]:
    """The values that a command line gives under secret names."""
    return _spellings(argument[start:] for argument, start in zip(argv, _secret_starts(argv)) if start >= 0)


def redact_text(text: str, secrets: Collection[str] = ()) -> str:
    """The text without secrets.

    Args:
        text: any text; long ones are worked through in pieces so that other threads get their turn.
        secrets: values to take out wherever they occur, from :func:`secret_values`.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    if len(text) <= _CHUNK:
        return _redact_piece(text)
    if "PRIVATE KEY" in text:
        text = _SHAPES.sub(REDACTED, text)
    pieces = []
    start = 0
    while start < len(text):
        stop = text.find("\n", start + _CHUNK)
        stop = len(text) if stop < 0 else stop + 1
        pieces.append(_redact_piece(text[start:stop]))
        start = stop
    return "".join(pieces)


def redact_argv(argv: Sequence[str], secrets: Collection[str] = ()) -> list[str]:
    """A command line without secrets: ``--api-key x``, ``--password=x`` and ``token=x`` lose their ``x``."""
    return [_redact_argument(argument, start, secrets) for argument, start in zip(argv, _secret_starts(argv))]


def redact_mapping(values: Mapping[str, object], secrets: Collection[str] = ()) -> dict[str, object]:
    """JSON values without secrets, nested ones included: keys decide, and texts are looked through."""
    return {redact_text(key, secrets): _redact_value(key, value, secrets) for key, value in values.items()}


def _redact_value(key: str, value: object, secrets: Collection[str]) -> object:
    if value is None or isinstance(value, bool) or value == "":
        return value
    if key and is_secret_name(key):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value, secrets)
    if isinstance(value, Mapping):
        return redact_mapping(value, secrets)
    if isinstance(value, list):
        starts = _secret_starts([item if isinstance(item, str) else "" for item in value])
        return [_redact_item(item, start, secrets) for item, start in zip(value, starts)]
    return value


def _redact_item(item: object, start: int, secrets: Collection[str]) -> object:
    if isinstance(item, str):
        return _redact_argument(item, start, secrets)
    return _redact_value("", item, secrets)


def _redact_argument(argument: str, start: int, secrets: Collection[str]) -> str:
    if start < 0:
        return redact_text(argument, secrets)
    return argument[:start] + REDACTED if argument[start:] else argument


def _secret_starts(argv: Sequence[str]) -> list[int]:
    """For each argument, where a secret begins in it: 0 for all of it, -1 for none."""
    starts = []
    follows = False
    for argument in argv:
        name, equals, value = argument.partition("=")
        flag = argument.startswith("-")
        word = name.lstrip("-+").rpartition(".")[2]
        named = word.isprintable() and " " not in name and is_secret_name(word)
        if follows and not (flag and argument.startswith("--")):
            starts.append(0)
            follows = False
        elif named and equals and "://" not in name and (flag or " " not in value):
            starts.append(len(name) + 1)
            follows = False
        else:
            starts.append(-1)
            follows = named and flag
    return starts


def _redact_piece(text: str) -> str:
    if "://" in text:
        text = _USERINFO.sub(rf"\1{REDACTED}@", text)
    if any(mark in text for mark in _MARKS):
        text = _SHAPES.sub(REDACTED, text)
    if not _has_hint(text):
        return text
    return "".join(_redact_line(line) if _has_hint(line) else line for line in text.splitlines(True))


def _has_hint(text: str) -> bool:
    lowered = text.lower()
    return any(hint in lowered for hint in _HINTS)


def _redact_line(line: str) -> str:
    return _ASSIGNMENT.sub(_redact_assignment, _HEADER.sub(rf"\1{REDACTED}", line))


def _redact_assignment(match: re.Match[str]) -> str:
    name, value = match["name"].rpartition(".")[2], match["value"]
    if not is_secret_name(name):
        return match[0]
    quote = value[0] if value[0] in "\"'" else ""
    bare = value.strip(quote) if quote else value
    if bare.lower() in _HARMLESS or (not quote and (match["call"] or _is_code(bare))):
        return match[0]
    # In code a token is often a piece of text; what authorises someone is longer.
    if name.lower().endswith("token") and len(bare) < SHORTEST_SECRET:
        return match[0]
    return f"{match['name']}{match['sep']}{quote}{REDACTED}{quote}{match['call']}"


def _is_code(value: str) -> bool:
    """Whether an unquoted value reads as an expression, such as ``args.password``, not as a secret."""
    parts = value.split(".")
    return all(part.isidentifier() for part in parts) and (len(parts) > 1 or is_secret_name(value))


def _spellings(values: Iterable[str]) -> frozenset[str]:
    """Long enough values, and how JSON, a Python literal and a URL would spell them."""
    found: set[str] = set()
    for value in values:
        if len(value.strip()) >= SHORTEST_SECRET:
            escaped = value.encode("unicode_escape").decode("ascii")
            quoted = "".join(c if c.isalnum() or c in "-._~" else _percent(c) for c in value)
            found.update((value, value.strip(), escaped, quoted))
            found.update(escaped.replace(mark, "\\" + mark) for mark in ("'", '"'))
    return frozenset(found)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
