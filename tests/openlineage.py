"""What OpenLineage's specification requires of a RunEvent and of the facets that we write, in our words.

From OpenLineage.json 2-0-2 and the facets of the versions in ``render.openlineage.SCHEMAS``: required fields, types
and formats. What the specification leaves open is not checked.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any

KINDS = {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}
URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.\-]*:(//([A-Za-z0-9._~:%\-]*@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%\-]*)(:[0-9]*)?(?=[/?#]|$))?"
    r"([A-Za-z0-9._~:/?#@!$&'()*+,;=\-]|%[0-9A-Fa-f]{2})*"
)
"""RFC 3986: brackets stand round an IPv6 address alone, and a percent sign before two digits."""
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
TEXTS = {
    "version": ("datasetVersion",),
    "datasetType": ("datasetType",),
    "errorMessage": ("message", "programmingLanguage"),
    "jobType": ("processingType", "integration"),
    "processing_engine": ("version",),
    "sourceCodeLocation": ("type", "url"),
}
OPTIONAL_TEXTS = ("stackTrace", "repoUrl", "branch", "path", "tag", "jobType", "name")


def check_event(event: dict[str, Any]) -> None:
    """Assert that an event is what the specification calls one."""
    assert event["eventType"] in KINDS
    assert DATE_TIME.fullmatch(event["eventTime"]) and datetime.fromisoformat(event["eventTime"])
    assert URI.fullmatch(event["producer"]) and URI.fullmatch(event["schemaURL"])
    assert event["schemaURL"].endswith("/2-0-2/OpenLineage.json#/$defs/RunEvent")
    assert str(uuid.UUID(event["run"]["runId"])) == event["run"]["runId"]
    assert isinstance(event["job"]["namespace"], str) and isinstance(event["job"]["name"], str)
    groups = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
    for dataset in groups[2:]:
        assert isinstance(dataset["namespace"], str) and isinstance(dataset["name"], str)
    for group in groups:
        for name, facet in group["facets"].items():
            check_facet(name, facet)


def check_facet(name: str, facet: dict[str, Any]) -> None:
    """Assert that a facet is what the specification calls one."""
    assert URI.fullmatch(facet["_producer"]) and URI.fullmatch(facet["_schemaURL"])
    assert all(isinstance(facet[key], str) for key in TEXTS.get(name, ()))
    assert all(isinstance(facet[key], str) for key in OPTIONAL_TEXTS if key in facet)
    if name == "sourceCodeLocation":
        assert URI.fullmatch(facet["url"])
    if name == "schema":
        assert all(isinstance(field["name"], str) and isinstance(field["type"], str) for field in facet["fields"])
    if name == "parent":
        assert uuid.UUID(facet["run"]["runId"])
        assert isinstance(facet["job"]["namespace"], str) and isinstance(facet["job"]["name"], str)
