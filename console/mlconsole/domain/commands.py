"""What a command line says about the run it starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from mlconsole.domain.runs import ParamValue

CONFIGURATION = (".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".gin")
_FLAG = re.compile(r"--?([A-Za-z][\w.\-/]*)")
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def default_name(argv: Sequence[str], run_id: str) -> str:
    """A name from the program: ``train-3fk9`` for ``python train.py`` and for ``python -m pkg.train``."""
    words = [word for word in argv if word]
    stem = words[0] if words else "run"
    if re.fullmatch(r"python[\d.]*|torchrun|accelerate|uv|bash|sh|env", stem.rpartition("/")[2]):
        stem = next((w for w in words[1:] if not w.startswith("-") and w not in ("run", "launch")), stem)
    stem = stem.rstrip("/").rpartition("/")[2]
    stem = stem.removesuffix(".py").removesuffix(".sh")
    stem = stem.rpartition(".")[2] if re.fullmatch(r"[\w.]+", stem) else stem
    shown = re.sub(r"[^\w.\-]+", "-", stem)[:40].strip("-") or "run"
    return f"{shown}-{run_id[:4]}"


def config_files(argv: Sequence[str]) -> list[str]:
    """Words that name configuration files by their ending; JSON only where a flag or the name says ``conf``."""
    found = []
    for before, word in pairwise(argv):
        flag, equals, value = word.partition("=")
        path = value if equals else word
        if not equals:
            flag = before if before.startswith("-") and "=" not in before else ""
        told = f"{path.rpartition('/')[2]} {flag}"
        if path.endswith(CONFIGURATION) or (path.endswith(".json") and "conf" in told):
            found.append(path)
    return found


def params_of_argv(argv: Sequence[str]) -> dict[str, ParamValue]:
    """Params that flags show: ``--lr 0.1``, ``--lr=0.1``, ``lr=0.1`` (Hydra) and ``--amp`` (true)."""
    out: dict[str, ParamValue] = {}
    words = list(argv[1:])
    for i, word in enumerate(words):
        key, equals, value = word.partition("=")
        flag = _FLAG.fullmatch(key)
        if equals and (flag or re.fullmatch(r"[A-Za-z_][\w./]*", key)):
            out[flag.group(1) if flag else key] = _value(value)
        elif flag and word.startswith("--"):
            after = words[i + 1] if i + 1 < len(words) else "-"
            is_value = not after.startswith("-") or _NUMBER.fullmatch(after) is not None
            out[flag.group(1)] = _value(after) if is_value else True
    return out


def _value(text: str) -> ParamValue:
    if re.fullmatch(r"-?\d{1,300}", text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return {"true": True, "false": False}.get(text.lower(), text)
