"""The Slurm backend: jobs of a cluster, through its commands or its REST daemon."""

from __future__ import annotations

from mlconsole_slurm.backend import SlurmBackend

__all__ = ["SlurmBackend"]
