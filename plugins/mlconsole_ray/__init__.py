"""The Ray backend: jobs of a cluster, through its Jobs REST API."""

from __future__ import annotations

from mlconsole_ray.backend import RayBackend

__all__ = ["RayBackend"]
