"""Drift tests of a whole table: maximum mean discrepancies and a classifier two-sample test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl
from mlops_drift_mmd.aggregated import AggregatedDiscrepancy
from mlops_drift_mmd.classifier import ClassifierTest
from mlops_drift_mmd.fourier import FourierDiscrepancy
from mlops_drift_mmd.fused import FusedDiscrepancy
from mlops_drift_mmd.mean_discrepancy import MaximumMeanDiscrepancy

if TYPE_CHECKING:
    from mlops_core.roles import DriftTest

__all__ = ["AggregatedDiscrepancy", "ClassifierTest", "FourierDiscrepancy", "FusedDiscrepancy", "MaximumMeanDiscrepancy"]


@hookimpl
def mlops_drift_test(name: str) -> type[DriftTest]:
    """Hand over the class of this name."""
    tests: dict[str, type[DriftTest]] = {
        "c2st": ClassifierTest,
        "mmd": MaximumMeanDiscrepancy,
        "mmd_agg": AggregatedDiscrepancy,
        "mmd_fuse": FusedDiscrepancy,
        "mmd_rff": FourierDiscrepancy,
    }
    return tests[name]
