"""A change to the audit log is found: an edit, a deletion, a new order, a tail that was cut."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from catalogkit import NOW
from mlconsole.catalog import Catalog
from mlconsole.catalog.audit import Entry, append

ROWS = 6


@pytest.fixture
def audited(catalog: Catalog) -> Catalog:
    """A catalog with six audit rows."""
    for number in range(ROWS):
        entry = Entry(NOW, "ann", "host", f"act {number}", "write", "begin", "\udcff", {"n": number})
        catalog.write(lambda db, entry=entry: append(db, entry), durable=True)  # type: ignore[misc]
    assert catalog.audit.first_bad() is None
    return catalog


def tamper(catalog: Catalog, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change the table as someone with an editor would: the triggers dropped first."""

    def with_triggers_gone(db: sqlite3.Connection) -> None:
        db.execute("DROP TRIGGER IF EXISTS audit_keeps_rows")
        db.execute("DROP TRIGGER IF EXISTS audit_keeps_words")
        change(db)

    catalog.store.write(with_triggers_gone)


@pytest.mark.parametrize(
    "column", ["at_us", "actor", "host", "action", "effect", "phase", "target", "params", "result"]
)
def test_an_edited_row_is_named(audited: Catalog, column: str) -> None:
    tamper(audited, lambda db: db.execute(f"UPDATE audit SET {column} = '7' WHERE seq = 3"))
    assert audited.audit.first_bad() == 3


def test_a_deleted_row_is_named(audited: Catalog) -> None:
    tamper(audited, lambda db: db.execute("DELETE FROM audit WHERE seq = 3"))
    assert audited.audit.first_bad() == 3


def test_a_deleted_row_whose_place_was_closed_is_named(audited: Catalog) -> None:
    tamper(audited, lambda db: db.execute("DELETE FROM audit WHERE seq = 3"))
    tamper(audited, lambda db: db.execute("UPDATE audit SET seq = seq - 1 WHERE seq > 3"))
    assert audited.audit.first_bad() == 3


def test_two_rows_that_changed_places_are_named(audited: Catalog) -> None:
    def swap(db: sqlite3.Connection) -> None:
        db.execute("UPDATE audit SET seq = 99 WHERE seq = 2")
        db.execute("UPDATE audit SET seq = 2 WHERE seq = 4")
        db.execute("UPDATE audit SET seq = 4 WHERE seq = 99")

    tamper(audited, swap)
    assert audited.audit.first_bad() == 2


def test_a_cut_tail_is_found_by_the_links_kept_outside(audited: Catalog) -> None:
    tamper(audited, lambda db: db.execute("DELETE FROM audit WHERE seq > 4"))
    assert audited.audit.first_bad() == 5


def test_a_tail_that_was_cut_and_written_anew_is_found(audited: Catalog) -> None:
    tamper(audited, lambda db: db.execute("DELETE FROM audit WHERE seq > 4"))
    forged = Entry(NOW, "eve", "host", "nothing happened", "read", "end", "", {})
    audited.store.write(lambda db: append(db, forged))
    assert audited.audit.first_bad() == 5


def test_all_rows_gone_is_found(audited: Catalog) -> None:
    tamper(audited, lambda db: db.execute("DELETE FROM audit"))
    assert audited.audit.first_bad() == 1


def test_a_crash_between_a_row_and_its_note_outside_is_no_alarm(audited: Catalog) -> None:
    lines = audited.audit.anchor_path.read_text().splitlines(keepends=True)
    audited.audit.anchor_path.write_text("".join(lines[:-1]) + lines[-1][:20])
    assert audited.audit.first_bad() is None


def test_the_table_itself_refuses_edits_and_deletions(audited: Catalog) -> None:
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'eve'"):
        with pytest.raises(Exception, match="never"):
            audited.store.write(lambda db, statement=statement: db.execute(statement))  # type: ignore[misc]


def test_the_newest_rows_come_first_and_page_backwards(audited: Catalog) -> None:
    assert [row.seq for row in audited.audit.newest(3)] == [6, 5, 4]
    assert [row.seq for row in audited.audit.newest(3, before=4)] == [3, 2, 1]
    assert audited.audit.newest(1)[0].params == {"n": 5}
