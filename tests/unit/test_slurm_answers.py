"""What Slurms other than Debian's 22.05 answer: the state words of every version, the lists of newer interfaces."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mlconsole.plugin_api import State
from mlconsole_slurm.commands import Commands
from mlconsole_slurm.rest import Rest
from mlconsole_slurm.words import ENDED, LIVE, word_of

#: squeue(1), "JOB STATE CODES", of 20.11 and of 25.05 together.
ENDS = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY")
MORE_ENDS = ("PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT")
WAITS = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
RUNS = ("COMPLETING", "CONFIGURING", "RESIZING", "RUNNING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED")
#: In the form of the interface v0.0.40 (Slurm 23.11): states are lists, and who answers is written in small letters.
META = {"plugin": {"data_parser": "data_parser/v0.0.40"}, "slurm": {"cluster": "big", "release": "23.11.4"}}
ANSWERS = {
    "/slurm/v0.0.40/ping": {"meta": META, "errors": [], "warnings": []},
    "/slurm/v0.0.40/jobs": {
        "meta": META,
        "errors": [],
        "jobs": [
            {"job_id": 11, "job_state": ["RUNNING"], "state_reason": "None", "nodes": "n7", "comment": "t-1"},
            {"job_id": 12, "job_state": ["COMPLETED", "COMPLETING"], "nodes": "n7", "comment": "t-2"},
            {"job_id": 13, "job_state": ["PENDING", "REQUEUED"], "state_reason": "BeginTime", "comment": "t-3"},
        ],
    },
    "/slurm/v0.0.40/nodes": {
        "meta": META,
        "errors": [],
        "nodes": [
            {
                "name": "n7",
                "state": ["MIXED"],
                "cpus": 16,
                "gres": "gpu:a100:4(S:0-1)",
                "gres_used": "gpu:a100:1(IDX:0)",
            },
            {"name": "n8", "state": ["IDLE", "DRAIN"], "cpus": 16, "gres": "", "reason": "fans"},
        ],
    },
}


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    table: ClassVar[dict[str, Any]] = ANSWERS

    def do_GET(self) -> None:
        body = json.dumps(self.table[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def newer(tmp_path: Path) -> Iterator[Rest]:
    path = str(tmp_path / "socket")
    with socketserver.ThreadingUnixStreamServer(path, Answers) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        rest = Rest(path, "v0.0.40")
        yield rest
        if rest._made is not None:
            rest._made.close()
        server.shutdown()
        thread.join()


def test_every_state_of_every_version_is_known() -> None:
    assert set(ENDED) == {*ENDS, *MORE_ENDS}
    assert {word for word in LIVE if LIVE[word] is State.QUEUED} == {*WAITS}
    assert set(LIVE) == {*WAITS, *RUNS}
    assert word_of("CANCELLED by 1000") == "CANCELLED"


def test_states_that_are_lists_are_the_word_that_squeue_would_say(newer: Rest) -> None:
    assert {row.id: (row.state, row.token) for row in newer.jobs()} == {
        "11": ("RUNNING", "t-1"),
        "12": ("COMPLETING", "t-2"),
        "13": ("REQUEUED", "t-3"),
    }
    assert LIVE["COMPLETING"] is State.STOPPING


def test_a_newer_interface_tells_its_version_and_its_nodes(newer: Rest) -> None:
    assert newer.version() == "slurm 23.11.4"
    found = [(each.name, each.takes_jobs, each.gpus, each.gpus_free, each.reason) for each in newer.nodes("slurm")]
    assert found == [("n7", True, 4, 3, ""), ("n8", False, 0, None, "fans")]


def test_a_folder_with_a_bar_in_its_name_hides_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "squeue").write_text("#!/bin/sh\necho '7|RUNNING|None|n1|token-1|/scratch/a|b/job'\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (row,) = Commands().jobs()
    assert (row.token, row.folder, row.nodes) == ("token-1", "/scratch/a|b/job", "n1")
