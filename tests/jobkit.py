"""Real jobs for tests: the kit of the promises that backends are held to."""

from __future__ import annotations

from mlconsole.conformance.kit import PYTHON, Broken, Jobs, jobs_of, until

__all__ = ["PYTHON", "Broken", "Jobs", "jobs_of", "until"]
