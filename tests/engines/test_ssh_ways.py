"""Ways to a host that a user's own OpenSSH configuration knows: jump hosts, agents, aliases, masters of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engines.daemons import run
from engines.fleet import Fleet
from jobkit import Jobs, jobs_of
from mlconsole.plugin_api import Outcome
from mlconsole_ssh import SshBackend
from mlconsole_ssh.hosts import SshSettings

pytestmark = pytest.mark.engine("ssh")


@contextmanager
def jobs_on(folder: Path, host: str, config: Path) -> Iterator[Jobs]:
    """Jobs on one host of an OpenSSH configuration, its files in a folder of their own there."""
    settings = replace(SshSettings.load(), hosts=(), default=host, config=str(config), root=str(folder / "far"))
    with jobs_of(SshBackend(settings), folder) as found:
        yield found


def works(jobs: Jobs) -> bool:
    handle = jobs.python("import os; print(os.uname().nodename)")
    return jobs.ended(handle).outcome is Outcome.SUCCEEDED


def test_a_host_behind_a_jump_host_is_a_host_like_any_other(engine: Fleet, tmp_path: Path) -> None:
    engine.dig()
    before = engine.accepted("h1")
    with jobs_on(tmp_path, "deep", engine.config) as jobs:
        handle = jobs.python("import os; print(os.uname().nodename)")
        assert jobs.ended(handle).outcome is Outcome.SUCCEEDED
        assert jobs.output(handle) == b"deep\n"
    assert engine.accepted("h1") > before


def test_a_key_that_only_the_agent_holds_opens_the_way(
    engine: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    text = engine.config.read_text().replace(f"IdentityFile {engine.folder}/key", "IdentityFile none")
    config.write_text(text.replace("IdentitiesOnly yes", "IdentitiesOnly no"))
    # Connections that other tests have open lead to the same host: this one has none to share.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(engine.folder))
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        with jobs_on(tmp_path, "h1", config) as jobs:
            monkeypatch.setenv("SSH_AUTH_SOCK", "")
            assert "Permission denied" in jobs.backend.probe().detail
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            run("ssh-add", engine.folder / "key", env={**os.environ, "SSH_AUTH_SOCK": str(socket)})
            assert works(jobs)
    finally:
        agent.terminate()
        agent.wait(10)


def test_a_master_connection_of_the_users_own_is_the_one_that_is_used(engine: Fleet, tmp_path: Path) -> None:
    sockets = engine.folder / "own"  # Short: with what ssh adds, a socket's name has room for 108 bytes.
    sockets.mkdir()
    config = tmp_path / "config"
    mine = f"Host *\n  ControlMaster auto\n  ControlPath {sockets}/%C\n  ControlPersist 30\n"
    config.write_text(mine + engine.config.read_text())
    before = engine.accepted("h2")
    with jobs_on(tmp_path, "h2", config) as first:
        assert works(first)
    with jobs_on(tmp_path / "again", "h2", config) as second:
        assert works(second)
        assert len(list(sockets.iterdir())) == 1
    assert engine.accepted("h2") == before + 1
    run("ssh", "-F", config, "-O", "exit", "h2", check=False)


def test_looks_launches_and_logs_share_one_connection(engine: Fleet, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"# {tmp_path}\nHost h2\n  HostName {config_of(engine, 'h2')}\n" + engine.config.read_text())
    with jobs_on(tmp_path, "h2", config) as jobs:
        jobs.backend.probe()
        before = engine.accepted("h2")
        handle = jobs.python("print('x' * 100_000)")
        assert jobs.ended(handle).outcome is Outcome.SUCCEEDED
        assert len(jobs.output(handle)) == 100_001
    assert engine.accepted("h2") == before


def config_of(engine: Fleet, name: str) -> str:
    shown = run("ssh", "-F", engine.config, "-G", name)
    return next(line.split()[1] for line in shown.splitlines() if line.startswith("hostname "))


def test_aliases_and_included_files_of_the_configuration_are_hosts(engine: Fleet, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "lab.conf").write_text(f"Host gpu-box  lab-*\n  HostName {config_of(engine, 'h1')}\n")
    config = tmp_path / "config"
    config.write_text(f"Include {tmp_path}/more/*.conf\nHost gpu-box\n  HostKeyAlias h1\n{engine.config.read_text()}")
    settings = replace(SshSettings.load(), hosts=(), default="", config=str(config))
    assert settings.names()[0] == "gpu-box" and set(settings.names()) - {"deep"} == {"gpu-box", "h1", "h2"}
    with jobs_on(tmp_path, "gpu-box", config) as jobs:
        handle = jobs.python("import os; print(os.uname().nodename)", options={"host": "gpu-box"})
        assert jobs.ended(handle).outcome is Outcome.SUCCEEDED
        assert jobs.output(handle) == b"h1\n"
