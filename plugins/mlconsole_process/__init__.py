"""The process target: a release's serving command on this machine, the next one started before the old one stops."""

from __future__ import annotations

from mlconsole_process.target import ProcessTarget

__all__ = ["ProcessTarget"]
