"""Registered models as JSON documents."""

from __future__ import annotations

from typing import Any

from mlconsole.domain.models import AliasMove, ModelDiff, ModelFile, ModelPage, ModelVersion, Tensor
from mlconsole.domain.times import iso

Document = dict[str, Any]


def document(result: object) -> Document | None:
    """The document of a result about models; None for any other."""
    if isinstance(result, ModelVersion):
        return {"kind": "model", **version_document(result)}
    if isinstance(result, ModelPage):
        files = [_file(file) for file in result.files]
        history = [_move(move) for move in result.history]
        return {"kind": "model", **version_document(result.version), "files": files, "alias_history": history}
    if isinstance(result, ModelDiff):
        rows = [{"what": what, "before": before, "after": after} for what, before, after in result.rows]
        sides = {"before": version_document(result.before), "after": version_document(result.after)}
        return {"kind": "model_diff", **sides, "rows": rows}
    return None


def item(thing: object) -> Document | None:
    """An element of a list about models; None for any other."""
    return version_document(thing) if isinstance(thing, ModelVersion) else None


def version_document(version: ModelVersion) -> Document:
    """A version, with the field names that scripts rely on."""
    return {
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "run": version.run_id,
        "owner": version.owner,
        "registered_at": iso(version.registered_at),
        "size_bytes": version.size_bytes,
        "metrics": dict(version.metrics),
        "aliases": list(version.aliases),
    }


def _file(file: ModelFile) -> Document:
    signature = file.signature
    return {
        "path": file.path,
        "size_bytes": file.size_bytes,
        "digest": f"blake3:{file.digest}",
        "format": signature.format,
        "tensors": [_tensor(tensor) for tensor in signature.tensors],
        "inputs": [_tensor(tensor) for tensor in signature.inputs],
        "outputs": [_tensor(tensor) for tensor in signature.outputs],
        "calls": list(signature.calls),
        "note": signature.note,
        "more": signature.more,
    }


def _tensor(tensor: Tensor) -> Document:
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}


def _move(move: AliasMove) -> Document:
    return {"alias": move.alias, "before": move.before, "after": move.after, "at": iso(move.at), "by": move.by}
