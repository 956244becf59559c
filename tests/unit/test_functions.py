"""The factory functions make the facades of the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import DriftDetector, ExperimentTracker, MLOpsPipeline, ModelDeployment, ModelMonitoring, ModelVersioning, functions
from mlops_core.exceptions import MLOpsError
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack

if TYPE_CHECKING:
    from collections.abc import Callable
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


@pytest.mark.parametrize("wrong", [5, object(), [], b"p"], ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("name", functions.__all__)
def test_what_is_no_argument_is_told_in_the_class_of_the_facade(name: str, wrong: Any) -> None:
    make: Any = getattr(functions, name)
    first: tuple[str, ...] = ("p",) if name == "create_mlops_pipeline" else ()
    calls: list[Callable[[], Any]] = [lambda: make(*first, stack=wrong).tenant_id, lambda: make(*first, tenant_id=wrong).tenant_id]
    if name in {"create_mlops_pipeline", "create_experiment_tracker", "create_model_versioning"}:
        calls.append(lambda: make(wrong))
    for call in calls:
        with pytest.raises(MLOpsError, match=r"(expected|cannot use) .*- give") as caught:
            call()
        assert "\n" not in caught.value.message
        assert type(caught.value).__module__ == "mlops_core.exceptions"
        assert type(caught.value) is not MLOpsError
