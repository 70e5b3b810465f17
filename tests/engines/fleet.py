"""SSH hosts on one machine: an sshd each in a network namespace of its own, joined by a bridge; nothing is routed out.

They share the machine's files and processes. Each has an address, a name and a boot id that a test may change; its
link can be cut, its sshd killed. ``Fleet.config`` is the OpenSSH configuration that knows them as h1, h2, ...
Another, "deep", stands behind h1: only from there is there a way to it.
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from engines.daemons import OWN, Daemons, below, end_below, needs, run, wait_for
from mlconsole_local import shim

FAMILY = "mlcf"
PREFIX = f"{FAMILY}{OWN}"
NET, DEEP_NET = f"10.214.{OWN}", f"10.215.{OWN}"
SSHD = """
ListenAddress {address}
Port 22
HostKey {folder}/{name}.key
PidFile none
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
MaxStartups 100:30:200
MaxSessions 100
SetEnv PATH={folder}/{name}.bin:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin
"""
CLIENT = """
Host *
  User root
  IdentityFile {folder}/key
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  LogLevel ERROR
"""
# The host's own name, and its own boot id: both seen by what sshd starts, by nothing else.
ENTER = 'hostname "$1"; mount --make-rprivate /; mount --bind "$2" /proc/sys/kernel/random/boot_id; shift 2; exec "$@"'


class Fleet:
    """So many hosts."""

    def __init__(self, folder: Path, count: int = 2) -> None:
        self.folder, self.count = folder, count
        self.daemons = Daemons(folder / "logs")
        self.config = folder / "ssh_config"

    @property
    def names(self) -> list[str]:
        return [f"h{number}" for number in range(1, self.count + 1)]

    def address(self, number: int) -> str:
        """Where the host of that number listens."""
        return f"{NET}.{10 + number}"

    def up(self) -> None:
        needs("sshd", "ssh", "ssh-keygen", "ip", "setpriv", "unshare")
        sweep()
        self.down()
        Path("/run/sshd").mkdir(exist_ok=True)
        mine = shim.identity(os.getpid())
        owner_file().write_text(f"{mine['pid']} {mine['start']}")
        run("ip", "link", "add", PREFIX, "type", "bridge")
        run("ip", "addr", "add", f"{NET}.1/24", "dev", PREFIX)
        run("ip", "link", "set", PREFIX, "up")
        self._key("key")
        known, client = [], []
        for number, name in enumerate(self.names, 1):
            self._key(f"{name}.key")
            public = (self.folder / f"{name}.key.pub").read_text().split()[:2]
            known.append(f"{name} {' '.join(public)}\n")
            client.append(f"Host {name}\n  HostName {self.address(number)}\n  HostKeyAlias {name}\n")
            self._namespace(number, name)
            self.reboot(name)
            self.serve(name)
        (self.folder / "known_hosts").write_text("".join(known))
        self.config.write_text("".join(client) + CLIENT.format(folder=self.folder))
        for name in self.names:
            wait_for(lambda name=name: self._answers(name), f"sshd of {name}", 15)  # type: ignore[misc]

    def _key(self, name: str) -> None:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.folder / name)

    def _namespace(self, number: int, name: str) -> None:
        space = f"{PREFIX}-{name}"
        run("ip", "netns", "add", space)
        run("ip", "link", "add", f"{PREFIX}-{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "link", "set", f"{PREFIX}-{number}", "master", PREFIX, "up")
        run("ip", "-n", space, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "link", "set", "eth0", "up")
        self._conf(name, self.address(number))

    def _conf(self, name: str, address: str) -> None:
        (self.folder / f"{name}.bin").mkdir(exist_ok=True)
        (self.folder / f"{name}.conf").write_text(SSHD.format(address=address, folder=self.folder, name=name))

    def dig(self) -> None:
        """Bring the host "deep" up, if it is not: h1 is the one way to it."""
        if self.daemons.is_up("deep"):
            return
        before, space = f"{PREFIX}-h1", f"{PREFIX}-deep"
        self._key("deep.key")
        run("ip", "netns", "add", space)
        run("ip", "-n", before, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", space)
        for where, link, address in ((before, "eth1", f"{DEEP_NET}.1"), (space, "eth0", f"{DEEP_NET}.2")):
            run("ip", "-n", where, "addr", "add", f"{address}/24", "dev", link)
            run("ip", "-n", where, "link", "set", link, "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        self._conf("deep", f"{DEEP_NET}.2")
        public = (self.folder / "deep.key.pub").read_text().split()[:2]
        with open(self.folder / "known_hosts", "a", encoding="utf-8") as known:
            known.write(f"deep {' '.join(public)}\n")
        client = f"Host deep\n  HostName {DEEP_NET}.2\n  HostKeyAlias deep\n  ProxyJump h1\n"
        self.config.write_text(client + self.config.read_text())
        self.reboot("deep")
        self.serve("deep")
        wait_for(lambda: self._answers("deep"), "sshd of deep", 15)

    def accepted(self, name: str) -> int:
        """How many connections a host has let in so far."""
        return (self.folder / "logs" / f"{name}.log").read_text().count("Accepted publickey")

    def _answers(self, name: str) -> bool:
        return run("ssh", "-F", self.config, "-o", "BatchMode=yes", name, "echo", "up", check=False) == "up\n"

    def serve(self, name: str) -> None:
        """Start a host's sshd."""
        enter = ["unshare", "--uts", "--mount", "--", "sh", "-c", ENTER, "_", name, self.folder / f"{name}.boot"]
        argv = ["ip", "netns", "exec", f"{PREFIX}-{name}", *enter, "/usr/sbin/sshd", "-D", "-e"]
        self.daemons.start(name, [*argv, "-f", self.folder / f"{name}.conf"])

    def main(self, name: str) -> int:
        """The process that a host's sessions come from."""
        return self.daemons.all[name].pid

    def kill(self, name: str) -> None:
        """Kill a host's sshd with every connection that it serves; what runs in sessions of its own goes on."""
        here = self.main(name)
        sessions = [pid for pid, command in below([here]) if command.startswith("sshd:")]
        self.daemons.kill(name)
        for pid in sessions:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def reboot(self, name: str) -> None:
        """Give a host another boot id; what runs there goes on, unseen by anybody who believes the id."""
        (self.folder / f"{name}.boot").write_text(f"{uuid.uuid4()}\n")

    def cut(self, name: str) -> None:
        """Cut a host's link: packets vanish."""
        run("ip", "link", "set", f"{PREFIX}-{name.removeprefix('h')}", "down")

    def mend(self, name: str) -> None:
        run("ip", "link", "set", f"{PREFIX}-{name.removeprefix('h')}", "up")

    def down(self) -> None:
        end_below([process.pid for process in self.daemons.all.values()])
        self.daemons.stop()
        remove(PREFIX)
        owner_file().unlink(missing_ok=True)


