import json
from pathlib import Path

import pytest

from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError
from mlops_core.records import StackRef
from mlops_core.stack import compose, locate
from tests.unit.stack.conftest import Configure

TEXT = "version: 1\nregistry: {use: 'backends.py:Store', url: '${STORE}'}\n"


def test_a_reference_holds_names_and_unresolved_text(configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE", "hunter2")
    configure(TEXT)
    configure("tenant: big\n", "mlops.big.yaml")
    stack = locate(profile="big", tenant="other")
    _ = stack.parts.registry
    ref = stack.ref("training")
    assert (ref.root, ref.tenant, ref.profile, ref.pipeline) == (str(tmp_path), "other", "big", "training")
    assert ref.config == {"documents": [["mlops.yaml", TEXT], ["mlops.big.yaml", "tenant: big\n"]]}
    assert "hunter2" not in json.dumps(ref.to_dict())
    assert StackRef.from_dict(json.loads(json.dumps(ref.to_dict()))) == ref


def test_settings_made_in_python_cross_as_values(tmp_path: Path) -> None:
    settings = Settings(channels={"ops": Use("log", {"level": "error"})})
    assert compose(settings, tmp_path).ref().config == {"settings": settings.to_dict()}


def test_an_object_in_the_settings_cannot_cross(tmp_path: Path) -> None:
    settings = Settings(channels={"ops": Use("log", {"level": object()})})
    with pytest.raises(ConfigError, match="the settings hold an object that cannot be written down for another process"):
        compose(settings, tmp_path).ref()


def test_a_part_that_lives_in_this_process_cannot_cross(tmp_path: Path) -> None:
    settings = Settings(registry=Use("mlops_core.testing.memory_registry:MemoryRegistry", key="registry"))
    with pytest.raises(
        ConfigError, match=r"another process cannot compose registry: .*MemoryRegistry keeps its state in this process - use"
    ):
        compose(settings, tmp_path).ref()
