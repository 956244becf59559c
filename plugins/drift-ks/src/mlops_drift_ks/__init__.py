"""Drift tests that compare two empirical distribution functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.hookspecs import hookimpl
from mlops_drift_ks.cramer_von_mises import CramerVonMises
from mlops_drift_ks.energy import Energy
from mlops_drift_ks.kolmogorov_smirnov import KolmogorovSmirnov
from mlops_drift_ks.wasserstein import Wasserstein

if TYPE_CHECKING:
    from mlops_core.roles import DriftTest

__all__ = ["CramerVonMises", "Energy", "KolmogorovSmirnov", "Wasserstein"]

_TESTS: Final[dict[str, type[DriftTest]]] = {
    "cvm": CramerVonMises,
    "energy": Energy,
    "ks": KolmogorovSmirnov,
    "wasserstein": Wasserstein,
}


@hookimpl
def mlops_drift_test(name: str) -> type[DriftTest]:
    """Hand over the class of this name."""
    return _TESTS[name]
