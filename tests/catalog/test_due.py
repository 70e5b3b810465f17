from __future__ import annotations

from pathlib import Path

from catalogkit import NOW, MadeRun, put_runs
from mlconsole.catalog import Catalog

FEW, MANY = 10, 1_000


def steps_to_tell_what_is_due(home: Path, runs: int) -> int:
    """How many of SQLite's own instructions it takes, in tens, in a catalog with so many ended runs."""
    counted = 0

    def one_more() -> int:
        nonlocal counted
        counted += 1
        return 0

    catalog = Catalog(home)
    put_runs(catalog, [MadeRun(f"run{n:09d}") for n in range(runs)])
    catalog.store.connection().set_progress_handler(one_more, 10)
    catalog.due(NOW, "gpu-1", "ann", is_priced=True)
    catalog.close()
    return counted


def test_what_is_due_is_told_without_a_look_at_the_ended_runs(tmp_path: Path) -> None:
    few, many = (steps_to_tell_what_is_due(tmp_path / str(runs), runs) for runs in (FEW, MANY))

    assert many <= few + 1
