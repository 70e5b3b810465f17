"""What one run's own page shows beyond its row."""

from __future__ import annotations

from mlconsole.catalog.rows import EPOCH, json_mapping, moment, outcome_of, state_of
from mlconsole.catalog.store import Row, Store, Values
from mlconsole.domain.run_details import Artifact, RunDetails, StateChange
from mlconsole.domain.runs import Run

SELECT_DETAILS = "SELECT traceback, environment, code FROM detail WHERE run = :n"
SELECT_ARTIFACTS = """
SELECT kind, name, path, size_bytes, digest, at_us, metadata FROM artifact WHERE run = :n ORDER BY n
"""
SELECT_CHANGES = "SELECT at_us, state, outcome, evidence FROM change WHERE run = :n ORDER BY n"
SELECT_DAMAGE = "SELECT writer, offset, length, message FROM damage WHERE run = :n ORDER BY n"
SELECT_LOST = "SELECT name, lost FROM writer WHERE run = :n AND lost > 0 ORDER BY rank, n"
SELECT_WRITERS = "SELECT name FROM writer WHERE run = :n ORDER BY rank, n"


def details_of(store: Store, run: Run) -> RunDetails:
    """Everything that a run's page shows."""
    at: Values = {"n": run.number}
    traceback, environment, code = (store.read(SELECT_DETAILS, at) or [("", "{}", "{}")])[0]
    return RunDetails(
        run=run,
        traceback=str(traceback),
        environment=json_mapping(environment),
        code=json_mapping(code),
        artifacts=tuple(_artifact(row) for row in store.read(SELECT_ARTIFACTS, at)),
        timeline=tuple(_change(row) for row in store.read(SELECT_CHANGES, at)),
        damage=_missing(store, at),
        writers=tuple(str(row[0]) for row in store.read(SELECT_WRITERS, at)),
    )


def _missing(store: Store, at: Values) -> tuple[str, ...]:
    """What is missing of a run: places of its logs that cannot be read, and records that were never written."""
    places = [
        f"{writer}: {message} at byte {offset} ({length} bytes skipped)"
        for writer, offset, length, message in store.read(SELECT_DAMAGE, at)
    ]
    lost = [
        f"{writer}: {count} records could not be written by the program; its standard error says why"
        for writer, count in store.read(SELECT_LOST, at)
    ]
    return (*places, *lost)


def _artifact(row: Row) -> Artifact:
    """The artifact of a row (kind, name, path, size_bytes, digest, at_us, metadata)."""
    kind, name, path, size, digest, at, metadata = row
    return Artifact(str(kind), str(name), str(path), size, str(digest), moment(at) or EPOCH, json_mapping(metadata))


def _change(row: Row) -> StateChange:
    """The timeline entry of a row (at_us, state, outcome, evidence)."""
    at, state, outcome, evidence = row
    return StateChange(moment(at) or EPOCH, state_of(state, None), outcome_of(outcome), str(evidence))
