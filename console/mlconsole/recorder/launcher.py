"""Starts a program as the ranks of one job on this machine, with the environment that torchrun gives.

Runs alone as a script, on the console's own interpreter: ``python launcher.py N PROGRAM ...``. Each line of a rank
goes to standard output behind ``[rank] ``. When a rank fails the others are asked to end, and the job ends as it did.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Optional

GRACE_S = 10.0
LAST_WORDS_S = 1.0
LONGEST_LINE = 1 << 16


def environment_of(rank: int, count: int, port: int) -> dict[str, str]:
    """What torchrun tells a rank of a job on one machine (torch.distributed.run, "Environment Variables")."""
    run, attempt = os.environ.get("MLCONSOLE_RUN_ID", "none"), os.environ.get("MLCONSOLE_ATTEMPT", "1")
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    numbers.update({"GROUP_RANK": 0, "GROUP_WORLD_SIZE": 1, "ROLE_RANK": rank, "ROLE_WORLD_SIZE": count})
    numbers.update({"MASTER_PORT": port, "TORCHELASTIC_MAX_RESTARTS": 0, "TORCHELASTIC_RESTART_COUNT": 0})
    words = {name: str(number) for name, number in numbers.items()}
    words.update({"MASTER_ADDR": "127.0.0.1", "ROLE_NAME": "default", "TORCHELASTIC_RUN_ID": run + "." + attempt})
    if count > 1 and "OMP_NUM_THREADS" not in os.environ:
        words["OMP_NUM_THREADS"] = "1"
    return dict(os.environ, **words)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on just now; rank 0 takes it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ranks:
    """The processes of one job."""

    def __init__(self, argv: list[str], count: int) -> None:
        port = free_port()
        self.began: list[subprocess.Popen[bytes]] = []
        self.readers: list[threading.Thread] = []
        self.told = False
        self.lock = threading.Lock()
        for rank in range(count):
            process = subprocess.Popen(
                argv,
                env=environment_of(rank, count, port),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            self.began.append(process)
            reader = threading.Thread(target=self.copy, args=(rank, process), daemon=True)
            reader.start()
            self.readers.append(reader)

    def copy(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        """Write what a rank prints, whole lines behind its number."""
        mark = b"[%d] " % rank
        assert process.stdout is not None
        for line in iter(lambda: process.stdout.readline(LONGEST_LINE), b""):  # type: ignore[union-attr]
            with self.lock:
                write(mark + line + (b"" if line.endswith(b"\n") else b"\n"))

    def tell(self, signo: int) -> None:
        """Pass a signal on to every rank that lives, and to what it has started."""
        for process in self.began:
            if process.poll() is None:
                os.killpg(process.pid, signo)

    def wait(self) -> int:
        """The end of the job: 0, or the code of the rank that failed first, 128 + N for a signal."""
        first: Optional[int] = None
        until = 0.0
        while None in [process.poll() for process in self.began]:
            failed = [(rank, each.returncode) for rank, each in enumerate(self.began) if each.returncode]
            if failed and first is None:
                first = self.end(*failed[0])
                until = time.monotonic() + GRACE_S
            if first is not None and time.monotonic() > until:
                self.tell(signal.SIGKILL)
            time.sleep(0.05)
        until = time.monotonic() + LAST_WORDS_S
        for reader in self.readers:
            reader.join(max(0.0, until - time.monotonic()))
        codes = [process.returncode for process in self.began if process.returncode]
        code = first if first is not None else (codes or [0])[0]
        return 128 - code if code < 0 else code

    def end(self, rank: int, code: int) -> int:
        """Ask the other ranks to end, because one has failed."""
        how = "was killed by signal %d" % -code if code < 0 else "ended with exit code %d" % code
        with self.lock:
            write(("mlconsole: rank %d %s; the others are asked to end\n" % (rank, how)).encode())
        self.tell(signal.SIGTERM)
        return code


def write(data: bytes) -> None:
    """Write all of it."""
    while data:
        data = data[os.write(1, data) :]


def main() -> int:
    """Start the ranks and wait for them."""
    count, argv = int(sys.argv[1]), sys.argv[2:]
    try:
        ranks = Ranks(argv, count)
    except OSError as error:
        write(('mlconsole: cannot start "%s": %s\n' % (argv[0], error.strerror)).encode("utf-8", "surrogateescape"))
        return 127
    # What the job is told, every rank is told: a stop, or the warning before a time limit.
    for signo in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        signal.signal(signo, lambda number, frame: ranks.tell(number))
    # A stop reaches every process of the job by itself; this one waits for the others.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return ranks.wait()


if __name__ == "__main__":
    sys.exit(main())
