import sys
from pathlib import Path

import pytest

from mlops_core.stack.embedded import embedded
from tests.unit.conftest import Strangers


def test_the_default_stack_works_on_this_machine_alone(tmp_path: Path) -> None:
    found = embedded(tmp_path)
    assert [use.use for use in found.trackers] == ["mlflow"]
    assert found.registry is not None
    assert found.registry.use == "sqlite"
    assert {name: one.deployer.use for name, one in found.environments.items()} == {
        "dev": "local",
        "staging": "local",
        "production": "local",
    }
    assert {name: use.use for name, use in found.channels.items()} == {"log": "log"}
    assert [use.use for use in found.monitoring.sinks] == ["sqlite"]
    assert [use.use for use in found.drift.tests] == ["ks", "psi"]
    assert found.pipeline is None


def test_without_plugins_there_is_no_tracker_and_no_test(monkeypatch: pytest.MonkeyPatch, strangers: Strangers, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(strangers.folder)])
    found = embedded(tmp_path)
    assert (found.trackers, found.drift.tests) == ((), ())
    assert found.registry is not None


def test_every_default_says_where_it_would_stand_in_a_file(tmp_path: Path) -> None:
    found = embedded(tmp_path)
    assert found.environments["staging"].deployer.key == "environments.staging"
    assert found.channels["log"].key == "channels.log"


def test_without_mlflow_the_tracker_is_the_embedded_one(monkeypatch: pytest.MonkeyPatch, strangers: Strangers, tmp_path: Path) -> None:
    strangers.distribution("tracker", "1", {"tracker": {"local": "mlops_tracker_local"}})
    monkeypatch.setattr(sys, "path", [str(strangers.folder)])
    assert [use.use for use in embedded(tmp_path).trackers] == ["local"]
