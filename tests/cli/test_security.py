"""Secrets, links, sockets, and a working directory that wants to be run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from program import Program, wait_until
from ptyterm import PtyTerm

SECRETS = {
    "flag": "flag-0a9f8c7b6d5e4f3a",
    "equals": "equals-1b8e7d6c5a4f3e2d",
    "pair": "pair-2c7d6e5f4a3b2c1d",
    "variable": "variable-3d6c5b4a3f2e1d0c",
    "inherited": "inherited-4e5f6a7b8c9d0e1f",
    "userinfo": "userinfo-5f4e3d2c1b0a9f8e",
    "param": "param-6a3b2c1d0e9f8a7b",
    "shape": "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8",
}
TRAINING = """
import os
import mlconsole

with mlconsole.start_run(params={"api_key": os.environ["PARAM"], "max_tokens": 4096, "tokenizer": "bpe"}) as run:
    run.set_tags({"source": "https://me:" + os.environ["URL_PART"] + "@example.org/data"})
    run.log_params({"note": "uses " + os.environ["SERVICE_TOKEN"]})
    raise RuntimeError("refused: " + os.environ["DATABASE_PASSWORD"] + " and " + os.environ["SHAPE"])
"""


@pytest.fixture
def leaky(cli: Program) -> str:
    """A run that was handed secrets in every way; returns its id."""
    (cli.cwd / "train.py").write_text(TRAINING)
    run = cli.json(
        *("launch", "--env", f"SERVICE_TOKEN={SECRETS['variable']}", "--env", f"SHAPE={SECRETS['shape']}"),
        *("--env", f"PARAM={SECRETS['param']}", "--env", f"URL_PART={SECRETS['userinfo']}"),
        *("--param", f"password={SECRETS['pair']}"),
        *("--", sys.executable, "train.py", "--api-key", SECRETS["flag"], f"--token={SECRETS['equals']}"),
        DATABASE_PASSWORD=SECRETS["inherited"],
    )["id"]
    ended = cli.ended(run)
    assert ended["outcome"] == "failed" and "RuntimeError" in ended["traceback"]
    return str(run)


def holding(root: Path, secret: str) -> list[str]:
    """Files that hold the secret; what the program itself printed is its own affair."""
    return [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and path.name != "output.log" and secret.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("way", SECRETS)
def test_a_secret_is_in_no_byte_of_the_catalog(cli: Program, leaky: str, way: str) -> None:
    assert holding(cli.home, SECRETS[way]) == []


def test_a_secret_is_in_nothing_that_is_shown_exported_or_audited(cli: Program, leaky: str) -> None:
    outputs = [
        cli(*words).out
        for words in (
            ("run", "show", leaky),
            ("run", "show", leaky, "--json"),
            ("run", "list", "--columns", "command,reason,tags,api_key,note"),
            ("run", "export", "--history"),
            ("run", "export", "--format", "csv"),
            ("audit", "list", "--json"),
        )
    ]
    cli("report", leaky, "--output", "page.html")
    outputs.append((cli.cwd / "page.html").read_text(encoding="utf-8"))

    assert [way for way, secret in SECRETS.items() if any(secret in output for output in outputs)] == []


def test_a_secret_that_the_shell_put_into_a_command_or_a_tag_is_not_kept(cli: Program) -> None:
    secret, tag = "inherited-4e5f6a7b8c9d0e1f", "typed-5a6b7c8d9e0f1a2b"
    words = ("launch", "-n", "r", "--tag", f"token={tag}", "--tag", "team=nlp", "--", "echo", "login", secret)
    made = cli.json(*words, HUB_TOKEN=secret)
    ended = cli.ended(made["id"])
    cli("run", "tag", "r", f"api-key={tag}", f"hub={secret}", HUB_TOKEN=secret)

    tags = cli.json("run", "show", "r")["tags"]
    assert ended["command"] == ["echo", "login", "[redacted]"] and cli("run", "logs", "r").out == f"login {secret}\n"
    assert (tags["team"], tags["token"], tags["api-key"], tags["hub"]) == ("nlp", *["[redacted]"] * 3)
    assert holding(cli.home, secret) == holding(cli.home, tag) == []


def test_what_only_sounds_like_a_secret_stays(cli: Program, leaky: str) -> None:
    params = cli.json("run", "show", leaky)["params"]

    assert (params["max_tokens"], params["tokenizer"]) == (4096, "bpe")


def precious(tmp_path: Path) -> Path:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    return folder


def test_deleting_a_run_whose_folder_is_a_link_keeps_what_it_points_to(own_lab: Program, tmp_path: Path) -> None:
    kept = precious(tmp_path)
    run = own_lab.json("run", "show", "alpha")["id"]
    folder = own_lab.home / "runs" / run
    folder.rename(tmp_path / "moved")
    folder.symlink_to(kept)

    own_lab("run", "delete", "alpha", "--yes")

    assert (kept / "thesis.txt").read_text() == "years of work"
    assert not folder.is_symlink()


def test_deleting_a_run_does_not_follow_links_inside_its_folder(own_lab: Program, tmp_path: Path) -> None:
    kept = precious(tmp_path)
    run = own_lab.json("run", "show", "alpha")["id"]
    (own_lab.home / "runs" / run / "artifacts" / "data").symlink_to(kept)
    (own_lab.home / "runs" / run / "artifacts" / "file").symlink_to(kept / "thesis.txt")

    assert own_lab("run", "delete", "alpha", "--yes").code == 0

    assert (kept / "thesis.txt").read_text() == "years of work"
    assert not (own_lab.home / "runs" / run).exists()


def test_an_artifact_with_a_path_for_a_name_stays_inside_its_run(cli: Program, tmp_path: Path) -> None:
    outside = tmp_path / "escaped"
    script = f"""
