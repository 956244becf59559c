"""The command line, ``mlops``."""

from __future__ import annotations

from mlops_core.cli.app import main

__all__ = ["main"]
