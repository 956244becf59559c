"""Drift tests of a whole table: maximum mean discrepancy and a classifier two-sample test."""

from __future__ import annotations

from mlops_core.hookspecs import hookimpl
from mlops_drift_mmd.mean_discrepancy import MaximumMeanDiscrepancy

__all__ = ["MaximumMeanDiscrepancy"]


@hookimpl
def mlops_drift_test(name: str) -> type[MaximumMeanDiscrepancy]:
    """Hand over the class of this name."""
    return {"mmd": MaximumMeanDiscrepancy}[name]
