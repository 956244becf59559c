"""Values to stored bytes and back, by digest and through formats."""

from __future__ import annotations

from mlops_core.artifacts.values import Artifacts

__all__ = ["Artifacts"]
