"""Slurm on one machine: munged, slurmctld, some slurmds with pretended GPUs, and slurmrestd on a unix socket.

Loopback only, without systemd; with accounting only in ``accounting.py``. Twenty ports from 17000 on are one run's own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from engines.daemons import OWN, Daemons, end_below, needs, run, wait_for

PORT = 17000 + 20 * OWN
CONF = """
ClusterName=mlce
SlurmctldHost=localhost
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/logs/slurmctld.txt
SlurmdLogFile={folder}/logs/slurmd-%n.txt
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0,requeue_delay=1
GresTypes=gpu
MinJobAge=600
KillWait=2
MessageTimeout=3
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
Waittime=0
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
DebugFlags=NO_CONF_HASH
"""
NODE = (
    "NodeName=n{n} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=4096 Gres=gpu:fake:4"
    " Features=all,number{n}\n"
)
PARTITIONS = """
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=60 DefMemPerCPU=100 State=UP
PartitionName=short Nodes=ALL MaxTime=2 DefaultTime=1 DefMemPerCPU=100 State=UP
"""
#: Slurm listens on the address of the host's name: its processes get a name that is 127.0.0.1.
LOOPBACK = ("unshare", "--uts", "--", "sh", "-c", 'hostname localhost; exec "$@"', "_")


class Slurm:
    """One cluster of so many nodes.

    Args:
        folder: for all its files.
        nodes: how many.
        port: the first of the ports that it listens on.
    """

    #: The plugins of its slurmrestd; that of accounting does not load without a slurmdbd.
    speaks = "v0.0.38"

    def __init__(self, folder: Path, nodes: int = 2, port: int = PORT) -> None:
        self.folder, self.nodes, self.port = folder, nodes, port
        self.daemons = Daemons(folder / "logs")
        self.conf = folder / "slurm.conf"
        self.controllers, self.text = 0, ""
        self.rest = folder / "rest" / "socket"

    def up(self) -> None:
        needs("munged", "slurmctld", "slurmd", "slurmrestd", "sbatch", "squeue", "setpriv", "unshare")
        for name in ("state", "spool", "rest", *(f"spool/n{n}" for n in range(1, self.nodes + 1))):
            (self.folder / name).mkdir(mode=0o755, exist_ok=True)
        self._configure()
        os.environ["SLURM_CONF"] = str(self.conf)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        socket = self.folder / "munge.socket"
        own = [f"--{what}-file={self.folder}/munge.{what}" for what in ("key", "log", "pid", "seed")]
        self.daemons.start("munged", ["munged", "--foreground", "--force", *own, f"--socket={socket}"])
        wait_for(socket.exists, "munged", 15)
        self.account()
        self.control()
        for number in range(1, self.nodes + 1):
            self.node(f"n{number}")
        self._serve_rest()
        wait_for(lambda: self.usable() >= self.nodes, "the nodes")

    def _configure(self) -> None:
        devices = self.folder / "dev"
        devices.mkdir(mode=0o755)
        for number in range(4):
            run("mknod", "-m", "666", devices / f"gpu{number}", "c", "1", "3")
        nodes = "".join(NODE.format(n=number, port=self.port + 9 + number) for number in range(1, self.nodes + 1))
        self.text = CONF.format(port=self.port, folder=self.folder) + nodes + PARTITIONS
        self.conf.write_text(self.text)
        (self.folder / "gres.conf").write_text(f"Name=gpu Type=fake File={devices}/gpu[0-3]\n")
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\nConstrainCores=no\nConstrainRAMSpace=no\n")

    def account(self) -> None:
        """Start what keeps account of jobs: nothing does."""

    def control(self) -> None:
        """Start the controller; it gives no number again that one before it gave, for slurmd would refuse it."""
        first = f"FirstJobId={1 + 1000 * self.controllers}\n"
        self.controllers += 1
        self.conf.write_text(self.text + first)
        self.daemons.start("slurmctld", [*LOOPBACK, "slurmctld", "-D", "-f", self.conf])
        wait_for(lambda: "is UP" in run("scontrol", "ping", check=False), "slurmctld", 30)

    def node(self, name: str) -> None:
        """Start a node."""
        self.daemons.start(name, [*LOOPBACK, "slurmd", "-D", "-N", name, "-f", self.conf])

    def _serve_rest(self) -> None:
        # It would refuse to run as the user that Slurm itself runs as (slurmrestd(8), SLURMRESTD_SECURITY).
        env = {**os.environ, "SLURMRESTD_SECURITY": "disable_user_check"}
        what = ["slurmrestd", "-f", self.conf, "-s", self.speaks, "-a", "rest_auth/local", f"unix:{self.rest}"]
        self.daemons.start("slurmrestd", what, env)
        wait_for(self.rest.exists, "slurmrestd", 15)

    def usable(self) -> int:
        """How many nodes take jobs."""
        words = run("sinfo", "-h", "-N", "-p", "main", "-o", "%t", check=False).split()
        return sum(word in ("idle", "mix", "alloc") for word in words)

    def is_idle(self) -> bool:
        """Whether every node is free, and done with what ran there."""
        return set(run("sinfo", "-h", "-N", "-p", "main", "-o", "%t", check=False).split()) == {"idle"}

    def hastens(self, job: str) -> None:
        """Have a requeued job start again in two seconds, for which Slurm would take two minutes.

        Sooner, it would lose its script to the end of its first try, be given that one's exit code, or be refused for
        its credential, which was revoked in the same second.
        """
        wait_for(lambda: not self.steps() and self.is_idle(), "an idle cluster")
        run("scontrol", "update", f"jobid={job}", "starttime=now+2")

    def calm(self) -> bool:
        """Empty the queue and give every node back; whether that is done."""
        run("scancel", "--quiet", "--user=root", check=False)
        if run("squeue", "-h", check=False).strip():
            return False
        run("scontrol", "update", f"nodename=n[1-{self.nodes}]", "state=resume", check=False)
        return self.usable() == self.nodes

    def down(self) -> None:
        if self.daemons.is_up("slurmctld"):
            run("scancel", "--quiet", "--user=root", check=False)
            deadline = time.monotonic() + 8
            while run("squeue", "-h", check=False).strip() and time.monotonic() < deadline:
                time.sleep(0.1)
        steps = self.steps()
        self.daemons.stop()
        end_below(steps)

    def steps(self) -> list[int]:
        """Step daemons of ours that are left: each holds a file of this folder open."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                is_step = entry.name.isdigit() and "slurmstepd" in os.readlink(entry / "exe")
                if is_step and any(str(self.folder) in os.readlink(fd) for fd in (entry / "fd").iterdir()):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found
