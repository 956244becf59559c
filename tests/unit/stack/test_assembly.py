from pathlib import Path
from typing import Any

import pytest

from mlops_core.config.origin import Origin
from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError, PluginError, PluginNotFoundError
from mlops_core.plugins import Loader
from mlops_core.secrecy import mask
from mlops_core.stack.assembly import Assembly
from tests.unit.stack.conftest import Configure


@pytest.fixture
def assembly(tmp_path: Path, configure: Configure) -> Assembly:
    return Assembly(Loader(tmp_path), tmp_path, Origin())


def store(**options: Any) -> Use:
    return Use("backends.py:Store", options, "registry", "mlops.yaml:2:5")


def test_a_backend_is_built_of_its_options(assembly: Assembly) -> None:
    built: Any = assembly.build("registry", store(url="u", port=3))
    assert (built.url, built.port) == ("u", 3)


def test_paths_begin_at_the_root(assembly: Assembly, tmp_path: Path) -> None:
    built: Any = assembly.build("registry", Use("sqlite", {"path": "deep/registry.db"}))
    assert built.path == tmp_path / "deep" / "registry.db"
    default: Any = assembly.build("registry", Use("sqlite"))
    assert default.path == tmp_path / ".mlops" / "registry.db"
    assert list(tmp_path.glob("**/*.db")) == []


def test_mistakes_stand_where_the_plugin_is_named_if_nothing_more_is_known(assembly: Assembly) -> None:
    with pytest.raises(ConfigError, match=r"^mlops\.yaml:2:5: registry: unknown key 'prot' - did you mean 'port'\?$"):
        assembly.build("registry", store(prot=1))
    with pytest.raises(ConfigError, match=r"^registry\.backends\.py:Store\.port: expected a whole number"):
        assembly.build("registry", Use("backends.py:Store", {"port": "x"}))


def test_keys_of_the_core_are_suggested_for_a_stage(assembly: Assembly) -> None:
    with pytest.raises(ConfigError) as caught:
        assembly.build("stage", Use("backends.py:Train", {"retires": 3}, "pipeline.stages.training"))
    assert set(caught.value.problems) == {
        "pipeline.stages.training: unknown key 'retires' - did you mean 'retries'?",
        "pipeline.stages.training: missing key 'depth' - levels",
    }


def test_a_plugin_that_cannot_be_loaded_keeps_its_error(assembly: Assembly) -> None:
    with pytest.raises(PluginNotFoundError, match=r"^mlops\.yaml:1:1: tracker: tracker\.nothing-like-it: "):
        assembly.load("tracker", Use("nothing-like-it", key="tracker", at="mlops.yaml:1:1"))
    with pytest.raises(PluginError, match=r"^tracker 'backends\.py:Store': Store is no Tracker") as caught:
        assembly.load("tracker", Use("backends.py:Store"))
    assert not isinstance(caught.value, PluginNotFoundError)


def test_options_can_be_tried_without_their_secrets(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSET", raising=False)
    assembly.try_options("registry", store(url="${UNSET}", port="${UNSET}"))
    with pytest.raises(ConfigError, match="unknown key 'prot'"):
        assembly.try_options("registry", store(url="${UNSET}", prot=1))
    with pytest.raises(ConfigError, match=r"port: expected a whole number, got '\$\{UNSET\} x'|port"):
        assembly.try_options("registry", store(port="${UNSET:-x}"))


def test_secrets_are_masked_in_messages(assembly: Assembly, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE", "hunter2")
    assembly.build("registry", store(url="${STORE}"))
    assert mask("cannot reach hunter2") == "cannot reach ***"


def test_of_the_default_formats_those_that_are_there_are_used(assembly: Assembly) -> None:
    default = assembly.format_uses(Settings().formats)
    assert [use.use for use in default][:2] == ["json", "npy"]
    assert {use.use for use in default} <= {use.use for use in Settings().formats}
    assert [use.use for use in assembly.format_uses((Use("json"), Use("jsn")))] == ["json", "jsn"]
