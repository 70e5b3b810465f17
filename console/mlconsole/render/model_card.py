"""A model's version as Markdown: what it is, what it was made from, how good it was."""

from __future__ import annotations

from mlconsole.domain.lineage import Lineage, NodeKind
from mlconsole.domain.models import ModelPage, tensor_words
from mlconsole.domain.times import iso
from mlconsole.render import numbers
from mlconsole.render.sanitise import clean

MARKED = str.maketrans({char: f"\\{char}" for char in "\\`*_{}[]<>()#+-!|~&"})
MOST_LINES = 100


def card_of(page: ModelPage, past: Lineage) -> str:
    """The card; foreign text in it is text, never Markdown."""
    version = page.version
    aliases = f" ({', '.join(_text(alias) for alias in version.aliases)})" if version.aliases else ""
    out = [f"# {_text(version.label)}{aliases}", ""]
    out += [f"Registered {iso(version.registered_at)} by {_text(version.owner)}, from run {_text(version.run_id)}.", ""]
    out += [f"Digest: `{clean(version.digest)}`", ""]
    if version.metrics:
        out += ["## Metrics", "", "| metric | last value |", "|---|---|"]
        out += [f"| {_text(name)} | {numbers.number(value)} |" for name, value in version.metrics.items()] + [""]
    out += ["## Made from", "", *(_past(past) or ["Nothing is known of what it was made from."]), ""]
    out += ["## Files", "", "| file | format | size | BLAKE3 |", "|---|---|---|---|"]
    for file in page.files[:MOST_LINES]:
        kind = file.signature.format or "file"
        out.append(f"| {_text(file.path)} | {kind} | {numbers.size(file.size_bytes)} | `{file.digest}` |")
    for file in page.files[:MOST_LINES]:
        signature = file.signature
        if signature.note:
            out += ["", f"**{_text(file.path)}**: {_text(signature.note)}."]
        for title, group in (("Inputs", signature.inputs), ("Outputs", signature.outputs)):
            if group:
                out += ["", f"{title} of {_text(file.path)}:", ""]
                out += [f"- {_text(tensor.name)}: {_text(tensor_words(tensor))}" for tensor in group[:MOST_LINES]]
    return "\n".join(out) + "\n"


def _past(past: Lineage) -> list[str]:
    shown = (NodeKind.RUN, NodeKind.CODE, NodeKind.DATASET, NodeKind.MODEL, NodeKind.ARTIFACT, NodeKind.ENVIRONMENT)
    nodes = [node for node in past.nodes if node != past.start and node.kind in shown]
    return [
        f"- {node.kind} {_text(node.label)} (`{clean(node.key, 200).replace('`', '')}`)" for node in nodes[:MOST_LINES]
    ]


def _text(text: str) -> str:
    return clean(text, 300).translate(MARKED)
