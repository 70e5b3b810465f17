"""Maximum mean discrepancy of a sample of rows: what moved in several columns together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mlconsole.domain.drift import TestDefinition
from mlconsole.drift.tests import DriftTest

if TYPE_CHECKING:
    import numpy as np

PERMUTATIONS = 1_999
SEED = 20_120
GPU_SIGN = "/proc/driver/nvidia/version"


def measure(reference: np.ndarray, current: np.ndarray, device: str | None = None) -> tuple[float, float]:
    """The discrepancy, and the share of permutations of the rows that have as large a one.

    Args:
        reference: n rows by K columns, each scaled.
        current: m rows of the same.
        device: where torch reckons; None for a GPU where torch is installed and has one, else numpy.
    """
    import numpy as np

    rows = np.concatenate([reference, current])
    chosen = _permutations(len(rows), len(reference))
    device = _gpu() if device is None else device
    within, across = _sums(rows, chosen, device) if device else _sums_numpy(rows, chosen)
    n, m = len(reference), len(current)
    total = float(across[0])
    ours, crossing = within[:, 0], within[:, 1]
    theirs = total - 2 * crossing - ours
    squared = (ours - n) / (n * (n - 1)) + (theirs - m) / (m * (m - 1)) - 2 * crossing / (n * m)
    observed = float(squared[0])
    chance = (1 + int((squared[1:] >= observed - 1e-12).sum())) / len(squared)
    return float(np.sqrt(max(0.0, observed))), chance


def _permutations(rows: int, own: int) -> np.ndarray:
    """Which rows are the reference's: first as it is, then as it could be as well. A 1 for each that is."""
    import numpy as np

    r = np.random.default_rng(SEED)
    chosen = np.zeros((PERMUTATIONS + 1, rows), dtype=np.float32)
    chosen[0, :own] = 1
    for one in chosen[1:]:
        one[r.permutation(rows)[:own]] = 1
    return chosen


def _sums_numpy(rows: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each choice the kernel's sum within it, and between it and the rest; and the sum over all."""
    import numpy as np

    own = rows.astype(np.float32)
    squares = (own**2).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares[None, :] - 2 * own @ own.T, 0)
    middle = float(np.median(apart[np.triu_indices(len(own), 1)])) or 1.0
    kernel = np.exp(-apart / middle)
    np.fill_diagonal(kernel, 1.0)
    found = chosen @ kernel
    inside = (found * chosen).sum(axis=1, dtype=np.float64)
    return np.stack([inside, found.sum(axis=1, dtype=np.float64) - inside], axis=1), kernel.sum(dtype=np.float64)[None]


def _sums(rows: np.ndarray, chosen: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """The same by torch."""
    import torch  # 2 s, where there is a GPU

    own = torch.as_tensor(rows, dtype=torch.float32, device=device)
    apart = torch.cdist(own, own, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    upper = torch.triu_indices(len(rows), len(rows), 1, device=device)
    middle = float(apart[upper[0], upper[1]].median()) or 1.0
    kernel = torch.exp(-apart / middle)
    kernel.fill_diagonal_(1.0)
    picked = torch.as_tensor(chosen, device=device)
    found = picked @ kernel
    inside = (found * picked).sum(dim=1, dtype=torch.float64)
    both: Any = torch.stack([inside, found.sum(dim=1, dtype=torch.float64) - inside], dim=1)
    return both.cpu().numpy(), kernel.sum(dtype=torch.float64)[None].cpu().numpy()


def _gpu() -> str:
    """Where torch reckons on a GPU; empty where there is none, or no torch."""
    import importlib.util

    if not os.path.exists(GPU_SIGN) or importlib.util.find_spec("torch") is None:
        return ""
    import torch

    return "cuda" if torch.cuda.is_available() else ""


def sample_rows() -> int:
    """How many rows of each side are looked at: a matrix of all pairs has to be reckoned with, many times."""
    return 4_000 if _gpu() else 1_000


TEST = DriftTest(
    TestDefinition(
        "mmd",
        "what moved in all numbers together, on a sample of rows: correlations too (for drift compare, if it is named)",
        "all columns of numbers at once",
        0.05,
        "root of the discrepancy, 0 to 1.4",
        "unbiased MMD2 with a Gaussian kernel as wide as the median distance; 1,000 rows a side (4,000 on a GPU, by "
        "torch), every number as its place among the reference's, what is missing in the middle",
        "exact up to chance: 1,999 permutations of the rows, so never below 0.0005; name it alone, or with few columns",
        "Gretton, Borgwardt, Rasch, Schoelkopf and Smola, A Kernel Two-Sample Test, JMLR 13, 2012",
    ),
    sample=measure,
)
