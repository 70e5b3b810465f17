"""The local backend: jobs on this machine, each under a small supervisor of its own."""

from __future__ import annotations

from mlconsole_local.backend import LocalBackend

__all__ = ["LocalBackend"]
