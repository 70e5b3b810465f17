"""Training-serving skew as lines of text and as a JSON document."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.parity import FeatureParity, Parity, Sameness
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean
from mlconsole.render.tables import table

MOST_LINES = 200
WORDS = {
    Sameness.DIFFERS: "✖ differs",
    Sameness.MISSING: "✖ missing",
    Sameness.NEW: "· new",
    Sameness.SAME: "✔ same",
}


def lines(found: Parity) -> list[str]:
    """The first feature that differs and by how much, then all of them."""
    out = [_head(found)]
    rows = [_row(one) for one in found.features[:MOST_LINES]]
    titles = ("FEATURE", "VERDICT", "ROWS", "LARGEST", "MEAN", "IN STD", "FIRST ROW", "TRAINING", "SERVING")
    out += ["", *table(titles, rows, {2, 3, 4, 5, 6})]
    more = len(found.features) - MOST_LINES
    return out + ([f"... and {more:,} more: --json has all"] if more > 0 else [])


def _head(found: Parity) -> str:
    first = found.first
    rows = min(found.rows_train, found.rows_serve)
    if found.rows_train != found.rows_serve:
        return f"✖ differs  training made {found.rows_train:,} rows, serving {found.rows_serve:,}"
    if found.is_shuffled:
        return f"✖ differs  serving made the same {rows:,} rows in another order: let both print them as they come"
    if first is None:
        same = sum(one.sameness is Sameness.SAME for one in found.features)
        return f"✔ same  {same} features in {rows:,} rows"
    name = clean(first.feature)
    moved = next((one.feature for one in found.features if one.is_shuffled), "")
    order = f"; the rows stand in another order, by {clean(moved)}" if moved and moved != first.feature else ""
    if first.sameness is Sameness.MISSING:
        return f"✖ missing  serving has no {name}"
    most = f", by {numbers.number(first.largest)} at most" if first.largest else ""
    head = f"✖ differs  {name} is the first: in {first.rows:,} of {rows:,} rows{most}"
    if first.first is None:
        return f"{head}{order}"
    train, serve = (clean(value, 40) or "nothing" for value in (first.first.train, first.first.serve))
    return f"{head}; row {first.first.row:,}: {train} in training, {serve} in serving{order}"


def _row(one: FeatureParity) -> tuple[str, ...]:
    is_off = one.sameness is Sameness.DIFFERS
    std = numbers.number(one.largest / one.scale) if one.largest and one.scale else ""
    amounts = (numbers.number(one.largest), numbers.number(one.mean), std) if is_off else ("", "", "")
    where = (f"{one.first.row:,}", clean(one.first.train, 20), clean(one.first.serve, 20)) if one.first else ("",) * 3
    word = "✖ other rows" if one.is_shuffled else WORDS[one.sameness]
    return (one.feature, word, f"{one.rows:,}" if one.rows else "", *amounts, *where)


def document(found: Parity) -> dict[str, Any]:
    """The document: ``verdict`` is same or differs, ``first`` the name of the first feature that is not the same."""
    return {
        "kind": "parity",
        "verdict": "differs" if found.failed else "same",
        "first": found.first.feature if found.first else None,
        "rows": found.source,
        "train": found.train,
        "serve": found.serve,
        "rows_train": found.rows_train,
        "rows_serve": found.rows_serve,
        "tolerance": found.tolerance,
        "shuffled": found.is_shuffled,
        "features": [_feature(one) for one in found.features],
    }


def _feature(one: FeatureParity) -> dict[str, Any]:
    first = one.first
    return {
        "feature": one.feature,
        "verdict": one.sameness.value,
        "rows": one.rows,
        "largest": one.largest,
        "mean": one.mean,
        "std": one.scale,
        "shuffled": one.is_shuffled,
        "first": None if first is None else {"row": first.row, "train": first.train, "serve": first.serve},
    }
