"""The SSH backend: jobs on other machines, through the system's OpenSSH."""

from __future__ import annotations

from mlconsole_ssh.backend import SshBackend

__all__ = ["SshBackend"]
