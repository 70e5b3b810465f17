"""Registered models: versions with files, signature and metrics, and the aliases that point to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from mlconsole.records import record

PLAIN = "a pickle of plain values"
"""The note of a pickle that calls nothing."""


class Tensor(NamedTuple):
    """A named tensor of a saved model; ``shape`` holds numbers, and names where a size is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@record
class Signature:
    """What a model file says of itself without being loaded.

    Attributes:
        format: safetensors, onnx, pickle, unreadable, or empty for a file of another kind.
        tensors: the weights, as far as the header names them.
        inputs: what it takes, where the format says it.
        outputs: what it gives.
        calls: for a pickle, what unpickling it would import and could call.
        note: a warning, or why it is unreadable.
        more: how many further names there are beyond those kept.
    """

    format: str = ""
    tensors: tuple[Tensor, ...] = ()
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    calls: tuple[str, ...] = ()
    note: str = ""
    more: int = 0

    @property
    def warns(self) -> bool:
        """Whether the note is a warning."""
        return self.note not in ("", PLAIN)


@record
class ModelFile:
    """A file of a model version: its path within the run's artifacts, size, BLAKE3 digest and signature."""

    path: str
    size_bytes: int
    digest: str
    signature: Signature


@record
class ModelVersion:
    """One version of a registered model; ``aliases`` are those that point to it now."""

    number: int
    name: str
    version: int
    digest: str
    run_id: str
    owner: str
    registered_at: datetime
    size_bytes: int
    metrics: Mapping[str, float | None]
    aliases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


@record
class AliasMove:
    """An alias that was pointed to another version; ``before`` is None for its first one."""

    alias: str
    before: int | None
    after: int
    at: datetime
    by: str


@record
class ModelPage:
    """A version with its files and its model's aliases, the newest move first."""

    version: ModelVersion
    files: tuple[ModelFile, ...]
    history: tuple[AliasMove, ...]


@record
class ModelDiff:
    """What two versions do not have in common: (what, before, after) of each, empty where one lacks it."""

    before: ModelVersion
    after: ModelVersion
    rows: tuple[tuple[str, str, str], ...]


def compare_models(before: ModelPage, after: ModelPage) -> ModelDiff:
    """The files, tensors and metrics that differ between two versions."""
    old, new = _facts(before), _facts(after)
    rows = tuple((key, old.get(key, ""), new.get(key, "")) for key in old | new if old.get(key) != new.get(key))
    return ModelDiff(before.version, after.version, rows)


def _facts(page: ModelPage) -> dict[str, str]:
    facts = {"run": page.version.run_id, "owner": page.version.owner}
    for file in page.files:
        facts[f"file {file.path}"] = f"{file.digest[:12]} {file.size_bytes:,} B"
        for group in ("inputs", "outputs", "tensors"):
            tensors: tuple[Tensor, ...] = getattr(file.signature, group)
            for tensor in tensors:
                facts[f"{group.removesuffix('s')} {tensor.name}"] = tensor_words(tensor)
    return facts | {
        f"metric {name}": f"{value:.6g}" for name, value in page.version.metrics.items() if value is not None
    }


def tensor_words(tensor: Tensor) -> str:
    """``F32[10, 64]``."""
    return f"{tensor.dtype}[{', '.join(str(size) for size in tensor.shape)}]"
