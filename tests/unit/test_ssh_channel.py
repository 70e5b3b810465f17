"""The line to a host's agent, behind shells that print what nobody asked for, or let nobody in."""

from __future__ import annotations

from pathlib import Path

import pytest

from farkit import FAKES, FarHosts
from mlconsole.plugin_api import BackendUnreachable
from mlconsole_ssh.channel import Channel
from mlconsole_ssh.hosts import SshSettings


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a host whose shell runs the file ``rc`` there first."""
    for name, value in FarHosts(tmp_path, "h1").env.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "h1"


def opened() -> Channel:
    return Channel([str(FAKES / "ssh"), "--", "h1"], "python3", "~/.cache/mlconsole", 20.0)


@pytest.mark.parametrize(
    "noise",
    [
        "echo Welcome to gpu1; echo; echo have",
        "printf 'no end of line'",
        "printf 'need\\nmlconsole\\n\\377\\033[2J'; echo warning >&2",
        "head -c 100000 /dev/zero",
    ],
)
def test_what_a_start_file_prints_is_passed_over(host: Path, noise: str) -> None:
    (host / "rc").write_text(noise)
    for _ in range(2):  # The second time the agent's file is there already.
        channel = opened()
        assert channel.call({"verb": "has", "path": str(host)})[0]
        channel.close()


def test_a_shell_that_prints_without_end_is_given_up(host: Path) -> None:
    (host / "rc").write_text("while :; do echo y; done")
    with pytest.raises(BackendUnreachable, match="prints without end"):
        opened()


def test_a_shell_that_lets_nobody_in_is_told_in_its_own_words(host: Path) -> None:
    (host / "rc").write_text("echo Welcome; echo This account is currently not available.; exit 1")
    with pytest.raises(BackendUnreachable, match=r"This account is currently not available\."):
        opened()


def test_an_interpreter_that_is_missing_is_told_in_the_shells_words(host: Path) -> None:
    with pytest.raises(BackendUnreachable, match="no-such-python"):
        Channel([str(FAKES / "ssh"), "--", "h1"], "no-such-python", "~/.cache/mlconsole", 20.0)


#: A host that is slow to take the agent's file, and then slow to answer, but always at it.
SLOW = r"""
printf '\nmlconsole needs it\n'
sleep 2.5
printf '{"size": 0, "root": "/r"}\n{"size": 6}\n'
for letter in a b c d e f; do sleep 0.5; printf $letter; done
cat >/dev/null
"""


def test_a_slow_line_is_no_dead_line() -> None:
    channel = Channel(["sh", "-c", SLOW], "python3", "~/.cache/mlconsole", 2.0)
    assert channel.call({"verb": "read"}, timeout_s=2.0)[1] == b"abcdef"
    channel.close()


def test_quotes_and_comments_of_the_users_configuration_are_no_hosts(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text('Host one "two" "my box" # three\n# Host four\nHost=five\nHost *.lab !six\n')
    assert SshSettings(config=str(config)).names() == ("one", "two", "five")