import mlconsole
with mlconsole.start_run(name="sly") as run:
    for name in ("../../../escaped", {str(outside)!r}, "a/../../../../escaped", "%2e%2e/escaped"):
        run.log_artifact(__file__, name=name)
"""
    assert cli.record(script).returncode == 0
    run = cli.json("run", "show", "sly")

    assert not outside.exists()
    assert not any(path.name == "escaped" for path in tmp_path.iterdir())
    root = (cli.home / "runs" / run["id"] / "artifacts").resolve()
    paths = [(root / artifact["path"]).resolve() for artifact in run["artifacts"]]
    assert all(path.is_relative_to(root) for path in paths)


def listening_inodes() -> set[str]:
    """Inodes of the sockets that listen on TCP."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            found |= {row[9] for row in rows if row[3] == "0A"}
    return found


def processes_of(home: Path) -> list[Path]:
    mark = f"MLCONSOLE_HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(entry)
        except OSError:
            continue
    return found


def sockets_listening(home: Path) -> list[str]:
    """Listening TCP sockets held by any process of the catalog."""
    listening = {f"socket:[{inode}]" for inode in listening_inodes()}
    held = []
    for process in processes_of(home):
        for link in (process / "fd").iterdir():
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target in listening:
                held.append(f"{process.name} {target}")
    return held


def test_the_search_for_listening_sockets_finds_one(cli: Program) -> None:
    script = "import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); time.sleep(60)"
    cli.launch(sys.executable, "-c", script)

    wait_until(lambda: sockets_listening(cli.home) != [], "a listening socket")


def test_nothing_listens_while_a_run_is_launched_and_followed(cli: Program) -> None:
    run = cli.launch("sleep", "60")
    process = cli.start("run", "logs", "-f", run)
    wait_until(lambda: len(processes_of(cli.home)) >= 3, "the program, its supervisor and the follow")

    assert sockets_listening(cli.home) == []

    process.kill()
    process.communicate(timeout=30)


def test_nothing_listens_while_the_console_is_open(own_lab: Program) -> None:
    with PtyTerm(own_lab.argv(), columns=100, lines=30, env=own_lab.environment(), cwd=own_lab.cwd) as term:
        term.wait_for("alpha")
        term.settle()

        assert sockets_listening(own_lab.home) == []


TEMPTING = (
    *("json", "argparse", "sqlite3", "dataclasses", "textual", "rich", "plotly", "sqlite_utils", "mlconsole_local"),
    *("sitecustomize", "usercustomize", "shutil", "subprocess", "tomllib", "inspect", "fcntl"),
)


@pytest.fixture
def trap(cli: Program) -> Path:
    """A working directory full of things that must not run; returns the file that tells which one did."""
    told = cli.cwd / "told"
    payload = f"open({str(told)!r}, 'a').write(__name__ + '\\n')\n"
    for name in TEMPTING:
        (cli.cwd / f"{name}.py").write_text(payload)
    (cli.cwd / ".env").write_text(f"MLCONSOLE_HOME={cli.cwd}/elsewhere\n")
    (cli.cwd / "config.toml").write_text(f'home = "{cli.cwd}/elsewhere"\n')
    (cli.cwd / "evil.pth").write_text("import json\n")
    (cli.cwd / "evil.dist-info").mkdir()
    (cli.cwd / "evil.dist-info" / "entry_points.txt").write_text("[mlconsole.backends]\nevil = json:load\n")
    for name in ("git", "python3", "python", "sh"):
        (cli.cwd / name).write_text(f"#!/bin/sh\necho {name} >> {told}\n")
        (cli.cwd / name).chmod(0o755)
    return told


COMMANDS = [
    ("run", "list"),
    ("--version",),
    ("backend", "list"),
    ("launch", "--", "/bin/true"),
    ("experiment", "list"),
    ("report", "--where", "name~x"),
    ("demo", "--dry-run"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_nothing_in_the_working_directory_runs(cli: Program, trap: Path, words: tuple[str, ...]) -> None:
    done = cli(*words)

    assert "Traceback" not in done.err
    assert not trap.exists(), trap.read_text()
    assert not (cli.cwd / "elsewhere").exists()


@pytest.mark.parametrize("words", [("run", "list"), ("backend", "list")], ids=" ".join)
def test_nothing_in_the_working_directory_runs_under_python_m(cli: Program, trap: Path, words: tuple[str, ...]) -> None:
    argv = [sys.executable, "-m", "mlconsole", *words]
    done = subprocess.run(argv, cwd=cli.cwd, env=cli.environment(), capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr
    assert not trap.exists(), trap.read_text()
    assert "evil" not in done.stdout


def test_a_backend_in_the_working_directory_is_not_installed(cli: Program, trap: Path) -> None:
    assert "evil" not in json.dumps(cli.json("backend", "list"))


def test_the_console_runs_nothing_in_the_working_directory(own_lab: Program, trap: Path) -> None:
    with PtyTerm(own_lab.argv(), columns=100, lines=30, env=own_lab.environment(), cwd=own_lab.cwd) as term:
        term.wait_for("alpha")
        term.settle()
        term.send("q")
        term.wait_exit()

    assert not trap.exists(), trap.read_text()


def test_the_supervisor_of_a_launch_imports_nothing_from_the_working_directory(cli: Program, trap: Path) -> None:
    run = cli.launch("/bin/sh", "-c", "exit 0")

    assert cli.ended(run)["outcome"] == "succeeded"
    assert not trap.exists(), trap.read_text()
