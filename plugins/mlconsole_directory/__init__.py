"""The directory target: releases laid out in folders, and one link that any server can watch."""

from __future__ import annotations

from mlconsole_directory.target import DirectoryTarget

__all__ = ["DirectoryTarget"]
