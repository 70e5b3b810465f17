"""A Slurm cluster that keeps account of its jobs: MariaDB and slurmdbd beside it, two accounts, a QoS that yields."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from engines.daemons import needs, run, wait_for
from engines.slurm import PORT, Slurm

#: Two ports behind the plain cluster's, whose nodes are ten behind each.
FIRST = PORT + 2
CONF = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits,qos
JobAcctGatherType=jobacct_gather/linux
PriorityType=priority/multifactor
PriorityWeightQOS=100000
PreemptType=preempt/qos
PreemptMode=REQUEUE
"""
DBD = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={folder}/logs/slurmdbd.txt
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass={word}
StorageLoc=accounts
"""
WHO = """
add cluster mlce
add account team
add account guests
add qos low Priority=1
add qos high Priority=1000 Preempt=low
add user root Account=team DefaultAccount=team QOS=normal,low,high
"""


class AccountedSlurm(Slurm):
    """One cluster of two nodes with accounting."""

    speaks = "v0.0.38,dbv0.0.38"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, port=FIRST)
        self.database = FIRST + 2

    def up(self) -> None:
        needs("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "sacct", "sacctmgr")
        super().up()

    def _configure(self) -> None:
        super()._configure()
        kept = "\n".join(line for line in self.text.splitlines() if not line.startswith("AccountingStorageType"))
        # With accounting a controller goes on with the numbers that its cluster has given.
        self.text = f"{kept}\n{CONF.format(port=FIRST + 1, folder=self.folder)}"
        self.conf.write_text(self.text)

    def account(self) -> None:
        data, socket, word = self.folder / "data", self.folder / "mariadb.socket", secrets.token_hex(12)
        run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db")
        own = [f"--datadir={data}", f"--socket={socket}", f"--pid-file={self.folder}/mariadb.pid", "--user=root"]
        small = ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0"]
        where = ["--bind-address=127.0.0.1", f"--port={self.database}"]
        self.daemons.start("mariadbd", ["mariadbd", "--no-defaults", *own, *where, *small])

        def asked(words: str) -> bool:
            return "1" in run("mariadb", "--no-defaults", f"--socket={socket}", "-uroot", "-e", words, check=False)

        wait_for(lambda: asked("select 1"), "mariadbd", 60)
        may = f"create user slurm@'127.0.0.1' identified by '{word}'; grant all on accounts.* to slurm@'127.0.0.1'"
        asked(f"create database accounts; {may}")
        conf = self.folder / "slurmdbd.conf"
        with open(os.open(conf, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(DBD.format(folder=self.folder, port=FIRST + 1, database=self.database, word=word))
        self.keep_account()
        for line in WHO.strip().splitlines():
            run("sacctmgr", "-i", *line.split())

    def keep_account(self) -> None:
        """Start slurmdbd, which reads its settings from beside slurm.conf."""
        self.daemons.start("slurmdbd", ["slurmdbd", "-D"])
        wait_for(lambda: "Cluster" in run("sacctmgr", "list", "cluster", check=False), "slurmdbd", 60)

    def has_account_of(self, job: str) -> bool:
        """Whether accounting has heard of the end of a job; the controller tells it a second or two later."""
        done = run("sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={job}", "--format=State")
        return done.strip() in ("COMPLETED", "FAILED")

    def last_of(self, name: str) -> str:
        """The number of the last job of this name."""
        return run("squeue", "-h", "--states=all", f"--name={name}", "--format=%A").split()[-1]

    def forget(self) -> None:
        """Start another controller that knows no job."""
        self.daemons.kill("slurmctld")
        for path in (self.folder / "state").glob("job_state*"):
            path.unlink()
        self.control()
        wait_for(lambda: self.usable() >= self.nodes, "the nodes")
