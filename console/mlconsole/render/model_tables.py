"""Registered models as lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mlconsole.domain.models import ModelDiff, ModelFile, ModelPage, ModelVersion, tensor_words
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

MOST_LINES = 100


def lines(result: object, now: datetime) -> list[str] | None:
    """The lines of a result about models; None for any other."""
    if isinstance(result, ModelVersion):
        parts = (result.label, result.digest[:19], numbers.size(result.size_bytes), f"from run {result.run_id}")
        return ["  ".join(clean(part) for part in parts)]
    if isinstance(result, ModelPage):
        return _page(result)
    if isinstance(result, ModelDiff):
        heads = ("", clean(result.before.label, 40), clean(result.after.label, 40))
        return table(heads, result.rows) if result.rows else ["They do not differ."]
    return None


def listing(items: Sequence[object], now: datetime) -> list[str] | None:
    """The lines of a list about models; None for any other."""
    if not isinstance(items[0], ModelVersion):
        return None
    titles = ("MODEL", "ALIASES", "SIZE", "RUN", "OWNER", "REGISTERED")
    return table(titles, [_row(one) for one in items if isinstance(one, ModelVersion)], {2})


def _row(version: ModelVersion) -> tuple[str, ...]:
    size = numbers.size(version.size_bytes)
    when = iso(version.registered_at) or ""
    return version.label, ", ".join(version.aliases), size, version.run_id, version.owner, when


def _page(page: ModelPage) -> list[str]:
    version = page.version
    pairs = [
        ("model", version.label),
        ("aliases", ", ".join(version.aliases)),
        ("digest", version.digest),
        ("run", version.run_id),
        ("owner", version.owner),
        ("registered", iso(version.registered_at) or ""),
    ]
    out = [f"{title:12}{clean(text, 2000)}" for title, text in pairs if text]
    if version.metrics:
        rows = [(name, numbers.number(value)) for name, value in version.metrics.items()]
        out += ["", *table(("METRIC", "LAST"), rows, {1})]
    for file in page.files[:MOST_LINES]:
        out += ["", *_file(file)]
    if page.history:
        moves = [(move.alias, f"{move.before or '-'} -> {move.after}", iso(move.at) or "", move.by)
                 for move in page.history[:MOST_LINES]]  # fmt: skip
        out += ["", *table(("ALIAS", "MOVED", "WHEN", "BY"), moves)]
    return out


def _file(file: ModelFile) -> list[str]:
    signature = file.signature
    kind = signature.format or "file"
    out = [f"{clean(file.path)}  {kind}  {numbers.size(file.size_bytes)}  blake3:{file.digest[:12]}"]
    out += [f"  {'warning: ' * signature.warns}{clean(signature.note)}"] if signature.note else []
    groups = (("input", signature.inputs), ("output", signature.outputs), ("tensor", signature.tensors))
    rows = [(what, tensor.name, tensor_words(tensor)) for what, group in groups for tensor in group]
    rows += [("imports", name, "") for name in signature.calls]
    out += [f"  {line}" for line in table(("", "", ""), rows[:MOST_LINES])[1:]] if rows else []
    more = max(0, len(rows) - MOST_LINES) + signature.more
    return out + ([f"  ... and {more:,} more"] if more else [])
