"""How long a durable move of a pointer takes, the search for companions, and the check of a long audit log.

Run: python tests/benchmarks/bench_releases.py
"""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mlconsole.catalog import Catalog
from mlconsole.catalog.audit import Entry, append
from mlconsole.catalog.environments import Mover, move_pointer, put_environment
from mlconsole.catalog.releases import NewMember, NewRelease, put_release
from mlconsole.catalog.rollouts import enter, insert_rollout
from mlconsole.content.identity import named, release_id
from mlconsole.domain.companions import Companions
from mlconsole.domain.contracts import Axis, Contract, Requirement
from mlconsole.domain.environments import Environment
from mlconsole.domain.releases import Member
from mlconsole.domain.rollouts import Rollout, RolloutKind, RolloutState

NOW = datetime(2026, 5, 4, tzinfo=UTC)
MOVES = 200
EACH = 20
ROWS = 100_000


def pointer_ms(folder: Path) -> list[float]:
    """Milliseconds of each durable move, with its history, audit row, outbox, lineage and journal."""
    catalog = Catalog(folder / "home")
    member = named(Member(Axis.CODE, "blake3:0", "", "code", Contract()))
    new = NewRelease(release_id({Axis.CODE: member}), [NewMember(member, (), "")], "", "here", "ann", NOW)
    catalog.write(lambda db: put_release(db, new))
    slot = Environment(0, "prod", "directory", {}, "here", (), False, (), 0.0, NOW, "ann")
    catalog.write(lambda db: put_environment(db, slot))
    number = catalog.environments.get("prod").number
    out = []
    for generation in range(MOVES):
        before = new.id if generation else ""
        asked = (RolloutKind.ROLLOUT, new.id, before, generation, RolloutState.PLANNED, "ann", NOW, NOW)
        wanted = Rollout(0, number, "prod", *asked)
        told = replace(wanted, number=catalog.write(lambda db, it=wanted: insert_rollout(db, it)))

        def move(db: sqlite3.Connection, it: Rollout = told) -> None:
            assert move_pointer(db, it, Mover("ann", "here", NOW, "rollout"))
            assert enter(db, it, RolloutState.COMMITTED, NOW)

        began = time.perf_counter()
        catalog.write(move, durable=True)
        out.append((time.perf_counter() - began) * 1000)
    catalog.close()
    return out


def audit_s(folder: Path) -> list[float]:
    """Processor seconds of each look through a sound audit log."""
    catalog = Catalog(folder / "audited")

    def fill(db: sqlite3.Connection) -> None:
        for number in range(ROWS):
            params = {"tags": ["good", str(number % 7)]}
            append(db, Entry(NOW, "ann", "gpu-07", "run tag", "write", "end", f"run-{number}", params, "done"))

    catalog.write(fill)
    out = []
    for _ in range(7):
        began = time.process_time()
        assert catalog.audit.first_bad() is None
        out.append(time.process_time() - began)
    catalog.close()
    return out


def worst_worlds() -> dict[str, Companions]:
    """Searches among 20 members on each of four axes: everything fits, a chain of contracts, and nothing fits."""

    def made(axis: Axis, number: int, *needs: Requirement) -> Member:
        provides = {"v": str(number), "third": str(number % 3)}
        return named(Member(axis, f"{axis}{number}", "", f"{axis} {number}", Contract(provides, needs, True)))

    def tied(axis: Axis, number: int, shift: int | None) -> list[Requirement]:
        return [] if shift is None else [Requirement(axis, "third", f"=={(number + shift) % 3}")]

    def world(shift: int | None) -> Companions:
        order = (Axis.CODE, Axis.MODEL, Axis.CONFIG, Axis.ENV)
        choices = {
            axis: [made(axis, n, *tied(order[(place + 1) % 4], n, shift)) for n in range(EACH)]
            for place, axis in enumerate(order)
        }
        wanted = made(Axis.DATA, 99, *(Requirement(axis, "v", ">=1") for axis in order))
        present = {axis: members[0] for axis, members in choices.items()} | {Axis.DATA: made(Axis.DATA, 0)}
        return Companions(present, wanted, choices)

    return {
        "every part has to change, any of them fits": world(None),
        "every part has to change, each ties the next": world(0),
        "any two fit, never all four": world(1),
    }


def main() -> None:
    """Print a table."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        found = sorted(pointer_ms(Path(folder)))
        audited = audit_s(Path(folder))
    median, late = statistics.median(found), found[int(len(found) * 0.95)]
    print(f"durable move of a pointer: median {median:.2f} ms, p95 {late:.2f} ms")
    print(f"audit of {ROWS:,} rows verified: median {statistics.median(audited):.2f} CPU-s, most {max(audited):.2f}")
    for name, solver in worst_worlds().items():
        began = time.process_time()
        result = solver.solve()
        spent = time.process_time() - began
        changed = len(result.companions) if result.members else None
        print(f"companions among {EACH**4:,} combinations, {name}: {spent:.3f} CPU-s, {changed} change")


if __name__ == "__main__":
    main()