def owner_file(prefix: str = PREFIX) -> Path:
    """Where it is written which process the hosts of a prefix belong to, by pid and start time."""
    return Path(tempfile.gettempdir(), f"{prefix}.owner")


def sweep() -> None:
    """Remove what test runs have left that were killed: namespaces and links whose owner is gone."""
    links = run("ip", "-o", "link", "show", "type", "bridge", check=False)
    spaces = run("ip", "netns", "list", check=False)
    for prefix in sorted(set(re.findall(rf"\b({FAMILY}\d+)\b", links + spaces))):
        try:
            pid, start = owner_file(prefix).read_text().split()
        except (OSError, ValueError):
            continue  # Not known whose they are: another run may be about to say so.
        if not shim.is_alive(int(pid), int(start)):
            remove(prefix)
            owner_file(prefix).unlink(missing_ok=True)


def remove(prefix: str) -> None:
    """End what runs in the namespaces of a prefix, and remove them and their links."""
    for space in re.findall(rf"^{prefix}-\S+", run("ip", "netns", "list", check=False), re.MULTILINE):
        left = run("ip", "netns", "pids", space, check=False).split()
        end_below([int(pid) for pid in left if int(pid) != os.getpid()])
        run("ip", "netns", "del", space, check=False)
    for link in re.findall(rf"\b({prefix}(?:-\d+)?)[@:]", run("ip", "-o", "link", "show", check=False)):
        run("ip", "link", "del", link, check=False)
