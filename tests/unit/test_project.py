"""One project: every facade on one stack, closed together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import Project
from mlops_core.exceptions import ConfigError, NameRuleError, PipelineError

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """
version: 1
project: demo
tenant: acme
tracker: "mlops_core.testing.memory_tracker:MemoryTracker"
registry: "mlops_core.testing.memory_registry:MemoryRegistry"
environments: {staging: "mlops_core.testing.memory_deployer:MemoryDeployer"}
monitoring: {sinks: ["mlops_core.testing.memory_sink:MemorySink"]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mlops.yaml").write_text(CONFIGURATION)
    return tmp_path


def test_facades_share_the_stack_and_are_built_once(root: Path) -> None:
    with Project.open(root) as project:
        for name in ("tracker", "versioning", "deployment", "monitoring", "drift"):
            assert getattr(project, name) is getattr(project, name)
            assert getattr(project, name).tenant_id == "acme"
        project.tracker.log_metrics({"a": 1})
        assert project.tracker.get_run(project.tracker.active_run.run_id).metrics == {"a": 1.0}
        assert project.pipeline().name == "demo"
        assert project.pipeline("other").name == "other"


def test_another_tenant(root: Path) -> None:
    with Project.open(root, tenant_id="other") as project:
        assert project.monitoring.tenant_id == "other"
    with pytest.raises(NameRuleError):
        Project.open(root, tenant_id="a b")


def test_a_closed_project_says_so(root: Path) -> None:
    project = Project.open(root)
    project.monitoring.track_prediction("m", 0.1, success=True)
    project.close()
    project.close()
    with pytest.raises(ConfigError, match="project: it is closed - open it again"):
        _ = project.settings


def test_opening_touches_nothing(root: Path) -> None:
    with Project.open(root) as project:
        assert project.settings.project == "demo"
    assert [path.name for path in root.iterdir()] == ["mlops.yaml"]


@pytest.mark.parametrize("wrong", [5, object(), [], b"p"], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_argument_is_told(root: Path, wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"^project: expected a path, got \w+ - name a configuration file or its folder$"):
        Project.open(wrong)
    with pytest.raises(ConfigError, match="there is no mlops"):
        Project.open(root, wrong)
    with pytest.raises(NameRuleError, match="tenant: expected text"):
        Project.open(root, None, wrong)
    with Project.open(root) as project, pytest.raises(PipelineError, match="pipeline: expected text"):
        project.pipeline(wrong)
