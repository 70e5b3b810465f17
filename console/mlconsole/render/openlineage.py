"""Runs and rollouts as OpenLineage events (RunEvent of specification 2-0-2, https://openlineage.io/spec).

A run's id there is a UUID made of its id here, so that writing the same runs again gives the same events. A dataset
that has a name is called so and its content is its version; a file that nobody named is called by kind, name and
digest. Two things of the same bytes are one dataset, which is what joins the runs.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from mlconsole.domain.run_details import RunDetails
from mlconsole.domain.runs import Outcome, Run
from mlconsole.domain.times import iso
from mlconsole.records import field, record
from mlconsole.version import __version__

Document = dict[str, Any]
NAMESPACE = "mlconsole"
PRODUCER = f"urn:mlconsole:{__version__}"
SPEC = "https://openlineage.io/spec"
EVENT_SCHEMA = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
SCHEMAS = {
    "DatasetVersionDatasetFacet": "1-0-1",
    "DatasetTypeDatasetFacet": "1-0-0",
    "ErrorMessageRunFacet": "1-0-1",
    "JobTypeJobFacet": "2-0-3",
    "ParentRunFacet": "1-1-0",
    "ProcessingEngineRunFacet": "1-1-1",
    "SchemaDatasetFacet": "1-1-1",
    "SourceCodeLocationJobFacet": "1-1-0",
}
OWN_SCHEMA = "urn:mlconsole:facet:run:1"
STOPPED = (Outcome.CANCELLED, Outcome.PREEMPTED, Outcome.NEVER_STARTED)
SCP = re.compile(r"(?:[\w.\-]+@)?[\w.\-]+:(?![/\\])[^\s]+")
URL = re.compile(
    r"(?P<scheme>https?|ssh|git)://(?:\[redacted\]@)?"
    r"(?P<place>(?:[A-Za-z0-9.~_-]+@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.~_-]+)(?::[0-9]*)?)(?P<rest>(?:[/?]\S*)?)"
)
STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")
LETTERS = 12


@record
class Thing:
    """Data, a model or a file that an execution read or wrote.

    ``version`` is its content's digest or its number; ``kind`` is FILE or MODEL, or what else it is; ``columns`` are
    (name, type).
    """

    name: str
    version: str
    kind: str
    columns: tuple[tuple[str, str], ...] = ()


@record
class Execution:
    """Something that ran: ``key`` is unique to it, ``job`` the same for all that do the same.

    ``outcome`` is COMPLETE, FAIL or ABORT, empty while it goes on.
    """

    key: str
    job: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = ""
    inputs: Sequence[Thing] = ()
    outputs: Sequence[Thing] = ()
    run_facets: Mapping[str, Document] = field(default_factory=dict)
    job_facets: Mapping[str, Document] = field(default_factory=dict)


def events(one: Execution) -> list[Document]:
    """Its START, and how it ended if it has."""
    out = [_event(one, "START", one.started_at, ())]
    if one.outcome:
        out.append(_event(one, one.outcome, one.ended_at or one.started_at, one.outputs))
    return out


def _event(one: Execution, kind: str, at: datetime, outputs: Sequence[Thing]) -> Document:
    run_facets = {key: facet for key, facet in one.run_facets.items() if kind == "FAIL" or key != "errorMessage"}
    return {
        "eventType": kind,
        "eventTime": iso(at),
        "producer": PRODUCER,
        "schemaURL": EVENT_SCHEMA,
        "run": {"runId": run_uuid(one.key), "facets": run_facets},
        "job": {"namespace": NAMESPACE, "name": one.job, "facets": dict(one.job_facets)},
        "inputs": _datasets(one.inputs),
        "outputs": _datasets(outputs),
    }


def run_uuid(key: str) -> str:
    """The UUID of what has this key."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mlconsole:{key}"))


def _datasets(things: Iterable[Thing]) -> list[Document]:
    return [_dataset(one) for one in dict.fromkeys(things)]


