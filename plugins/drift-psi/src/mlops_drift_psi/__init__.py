"""Drift tests that compare the shares of bins or categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.hookspecs import hookimpl
from mlops_drift_psi.homogeneity import ChiSquare
from mlops_drift_psi.jensen_shannon import JensenShannon
from mlops_drift_psi.stability import PopulationStability

if TYPE_CHECKING:
    from mlops_core.roles import DriftTest

__all__ = ["ChiSquare", "JensenShannon", "PopulationStability"]

_TESTS: Final[dict[str, type[DriftTest]]] = {"chi2": ChiSquare, "js": JensenShannon, "psi": PopulationStability}


@hookimpl
def mlops_drift_test(name: str) -> type[DriftTest]:
    """Hand over the class of this name."""
    return _TESTS[name]
