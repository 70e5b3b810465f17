"""The check-up finds what is wrong, says what to do, and fails a script when something is broken."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from catalogkit import DEAD_PID, NOW, MadeRun, WrittenLog, put_runs
from mlconsole.actions.base import NoParams
from mlconsole.actions.context import Context
from mlconsole.actions.doctor import doctor
from mlconsole.actions.launchers import launching
from mlconsole.catalog import Catalog, migrations, reserve
from mlconsole.catalog.ledger import settle
from mlconsole.catalog.machines import ensure_machine, put_rate
from mlconsole.catalog.wal import has_wal_reset_bug
from mlconsole.config import Settings
from mlconsole.domain.findings import Finding
from mlconsole.domain.prices import Rate, Tenure
from mlconsole.domain.times import to_us
from mlconsole.domain.uptime import Uptime
from program import Program

RATE = Rate(8_000_000, Tenure.ON_DEMAND, 4, "a list")
LOOSE_TIME = """
INSERT INTO machine_time (machine, from_us, to_us, microusd)
SELECT machine, to_us, to_us + 1, 7 FROM machine_time
"""


def findings(home: Path, **settings: Any) -> list[Finding]:
    ctx = Context(Settings(home, "ann", "here", **settings), clock=lambda: NOW)
    found = list(doctor(ctx, NoParams()).items)
    assert "catalog" not in ctx.__dict__, "a check-up opens nothing that it could change"
    return found


def about(found: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in found if finding.subject == subject]


def levels(found: list[Finding]) -> set[str]:
    return {finding.level for finding in found}


def test_a_sound_catalog_has_no_warnings(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa")])
    assert levels(findings(catalog.home)) <= {"ok", "note"}


def test_no_catalog_is_nothing_bad_and_is_not_made(tmp_path: Path) -> None:
    assert levels(findings(tmp_path / "home")) <= {"ok", "note"}
    assert not (tmp_path / "home").exists()


def test_a_file_in_the_place_of_the_catalogs_directory_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert [finding.level for finding in about(findings(tmp_path / "home"), "place")] == ["failure"]


def test_another_programs_file_in_the_catalogs_place_is_a_failure(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as db:
        db.execute("CREATE TABLE theirs (a)")
    found = findings(tmp_path)
    assert "another program" in " ".join(finding.message for finding in found if finding.level == "failure")
    assert not about(found, "catalog")


def test_the_wal_reset_bug_and_what_is_done_about_it_are_said(catalog: Catalog) -> None:
    text = " ".join(f"{finding.message} {finding.hint}" for finding in about(findings(catalog.home), "sqlite"))
    assert sqlite3.sqlite_version in text
    assert ("one process at a time" in text) is has_wal_reset_bug()


def test_another_sqlite_in_the_way_is_named(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pysqlite3").mkdir()
    (tmp_path / "pysqlite3" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "pysqlite3" in about(findings(catalog.home), "sqlite")[-1].message
    assert "pysqlite3" not in sys.modules


def test_a_damaged_catalog_is_a_failure_with_the_way_out(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa", params={f"p{i}": "x" * 4000 for i in range(20)})])
    catalog.close()
    with catalog.store.path.open("r+b") as file:
        file.seek(4096 * 45)
        file.write(b"\xff" * 4096)
    found = [finding for finding in findings(catalog.home) if finding.level == "failure"]
    assert found
    assert any("mlconsole restore FILE" in finding.hint for finding in found)


def test_a_lost_catalog_is_a_failure(catalog: Catalog) -> None:
    catalog.close()
    catalog.store.path.unlink()
    assert "failure" in levels(about(findings(catalog.home), "catalog"))


def test_versions_that_differ_are_said(catalog: Catalog) -> None:
    catalog.close()
    for version, level in ((migrations.VERSION - 1, "note"), (migrations.VERSION + 1, "failure")):
        with closing(sqlite3.connect(catalog.store.path)) as db:
            db.execute(f"PRAGMA user_version = {version}")
        assert levels(about(findings(catalog.home), "catalog")) == {level}


def test_damaged_logs_lost_writers_and_forgotten_logs_are_named(catalog: Catalog) -> None:
    WrittenLog(catalog.home, "hurt").begin().write(b"noise!!!" * 9).rows({"loss": [1.0]}).end()
    catalog.ingest.run(NOW)
    WrittenLog(catalog.home, "dead", pid=DEAD_PID).begin()
    WrittenLog(catalog.home, "lost").begin().marker.unlink()
    text = " ".join(finding.message for finding in about(findings(catalog.home), "run logs"))
    assert "1 run log is damaged" in text
    assert "hurt" in text
    assert "dead: process" in text
    assert "lost" in text


def test_a_missing_reserve_and_a_run_from_the_future_are_named(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa", created=NOW + timedelta(days=2))])
    reserve.give_up(catalog.store.path)
    found = findings(catalog.home)
    assert levels(about(found, "reserve")) == {"warning"}
    assert "aaa" in about(found, "clock")[0].message


def test_a_broken_audit_log_is_a_failure(catalog: Catalog) -> None:
    catalog.audit.anchor_path.write_text("7 " + "0" * 64 + "\n")
    assert levels(about(findings(catalog.home), "audit")) == {"failure"}


def test_the_command_fails_after_it_has_said_everything(cli: Program, home: Path) -> None:
    assert cli("doctor").code == 0
    assert cli.json("doctor")["kind"] == "doctor"
    home.mkdir()
    (home / "catalog.db").write_bytes(b"not a database" * 999)
    done = cli("doctor", "--json")
    assert done.code == 6
    assert {"level", "subject", "message", "hint"} == set(done.document["items"][0])
    assert any(item["level"] == "failure" for item in done.document["items"])
    assert "failure" in cli("doctor").out


def test_machine_time_whose_parts_are_not_its_cost_is_named(catalog: Catalog) -> None:
    def charge(db: sqlite3.Connection) -> None:
        machine = ensure_machine(db, "gpu-1", 4, to_us(NOW), Uptime("boot", 1))
        settle(db, put_rate(db, machine, RATE, to_us(NOW)), to_us(NOW) + 10**9, Uptime("boot", 1 + 10**9))

    catalog.write(charge)
    assert about(findings(catalog.home), "ledger") == []

    catalog.write(lambda db: db.execute(LOOSE_TIME))
    (finding,) = about(findings(catalog.home), "ledger")

    assert (finding.level, finding.message.startswith("Of 1 interval")) == ("failure", True)


def test_a_folder_of_a_launch_that_was_killed_before_its_intent_is_named(catalog: Catalog) -> None:
    put_runs(catalog, [MadeRun("aaa")])
    runs = catalog.home / "runs"
    for name in ("aaa", "left", "under-way"):
        (runs / name / "checkpoints").mkdir(parents=True)
    with launching(str(runs / "under-way")):
        (found,) = about(findings(catalog.home), "runs")
    assert (found.level, found.message) == ("note", f'1 folder belongs to no run; the first: "{runs}/left".')