def _dataset(thing: Thing) -> Document:
    facets = {
        "version": facet("DatasetVersionDatasetFacet", datasetVersion=thing.version),
        "datasetType": facet("DatasetTypeDatasetFacet", datasetType=thing.kind),
    }
    if thing.columns:
        fields = [{"name": name, "type": kind} for name, kind in thing.columns]
        facets["schema"] = facet("SchemaDatasetFacet", fields=fields)
    return {"namespace": NAMESPACE, "name": thing.name, "facets": facets}


def unnamed(kind: str, label: str, key: str) -> Thing:
    """A file that has a digest and a name in a run, no more."""
    digest = key.rpartition(":")[2] if ":" in key else key
    return Thing(f"{kind}/{label}@{digest[:LETTERS]}", key, "MODEL" if kind == "model" else "FILE")


def facet(name: str, /, **fields: object) -> Document:
    """A facet of the specification."""
    schema = f"{SPEC}/facets/{SCHEMAS[name]}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": schema, **fields}


def job_name(run: Run) -> str:
    """What runs of the same program in the same experiment have in common."""
    from mlconsole.domain.commands import default_name

    return f"{run.experiment}.{default_name(run.command, '').removesuffix('-')}"


def outcome_of(run: Run) -> str:
    """How a run ended, in the words of the specification."""
    if run.outcome is None:
        return ""
    return "COMPLETE" if run.outcome is Outcome.SUCCEEDED else "ABORT" if run.outcome in STOPPED else "FAIL"


def run_facets(details: RunDetails, parent: Run | None) -> dict[str, Document]:
    """Who ran it with what params, what came of it, and why it failed if it did."""
    run = details.run
    own = {"id": run.id, "name": run.name, "experiment": run.experiment, "user": run.user, "host": run.host}
    metrics = {key: summary.last for key, summary in run.metrics.items()}
    about = {**own, "params": dict(run.params), "metrics": metrics, "tags": dict(run.tags), "gpus": run.gpus}
    found = {"mlconsole": {"_producer": PRODUCER, "_schemaURL": OWN_SCHEMA, **about}}
    python = details.environment.get("python")
    if isinstance(python, Mapping) and python.get("version"):
        found["processing_engine"] = facet("ProcessingEngineRunFacet", name="Python", version=str(python["version"]))
    if parent is not None:
        job = {"namespace": NAMESPACE, "name": job_name(parent)}
        found["parent"] = facet("ParentRunFacet", run={"runId": run_uuid(f"run:{parent.id}")}, job=job)
    if outcome_of(run) == "FAIL":
        told = {"message": run.why or str(run.outcome), "programmingLanguage": "PYTHON"}
        trace = {"stackTrace": details.traceback} if details.traceback else {}
        found["errorMessage"] = facet("ErrorMessageRunFacet", **told, **trace)
    return found


def job_facets(details: RunDetails) -> dict[str, Document]:
    """What kind of thing it is, and where its code is."""
    kind = {"processingType": "BATCH", "integration": "MLCONSOLE", "jobType": "RUN"}
    found = {"jobType": facet("JobTypeJobFacet", **kind)}
    run, code = details.run, details.code
    if run.commit:
        remote, branch = code.get("remote"), code.get("branch")
        where = {"url": _url(remote) or f"file://{quote(run.host)}{quote(run.cwd)}", "version": run.commit}
        more = {"repoUrl": remote} if remote and isinstance(remote, str) else {}
        more |= {"branch": branch} if branch and isinstance(branch, str) else {}
        found["sourceCodeLocation"] = facet("SourceCodeLocationJobFacet", type="git", **where, **more)
    return found


def _url(remote: object) -> str:
    """A remote as a URL (RFC 3986), without a user that was a secret; empty where it is none."""
    if not isinstance(remote, str):
        return ""
    if SCP.fullmatch(remote) and "://" not in remote:
        host, _, path = remote.partition(":")
        remote = f"ssh://{host}/{path}"
    found = URL.fullmatch(remote)
    if found is None:
        return ""
    rest = quote(STRAY.sub("%25", found["rest"]), safe="/:@%?=&+~.-_")
    return f"{found['scheme']}://{found['place']}{rest}"
