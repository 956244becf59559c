"""Model versions, their lineage and their aliases."""

from __future__ import annotations

from mlops_core.versioning.aliases import Alias
from mlops_core.versioning.comparing import Compared
from mlops_core.versioning.diff import Change, VersionDiff
from mlops_core.versioning.lineage import Lineage, LineageNode
from mlops_core.versioning.sealing import copy_registry, move_registry, seal, unseal
from mlops_core.versioning.sweeping import sweep
from mlops_core.versioning.versioning import ModelVersioning

__all__ = [
    "Alias",
    "Change",
    "Compared",
    "Lineage",
    "LineageNode",
    "ModelVersioning",
    "VersionDiff",
    "copy_registry",
    "move_registry",
    "seal",
    "sweep",
    "unseal",
]
