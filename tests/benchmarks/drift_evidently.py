"""The same columns by Evidently, with its own choice of tests: false alarms, and what a comparison costs.

Run by a Python that has it (it brings pandas and scipy): PYTHON tests/benchmarks/drift_evidently.py alarms|cost
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from drift_columns import table
from evidently import Report
from evidently.presets import DataDriftPreset

REFERENCE_ROWS = 10_000


def drifted(current: Any, reference: Any) -> int:
    """How many columns it calls drifted."""
    found = Report([DataDriftPreset()]).run(current, reference).dict()
    return int(next(m["value"]["count"] for m in found["metrics"] if "DriftedColumnsCount" in m["metric_name"]))


def alarms(runs: int) -> None:
    """Columns that are called drifted where nothing moved."""
    print("| rows in the window | runs | runs with any alarm | columns that alarmed |\n|---|---|---|---|")
    for n in (30, 100, 300, 1000, 3000, 10_000):
        counts = [
            drifted(pd.DataFrame(table(2 * i + 1, n)), pd.DataFrame(table(2 * i + 2, REFERENCE_ROWS)))
            for i in range(runs)
        ]
        any_share, share = np.mean([c > 0 for c in counts]), np.mean(counts) / 50
        print(f"| {n:,} | {runs} | {any_share:.0%} | {share:.1%} |", flush=True)


def cost(reference: Path, current: Path) -> None:
    """Processor time and memory of one comparison of two files."""
    read = pd.read_parquet if current.suffix == ".parquet" else pd.read_csv
    count = drifted(read(current), read(reference))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime
    print(f"evidently: {seconds:.1f} CPU-s, {used.ru_maxrss / 1024:.0f} MB, {count} of 50 columns drifted", flush=True)


if __name__ == "__main__":
    began = time.perf_counter()
    if sys.argv[1] == "alarms":
        alarms(int(sys.argv[2]) if len(sys.argv) > 2 else 10)
    else:
        cost(Path(sys.argv[2]), Path(sys.argv[3]))
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
