"""Two-sample Kolmogorov-Smirnov drift test."""

from __future__ import annotations

from mlops_core.hookspecs import hookimpl
from mlops_drift_ks.kolmogorov_smirnov import KolmogorovSmirnov

__all__ = ["KolmogorovSmirnov"]


@hookimpl
def mlops_drift_test() -> type[KolmogorovSmirnov]:
    """Hand over the class."""
    return KolmogorovSmirnov
