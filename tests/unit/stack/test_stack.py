from pathlib import Path

import pytest

from mlops_core.exceptions import ConfigError, NameRuleError
from mlops_core.stack import Stack
from mlops_core.structure import Secret
from mlops_core.testing.memory_deployer import MemoryDeployer
from mlops_core.testing.stack import make_stack


def test_the_projects_own_files_lie_below_its_root(tmp_path: Path) -> None:
    assert make_stack(tmp_path).workdir == tmp_path / ".mlops"
    assert not (tmp_path / ".mlops").exists()


def test_another_tenant_stands_on_the_same_parts(tmp_path: Path) -> None:
    stack = make_stack(tmp_path)
    other = stack.for_tenant("other")
    assert (stack.tenant, other.tenant) == ("acme", "other")
    assert other.parts is stack.parts
    assert stack.for_tenant(None) is stack
    with pytest.raises(NameRuleError, match=r"tenant: '\.\./x' is not a name"):
        stack.for_tenant("../x")


def environments(tmp_path: Path, *names: str) -> Stack:
    return make_stack(tmp_path, environments={name: MemoryDeployer() for name in names})


def test_an_environment_is_found_by_its_name(tmp_path: Path) -> None:
    stack = environments(tmp_path, "staging", "production")
    assert stack.environment("staging") is stack.parts.environments["staging"]
    with pytest.raises(ConfigError, match=r"no environment 'stage' \(there are: staging, production\) - add it"):
        stack.environment("stage")
    with pytest.raises(ConfigError, match="there are: none"):
        make_stack(tmp_path).environment("prod")


def test_prod_is_production_unless_there_is_a_prod(tmp_path: Path) -> None:
    stack = environments(tmp_path, "production")
    assert stack.environment("prod") is stack.parts.environments["production"]
    both = environments(tmp_path, "production", "prod")
    assert both.environment("prod") is both.parts.environments["prod"]


def test_references_are_resolved_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("t0ken\n", encoding="utf-8")
    found = make_stack(tmp_path).resolve("${file:tokens}")
    assert found == "t0ken"
    assert isinstance(found, Secret)


def test_a_stack_over_instances_cannot_cross(tmp_path: Path) -> None:
    stack = make_stack(tmp_path)
    with pytest.raises(ConfigError, match="another process cannot compose a stack over instances - use the executor 'inline'"):
        stack.ref()
