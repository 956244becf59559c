"""The factory functions make the facades of the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import DriftDetector, ExperimentTracker, MLOpsPipeline, ModelDeployment, ModelMonitoring, ModelVersioning, functions
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("create_mlops_pipeline", ("p",), MLOpsPipeline),
        ("create_experiment_tracker", (), ExperimentTracker),
        ("create_model_versioning", (), ModelVersioning),
        ("create_model_deployment", (), ModelDeployment),
        ("create_model_monitoring", (), ModelMonitoring),
        ("create_drift_detector", (), DriftDetector),
    ],
)
def test_each_makes_its_facade_for_a_tenant(tmp_path: Path, name: str, arguments: tuple[str, ...], kind: type) -> None:
    stack = make_stack(tmp_path, registry=MemoryRegistry())
    made: Any = getattr(functions, name)(*arguments, tenant_id="tenant_123", stack=stack)
    assert made.tenant_id == "tenant_123"
    assert type(made) is kind
    assert name in functions.__all__


def test_a_database_and_tests_by_name(tmp_path: Path) -> None:
    store = MemoryRegistry()
    versioning = functions.create_model_versioning(store, tenant_id="a", stack=make_stack(tmp_path))
    assert versioning.models() == ()
    detector = functions.create_drift_detector("a", ["ks"], stack=make_stack(tmp_path))
    assert detector.tenant_id == "a"
