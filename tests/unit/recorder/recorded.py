"""Runs training scripts as a launched program would be run, and reads what they recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from mlconsole.recorder.format import Damage, Reader, Series

RUN_ID = "0123456789ab"


@dataclass
class Log:
    """One log file, decoded."""

    path: Path
    events: list[dict[str, object]]
    series: dict[str, Series]
    damage: list[Damage]

    @property
    def run_id(self) -> str:
        return self.path.parent.parent.name

    def of(self, kind: str) -> list[dict[str, object]]:
        return [event for event in self.events if event["e"] == kind]

    def last(self, kind: str) -> dict[str, object]:
        return self.of(kind)[-1]

    def values(self, key: str) -> list[float]:
        return list(self.series[key].values) if key in self.series else []

    def steps(self, key: str) -> list[int]:
        return list(self.series[key].steps)


def read_log(path: Path) -> Log:
    batch = Reader().read(path.read_bytes(), 0, final=True)
    return Log(path, [event for _, event in batch.events], batch.series, batch.damage)


def read_logs(home: Path) -> list[Log]:
    """All logs, in the order their processes opened them."""
    logs = [read_log(path) for path in (home / "runs").glob("*/log/*.mlog")]
    return sorted(logs, key=lambda log: float(str(log.events[0]["t"])))


@dataclass
class Trainer:
    """Runs scripts that find the recorder in the bundle and nothing else of ours."""

    home: Path
    work: Path
    bundle: str
    environ: dict[str, str] = field(default_factory=dict)
    executable: str = sys.executable

    def command(self, code: str, *arguments: str) -> list[str]:
        script = self.work / "train.py"
        script.write_text(textwrap.dedent(code))
        return [self.executable, "-W", "error", str(script), *arguments]

    def environment(self) -> dict[str, str]:
        base = {"PATH": os.environ["PATH"], "HOME": str(self.work), "PYTHONPATH": self.bundle}
        return {**base, "MLCONSOLE_HOME": str(self.home), **self.environ}

    def run(self, code: str, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a script to its end and check its exit status."""
        done = subprocess.run(
            self.command(code, *arguments),
            env=self.environment(),
            cwd=self.work,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done

    def start(self, code: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a script whose output the test reads."""
        return subprocess.Popen(
            self.command(code, *arguments), env=self.environment(), cwd=self.work, stdout=subprocess.PIPE
        )

    def logs(self) -> list[Log]:
        return read_logs(self.home)

    def log(self) -> Log:
        """The one log there is."""
        (only,) = self.logs()
        return only

    def markers(self) -> list[dict[str, object]]:
        return [json.loads(path.read_text()) for path in sorted((self.home / "live").iterdir())]
