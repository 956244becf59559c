"""Population stability index, decided by its null distribution."""

from __future__ import annotations

from mlops_core.hookspecs import hookimpl
from mlops_drift_psi.stability import PopulationStability

__all__ = ["PopulationStability"]


@hookimpl
def mlops_drift_test() -> type[PopulationStability]:
    """Hand over the class."""
    return PopulationStability
