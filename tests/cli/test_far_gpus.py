"""GPUs of SSH hosts in ``gpu list``: with their host and age, and never gone or zero because a host does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from farkit import FarHosts, calls, far_gpu
from program import Program, wait_until


@pytest.fixture
def far(tmp_path: Path) -> FarHosts:
    hosts = FarHosts(tmp_path / "hosts", "h1", "h2")
    hosts.driver("h1", far_gpu("h1", 0), far_gpu("h1", 1, **{"utilization.gpu": "[N/A]", "memory.used": "4"}))
    return hosts


def state_of(cli: Program, host: str) -> str:
    states = {each["host"]: each["state"] for each in cli.json("gpu", "list")["hosts"]}
    return str(states[host])


def test_gpus_of_hosts_are_listed_with_their_host_and_age(far: FarHosts, cli: Program) -> None:
    shown = far.known_to(cli).json("gpu", "list")

    assert [(each["host"], each["index"]) for each in shown["items"]] == [("h1", 0), ("h1", 1)]
    first, second = shown["items"]
    assert (first["utilization_percent"], first["memory_used_mib"], first["power_w"]) == (93, 40_000, 301.5)
    assert 0 <= first["age_s"] < 20
    assert (second["utilization_percent"], second["missing"]["utilization_percent"]) == (None, "not supported")
    states = {each["host"]: each["state"] for each in shown["hosts"]}
    assert (states["h1"], states["h2"]) == ("ok", "no_driver")


def test_a_host_that_is_away_keeps_its_last_values_and_their_age(far: FarHosts, cli: Program) -> None:
    cli = far.known_to(cli)
    cli.json("gpu", "list")
    far.down("h1")

    shown, text = cli.json("gpu", "list"), cli("gpu", "list").out

    assert [each["utilization_percent"] for each in shown["items"]] == [93, None]
    assert state_of(cli, "h1") == "unreachable"
    assert "h1: cannot be reached" in text and "No route to host" in text and "last known" in text
    assert "? unreachable" in text and "93 %" in text
    far.up("h1")
    wait_until(lambda: state_of(cli, "h1") == "ok", "the host's return")


def test_a_host_that_never_answered_is_named_and_not_left_out(far: FarHosts, cli: Program) -> None:
    far.down("h2")
    shown = far.known_to(cli)("gpu", "list")
    assert shown.code == 0
    assert "h2: cannot be reached" in shown.out


def test_a_process_on_a_host_is_traced_to_its_run(far: FarHosts, cli: Program) -> None:
    cli = far.known_to(cli)
    run = cli.json("launch", "-b", "ssh", "--name", "far", "--", "sh", "-c", "echo $$; exec sleep 600")["id"]
    wait_until(lambda: cli("run", "logs", run).out.strip().isdigit(), "the program to say its pid")
    pid = cli("run", "logs", run).out.strip()
    app = {"gpu_uuid": "GPU-h1-0", "pid": pid, "used_gpu_memory": "39000", "process_name": "sleep"}
    far.driver("h1", far_gpu("h1", 0), apps=[app])

    def item() -> dict[str, object]:
        found: dict[str, object] = cli.json("gpu", "list")["items"][0]
        return found

    wait_until(lambda: item()["processes"], "another look")
    found = item()
    assert (found["run_id"], found["run_name"], found["idle_class"]) == (run, "far", "busy")
    cli("run", "stop", run, "--grace", "1s", "--yes")


def test_a_driver_that_hangs_holds_up_neither_the_list_nor_a_launch(far: FarHosts, cli: Program) -> None:
    cli = far.known_to(cli)
    folder = far.driver("h1", hangs_s=60)
    shown = cli.json("gpu", "list")
    assert {each["host"]: each["state"] for each in shown["hosts"]}["h1"] in ("starting", "hung")

    run = cli.json("launch", "-b", "ssh", "-o", "host=h1", "--", "true")["id"]
    assert cli.ended(run)["outcome"] == "succeeded"
    cli.json("gpu", "list")
    assert len(calls(folder)) == 1  # Nobody joins one that hangs.
