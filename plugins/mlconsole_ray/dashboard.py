"""A Ray cluster as its dashboard tells of it (Ray 2, Jobs REST API: docs.ray.io, "Ray Jobs REST API")."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlconsole.plugin_api import ActionFailed, BackendUnreachable, HostStatus

if TYPE_CHECKING:
    import httpx

ANSWER_S = 20.0
#: In the metadata of each job of ours: the run's folder, so that a console that knows nothing of it finds its records.
FOLDER_KEY = "mlconsole_folder"
MESSAGE_CHARACTERS = 300
#: Where Ray's own clients find a token, after the variables RAY_AUTH_TOKEN and RAY_AUTH_TOKEN_PATH.
TOKEN_FILE = "~/.ray/auth_token"
NOT_LET_IN = (401, 403)


class JobRow(NamedTuple):
    """One job as Ray has it. ``folder`` is empty for a job that is not ours."""

    id: str
    status: str
    message: str
    folder: str


class Dashboard:
    """The cluster at an address.

    Args:
        address: as in ``http://127.0.0.1:8265``.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._made: httpx.Client | None = None

    def version(self) -> str:
        """As in ``Ray 2.60.0``."""
        return f"Ray {self._get('/api/version')['ray_version']}"

    def submit(self, name: str, entrypoint: str, folder: str, resources: Mapping[str, Any]) -> None:
        """Hand a job over under a name; one that has it already is that job.

        Raises:
            ActionFailed: Ray refused it.
            BackendUnreachable: no reply came, or none that is certain; Ray may have it all the same.
        """
        job = {"submission_id": name, "entrypoint": entrypoint, "metadata": {FOLDER_KEY: folder}, **resources}
        reply = self._request("POST", "/api/jobs/", job)
        if reply.is_success or "already exists" in reply.text:
            return
        words = reply.text.strip().rstrip(".").strip().rpartition("\n")[2][:MESSAGE_CHARACTERS]
        if reply.status_code == 400 or "status code 400" in reply.text:
            raise ActionFailed(f"Ray refused the job: {words}.")
        if reply.status_code in NOT_LET_IN:
            raise ActionFailed(self._not_let_in(reply))
        raise BackendUnreachable(f'Ray at "{self._address}" said {reply.status_code}: {words}.')

    def jobs(self) -> list[JobRow]:
        """Every job that was submitted, ended ones too, in one call."""
        return [_row(each) for each in self._get("/api/jobs/") if each.get("submission_id")]

    def job(self, name: str) -> JobRow | None:
        """One job; None when Ray knows none of that name."""
        reply = self._request("GET", f"/api/jobs/{name}")
        return None if reply.status_code == 404 else _row(self._read(reply))

    def stop(self, name: str) -> None:
        """End a job: SIGTERM to its process group, SIGKILL after three seconds; a job that is not known is no error."""
        self._request("POST", f"/api/jobs/{name}/stop")

    def log(self, name: str) -> bytes:
        """What Ray itself and the entry point printed."""
        reply = self._request("GET", f"/api/jobs/{name}/logs")
        return str(reply.json().get("logs", "")).encode() if reply.is_success else b""

    def nodes(self, backend: str) -> list[HostStatus]:
        """Every node that is alive, and what is free of it as far as its head tells."""
        found = self._get("/nodes?view=summary")["data"]["summary"]
        used = self._usage()
        return [_host(backend, each, used) for each in found if each.get("raylet", {}).get("state") == "ALIVE"]

    def _usage(self) -> Mapping[str, Mapping[str, Any]]:
        """What is used of each node, by its id; empty where the head runs no autoscaler, or tells it otherwise."""
        try:
            reply = self._request("GET", "/api/cluster_status").json()
            return dict(reply["data"]["clusterStatus"]["loadMetricsReport"]["usageByNode"])
        except (ValueError, KeyError, TypeError):
            return {}

    def _get(self, path: str) -> Any:
        return self._read(self._request("GET", path))

    def _read(self, reply: httpx.Response) -> Any:
        try:
            if reply.is_success:
                return reply.json()
        except ValueError:
            pass
        if reply.status_code in NOT_LET_IN:
            raise BackendUnreachable(self._not_let_in(reply))
        raise BackendUnreachable(f'Ray at "{self._address}" gave no answer but {reply.status_code}.')

    def _not_let_in(self, reply: httpx.Response) -> str:
        words = reply.text.strip().partition("\n")[0][:MESSAGE_CHARACTERS]
        return f'Ray at "{self._address}" lets nobody in without its token ({words}): put it into {TOKEN_FILE}.'

    def _request(self, method: str, path: str, body: object = None) -> httpx.Response:
        import httpx  # 60 ms, where a cluster is asked

        try:
            if self._made is None:
                self._made = httpx.Client(base_url=self._address, timeout=ANSWER_S, trust_env=False)
                weakref.finalize(self, self._made.close)
            return self._made.request(method, path, json=body, headers=_who())
        except httpx.HTTPError as error:
            raise BackendUnreachable(f'Ray at "{self._address}" does not answer: {error}.') from error


def _who() -> dict[bytes, bytes]:
    """The header that a cluster with token authentication wants; read anew each time, so that a new token is used."""
    token = os.environ.get("RAY_AUTH_TOKEN", "").strip()
    if not token:
        path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE).expanduser()
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return {}  # It has none, and most clusters want none: one that does says so.
    return {b"Authorization": f"Bearer {token}".encode()} if token else {}


def _row(job: Mapping[str, Any]) -> JobRow:
    words = (job.get("message") or "").partition("\n")[0].partition(", last available logs")[0]
    folder = (job.get("metadata") or {}).get(FOLDER_KEY, "")
    return JobRow(job["submission_id"], str(job["status"]), words[:MESSAGE_CHARACTERS], folder)


def _host(backend: str, node: Mapping[str, Any], usage: Mapping[str, Mapping[str, Any]]) -> HostStatus:
    raylet = node["raylet"]
    total, used = raylet.get("resourcesTotal", {}), usage.get(raylet.get("nodeId", ""), {})
    name = f"{node.get('hostname', '')} {node.get('ip', '')}".strip()
    cpus, gpus = (int(total.get(kind, 0)) for kind in ("CPU", "GPU"))
    cpus_free, gpus_free = (_free(used[kind]) if kind in used else None for kind in ("CPU", "GPU"))
    return HostStatus(backend, name, "alive", True, cpus, cpus_free, gpus, gpus_free)


def _free(share: tuple[float, float]) -> int:
    """Whole ones that are left, of ``[used, total]``: jobs may take parts of one."""
    return int(share[1] - share[0])
