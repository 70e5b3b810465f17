"""Which hosts there are: the settings file's ``[backends.ssh]``, or ``~/.ssh/config``."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mlconsole.plugin_api import ConfigError, UsageError, backend_settings

ROOT = "~/.cache/mlconsole"
NO_HOSTS = "no hosts: name them in the settings file under [backends.ssh], or in ~/.ssh/config"
#: A master of ours stays this long after its last use, so that the next command finds it.
PERSIST_S = 120
#: As deep as OpenSSH itself follows files that include others.
MOST_INCLUDES = 16
WORD = re.compile(r'"([^"]*)"|([^\s"]+)')
#: With one of these a word is a pattern, or nothing that ``ssh`` takes for the name of a host.
NO_NAME = set("*?! \t")


@dataclass(frozen=True, slots=True)
class SshSettings:
    """What ``[backends.ssh]`` says.

    Attributes:
        hosts: names that ``ssh`` knows; empty: those of ``config`` that have no pattern in them.
        default: the host of a launch that names none.
        config: the OpenSSH configuration to use; the user's own where it is empty.
        root: the folder on the hosts that everything of ours is kept in.
        python: the interpreter there, 3.6 or newer.
    """

    hosts: tuple[str, ...] = ()
    default: str = ""
    config: str = ""
    root: str = ROOT
    python: str = "python3"

    @classmethod
    def load(cls) -> SshSettings:
        """The settings as they stand in the file.

        Raises:
            ConfigError: an unknown key, or a value of a wrong type.
        """
        table = dict(backend_settings("ssh"))
        known = {each.name for each in fields(cls)}
        for key, value in table.items():
            if key not in known:
                raise ConfigError(f'Unknown setting "backends.ssh.{key}".', f"Known: {', '.join(sorted(known))}.")
            if not (_is_names(value) if key == "hosts" else isinstance(value, str)):
                raise ConfigError(f'Setting "backends.ssh.{key}" cannot be "{value}".')
        hosts = table.pop("hosts", ())
        texts = {key: str(value) for key, value in table.items()}
        return cls(hosts=tuple(hosts) if isinstance(hosts, list) else (), **texts)

    def names(self) -> tuple[str, ...]:
        """Every host that may be used."""
        return self.hosts or tuple(dict.fromkeys(_named_in(Path(self.config or "~/.ssh/config").expanduser())))

    def choose(self, options: Mapping[str, str]) -> str:
        """The host that a launch means.

        Raises:
            UsageError: an unknown option or host, or none was named where there are several.
        """
        unknown = sorted(set(options) - {"host"})
        if unknown:
            raise UsageError(f'The ssh backend knows no option "{unknown[0]}".', "It knows: host.")
        names = self.names()
        chosen = options.get("host") or self.default or (names[0] if len(names) == 1 else "")
        if not names:
            raise UsageError(f"There are {NO_HOSTS}.")
        if chosen not in names:
            what = f'"{chosen}" is not one of the hosts' if chosen else "No host was named"
            raise UsageError(f"{what}.", f"Name one: --option host=NAME, of {', '.join(names)}.")
        return chosen

    def ssh(self) -> list[str]:
        """The command line's beginning."""
        return ["ssh", *(["-F", self.config] if self.config else [])]


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each and each[0] != "-" for each in value)


def _named_in(config: Path, depth: int = 0) -> Iterator[str]:
    """Hosts by name alone, of a configuration and those that it includes (ssh_config(5), "Include")."""
    try:
        lines = config.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        key, *words = _words(line) or [""]
        if key.lower() == "host":
            yield from (word for word in words if not set(word) & NO_NAME and not word.startswith("-"))
        elif key.lower() == "include" and depth < MOST_INCLUDES:
            for word in words:
                pattern = os.path.join(Path.home() / ".ssh", os.path.expanduser(word))
                for path in sorted(glob.glob(pattern)):
                    yield from _named_in(Path(path), depth + 1)


def _words(line: str) -> list[str]:
    """A line's keyword and arguments, without quotes and what a ``#`` comments out (ssh_config(5))."""
    words = []
    for quoted, plain in WORD.findall(line.replace("=", " ", 1)):
        if plain.startswith("#"):
            break
        words.append(quoted or plain)
    return words


def command_line(settings: SshSettings, host: str) -> list[str]:
    """The ``ssh`` command to a host: as the user has it, and multiplexed by us where the user has no master."""
    argv = [*settings.ssh(), "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=8"]
    argv += ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2"]
    if not _has_master(settings, host):
        argv += ["-o", "ControlMaster=auto", "-o", f"ControlPersist={PERSIST_S}"]
        argv += ["-o", f"ControlPath={sockets()}/%C"]
    return [*argv, "--", host]


def _has_master(settings: SshSettings, host: str) -> bool:
    """Whether the user's configuration multiplexes connections to this host by itself (``ssh -G``)."""
    done = subprocess.run([*settings.ssh(), "-G", "--", host], capture_output=True, text=True, check=False)
    return any(line.startswith("controlpath ") and line != "controlpath none" for line in done.stdout.splitlines())


def sockets() -> Path:
    """A folder of this user alone for connections; its name leaves room for a socket's (108 bytes in all, unix(7))."""
    base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108  owned and checked below
    folder = Path(base, f"mlconsole-ssh-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    there = folder.lstat()
    if there.st_uid != os.getuid() or there.st_mode & 0o077 or folder.is_symlink():
        raise ConfigError(f'The folder "{folder}" for connections is not private to you.', "Remove it.")
    return folder
