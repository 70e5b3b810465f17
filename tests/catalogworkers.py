"""What other processes do to a catalog in tests.

Usage: python catalogworkers.py WHAT HOME ARGUMENTS...; prints JSON lines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

NOBODY = 65534


def start(what: str, home: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start a worker; its lines come on ``stdout``."""
    root = Path(__file__).parents[1]
    paths = [str(root / "console"), str(root / "plugins"), str(Path(__file__).parent)]
    return subprocess.Popen(
        [sys.executable, __file__, what, str(home), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(worker: subprocess.Popen[str], deadline_s: float = 60) -> list[object]:
    """Everything that a worker said, once it has ended well."""
    out, err = worker.communicate(timeout=deadline_s)
    assert worker.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def say(thing: object) -> None:
    print(json.dumps(thing), flush=True)


def try_to(home: str, *doings: str) -> None:
    """Open the catalog and do what is named; say what came of it."""
    from mlconsole.catalog import Catalog
    from mlconsole.errors import MlconsoleError

    if "as-nobody" in doings and os.getuid() == 0:
        # Everything that will be needed is loaded first: nobody may not look into root's Python.
        import mlconsole.catalog.audit
        import mlconsole.catalog.runs  # noqa: F401

        os.setgid(NOBODY)
        os.setuid(NOBODY)
    read_only = "read-only" in doings
    try:
        catalog = Catalog(Path(home), read_only=read_only)
        for doing in doings:
            if doing == "count":
                say(catalog.runs.counts())
            elif doing == "write":
                catalog.write(lambda db: db.execute("INSERT INTO key (name) VALUES ('written')"))
                say("written")
            elif doing == "may-write":
                say(not catalog.store.read_only)
        catalog.close()
    except MlconsoleError as error:
        say({"error": error.slug, "message": str(error)})


def open_at(home: str, moment: str, version: str) -> None:
    """Open the catalog at a moment of the clock, as many others do, as the program of some version would."""
    from mlconsole.catalog import Catalog, migrations
    from mlconsole.errors import MlconsoleError

    migrations.MIGRATIONS = migrations.MIGRATIONS[: int(version)]
    migrations.VERSION = len(migrations.MIGRATIONS)
    time.sleep(max(0.0, float(moment) - time.time()))
    try:
        catalog = Catalog(Path(home))
        catalog.write(lambda db: db.execute("INSERT INTO key (name) VALUES (?)", (f"process {os.getpid()}",)))
        say("written")
    except MlconsoleError as error:
        say(error.slug)


def count_up(home: str, seconds: str, durable_every: str) -> None:
    """Read, add one, write, over and over; say how often that was acknowledged."""
    from mlconsole.catalog import Catalog

    catalog = Catalog(Path(home))
    acknowledged = 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        catalog.write(_one_more, durable=acknowledged % int(durable_every) == 0)
        acknowledged += 1
    say(acknowledged)


def _one_more(db: object) -> None:
    value = db.execute("SELECT created_us FROM experiment WHERE name = 'counter'").fetchone()[0]  # type: ignore[attr-defined]
    db.execute("UPDATE experiment SET created_us = ? WHERE name = 'counter'", (value + 1,))  # type: ignore[attr-defined]


def ingest(home: str, rounds: str) -> None:
    """Take in what run logs hold, again and again."""
    from mlconsole.catalog import Catalog

    catalog = Catalog(Path(home))
    for _ in range(int(rounds)):
        say(catalog.ingest.run(datetime.now(UTC)))


def log_and_tell(home: str, run: str) -> None:
    """Record a run without end, and say of each value that it was accepted."""
    os.environ["MLCONSOLE_HOME"] = home
    import mlconsole

    mlconsole.start_run(run_id=run, capture=False)
    for i in range(1 << 30):
        mlconsole.log({"value": float(i)}, step=i)
        os.write(1, b"%d\n" % i)


def insert_and_tell(home: str, name: str) -> None:
    """Add rows one by one, durably, and say of each that it was acknowledged."""
    from mlconsole.catalog import Catalog

    catalog = Catalog(Path(home))
    for i in range(1 << 30):
        row = (f"{name}-{i}",)
        catalog.write(lambda db, row=row: db.execute("INSERT INTO key (name) VALUES (?)", row), durable=i % 3 == 0)  # type: ignore[misc]
        os.write(1, b"%d\n" % i)


def hold_open(home: str) -> None:
    """Open the catalog, and look at it as an idle console does, many times a second."""
    from mlconsole.catalog import Catalog

    catalog = Catalog(Path(home))
    say(catalog.runs.counts())
    while True:
        time.sleep(0.02)
        catalog.runs.counts()


if __name__ == "__main__":
    doings = {
        function.__name__: function
        for function in (try_to, open_at, count_up, ingest, log_and_tell, insert_and_tell, hold_open)
    }
    doings[sys.argv[1]](*sys.argv[2:])
