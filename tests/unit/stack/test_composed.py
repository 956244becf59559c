import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError, PluginError, PluginNotFoundError
from mlops_core.plugins import Loader
from mlops_core.secrecy import mask
from mlops_core.stack import Stack, compose, locate
from mlops_core.stack.composed import ComposedParts, named_uses
from mlops_core.stack.sealed import SealGuard
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.memory_tracker import MemoryTracker
from tests.unit.stack.conftest import Calls, Configure

WHOLE = """
    version: 1
    tracker: ["backends.py:Tracks", "backends.py:Blind"]
    registry: {use: "backends.py:Store", url: "${STORE:-y}"}
    environments: {staging: {use: "backends.py:Deploys", port: 1}, production: {use: "backends.py:Deploys", port: 2}}
    channels: {ops: log}
    monitoring: {sinks: "backends.py:Sinks"}
    drift: {tests: [{use: "backends.py:Energy", bins: 5}, {use: "backends.py:Energy", bins: 7}]}
    formats: [npy, {use: joblib, compress: 1}, json]
    observers: ["backends.py:Listens"]
    executor: "backends.py:Away"
    pipeline:
      stages:
        training: {use: "backends.py:Train", depth: 3, rate: 0.25}
        validation: {}
"""


def test_parts_keep_the_names_and_the_order_of_the_configuration(configure: Configure) -> None:
    configure(WHOLE)
    parts = locate().parts
    assert list(parts.trackers) == ["Tracks", "Blind"]
    assert list(parts.environments) == ["staging", "production"]
    assert list(parts.channels) == ["ops"]
    assert list(parts.sinks) == ["Sinks"]
    assert list(parts.drift_tests) == ["Energy", "Energy-2"]
    assert list(parts.formats) == ["npy", "joblib", "json"]


def test_a_second_part_of_a_name_gets_a_number() -> None:
    uses = (Use("a"), Use("a-2"), Use("a"), Use("m:a"), Use("./f.py:B"))
    assert list(named_uses(uses)) == ["a", "a-2", "a-3", "a-4", "B"]


def test_options_reach_the_backend(configure: Configure) -> None:
    configure(WHOLE)
    parts: Any = locate().parts
    assert parts.registry.url == "y"
    assert [one.port for one in parts.environments.values()] == [1, 2]
    assert parts.formats["joblib"].compress == 1
    assert [one.bins for one in parts.drift_tests.values()] == [5, 7]
    assert parts.stage("training").run(None, "data") == ("data", 3, 0.25)
    assert type(parts.executor("backends.py:Away")).__name__ == "Away"
    assert type(parts.executor("inline")).__name__ == "InlineExecutor"


def test_composing_and_listing_builds_nothing(configure: Configure, calls: Calls) -> None:
    configure(WHOLE)
    stack = locate()
    for part in (stack.parts.trackers, stack.parts.environments, stack.parts.sinks, stack.parts.drift_tests):
        assert len(part) > 0
    assert calls(stack) == []


def test_a_backend_is_built_at_its_first_use_and_once(configure: Configure, calls: Calls) -> None:
    configure(WHOLE)
    stack = locate()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(stack.parts.registry)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1
    assert stack.parts.trackers["Tracks"] is stack.parts.trackers["Tracks"]
    assert [name for name, what, _ in calls(stack) if what == "built"] == ["Store", "Tracks"]


def test_a_drift_test_that_is_not_configured_is_loaded_with_its_defaults(configure: Configure) -> None:
    configure(WHOLE)
    parts: Any = locate().parts
    assert parts.drift_test("Energy") is parts.drift_tests["Energy"]
    assert parts.drift_test("backends.py:Energy").bins == 10
    with pytest.raises(PluginNotFoundError, match=r"drift test nothing-like-it: drift\.nothing-like-it: no installed"):
        parts.drift_test("nothing-like-it")


def test_names_that_are_not_composed_are_told(configure: Configure) -> None:
    configure(WHOLE)
    parts = locate().parts
    with pytest.raises(ConfigError, match="environments: nothing is called 'stagin' - did you mean 'staging'"):
        parts.environments["stagin"]
    with pytest.raises(ConfigError, match=r"pipeline\.stages: no stage is called 'trainin' - did you mean 'training'"):
        parts.stage("trainin")
    with pytest.raises(ConfigError, match=r"pipeline\.stages\.validation: names no plugin - add 'use'"):
        parts.stage("validation")


def test_without_a_registry_asking_for_it_says_so(tmp_path: Any) -> None:
    parts = compose(Settings(), tmp_path).parts
    with pytest.raises(ConfigError, match="registry: the configuration names none - add 'registry: sqlite'"):
        _ = parts.registry
    with pytest.raises(ConfigError, match="no stage is called 'x' - there are: none"):
        parts.stage("x")


def test_of_the_default_formats_those_that_are_installed_are_composed(tmp_path: Any) -> None:
    default = list(compose(Settings(), tmp_path).parts.formats)
    assert default[:2] == ["json", "npy"]
    with pytest.raises(PluginNotFoundError, match=r"formats: format\.jsn: .* did you mean 'json'"):
        compose(Settings(formats=(Use("jsn"),)), tmp_path).parts.formats["jsn"]


def test_an_inline_format_goes_by_the_name_that_stored_values_carry(tmp_path: Any) -> None:
    uses = (Use("mlops_core.builtin.npy_format:NpyFormat"), Use("json"))
    parts = compose(Settings(formats=uses), tmp_path).parts
    assert list(parts.formats) == ["npy", "json"]
    assert type(parts.formats["npy"]).__name__ == "NpyFormat"
    with pytest.raises(ConfigError, match="formats: the format 'npy' is there already - name it once, with its options"):
        _ = compose(Settings(formats=(*uses, Use("npy"))), tmp_path).parts.formats


def test_a_mistake_in_an_option_points_to_the_file(configure: Configure) -> None:
    configure("version: 1\nregistry:\n  use: backends.py:Store\n  prot: 1\n  url: [1]\n")
    parts = locate().parts
    with pytest.raises(ConfigError) as caught:
        _ = parts.registry
    assert caught.value.problems == (
        "mlops.yaml:4:3: registry: unknown key 'prot' - did you mean 'port'?",
        "mlops.yaml:5:8: registry.url: expected text, got a list",
    )


def test_a_plugin_that_cannot_be_loaded_points_to_the_file(configure: Configure) -> None:
    configure("version: 1\nregistry: sqlit\nchannels: {ops: {use: backends.py:Store}}\n")
    parts = locate().parts
    with pytest.raises(PluginNotFoundError, match=r"^mlops\.yaml:2:11: registry: registry\.sqlit: .* did you mean 'sqlite'"):
        _ = parts.registry
    with pytest.raises(PluginError, match=r"^mlops\.yaml:3:23: channels\.ops: alert 'backends\.py:Store': Store is no AlertChannel"):
        _ = parts.channels["ops"]


PREPARED = """
from attrs import define
from mlops_core.exceptions import PluginError
from mlops_core.testing.memory_tracker import MemoryTracker

PREPARED = []

@define(eq=False)
class Slow(MemoryTracker):
    contract = 1

    def prepare(self):
        PREPARED.append(self)

@define(eq=False)
class Torn(MemoryTracker):
    contract = 1

    def prepare(self):
        raise PluginError("tracker torn: half of it is missing")

@define(eq=False)
class Bad(MemoryTracker):
    contract = 1

    def prepare(self):
        raise AttributeError("partially\\ninitialized")
"""


def test_trackers_are_prepared_before_anything_runs(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(PREPARED)
    configure('{version: 1, tracker: "slow:Slow"}')
    parts = locate().parts
    assert len(parts.trackers) == 1
    tracker = parts.trackers["Slow"]
    prepared = sys.modules["slow"].PREPARED
    assert prepared == []
    parts.prepare()
    assert prepared == [tracker]


@pytest.mark.parametrize(
    ("name", "said"),
    [("Torn", "^tracker torn: half of it is missing$"), ("Bad", r"^tracker\.Bad: cannot be used: AttributeError: partially initialized$")],
)
def test_a_tracker_that_cannot_be_prepared_is_one_line(configure: Configure, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "slow.py").write_text(PREPARED)
    configure(f'{{version: 1, tracker: "slow:{name}"}}')
    with pytest.raises(PluginError, match=said):
        locate().parts.prepare()


def test_a_secret_is_shown_nowhere(configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("STORE", "pg://user:hunter2@host")
    (tmp_path / "key").write_text("sesame-42\n", encoding="utf-8")
    configure(
        """
        version: 1
        registry: {use: "backends.py:Store", url: "${STORE}"}
        environments: {staging: {use: "backends.py:Deploys", port: "${file:key}"}}
        """
    )
    stack = locate()
    store: Any = stack.parts.registry
    assert store.url == "pg://user:hunter2@host"
    with pytest.raises(ConfigError, match=r"staging\.port: expected a whole number, got \*\*\*") as caught:
        _ = stack.parts.environments["staging"]
    told = [repr(store), repr(stack), repr(stack.settings), str(caught.value), mask(f"no answer from {store.url}")]
    assert not any("hunter2" in text or "sesame" in text for text in told)
    assert mask("no answer from pg://user:hunter2@host") == "no answer from ***"


def test_a_secret_is_read_when_the_backend_is_built_and_not_before(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure('version: 1\nregistry: {use: "backends.py:Store", url: "${STORE}"}\n')
    stack = locate()
    with pytest.raises(ConfigError, match=r"^mlops\.yaml:2:17: registry: \$\{STORE\}: the variable is not set"):
        _ = stack.parts.registry
    monkeypatch.setenv("STORE", "now")
    store: Any = stack.parts.registry
    assert store.url == "now"


def test_a_part_that_keeps_its_state_in_this_process_is_named(configure: Configure) -> None:
    configure(WHOLE)
    assert locate().parts.unportable() is None
    configure(
        """
        registry: {use: "mlops_core.testing.memory_registry:MemoryRegistry"}
        """,
        "mlops.memory.yaml",
    )
    found = locate(profile="memory").parts.unportable()
    assert found == "registry: mlops_core.testing.memory_registry:MemoryRegistry keeps its state in this process"


def test_an_overlay_puts_memory_in_place_of_every_store(configure: Configure) -> None:
    configure("version: 1\nregistry: {use: sqlite, path: x.db}\n")
    configure(
        """
        tracker: mlops_core.testing.memory_tracker:MemoryTracker
        registry: mlops_core.testing.memory_registry:MemoryRegistry
        environments: {staging: {use: "mlops_core.testing.memory_deployer:MemoryDeployer", seed: 3}}
        monitoring: {sinks: ["mlops_core.testing.memory_sink:MemorySink"]}
        """,
        "mlops.memory.yaml",
    )
    parts = locate(profile="memory").parts
    assert isinstance(parts.trackers["MemoryTracker"], MemoryTracker)
    assert isinstance(parts.registry, SealGuard)
    assert isinstance(parts.registry.store, MemoryRegistry)
    assert isinstance(parts.sinks["MemorySink"], MemorySink)
    deployer: Any = parts.environments["staging"]
    assert deployer.seed == 3


def test_every_plugin_that_is_named_is_listed(configure: Configure) -> None:
    configure(WHOLE)
    parts = locate().parts
    assert isinstance(parts, ComposedParts)
    assert [f"{role} {use.use.rpartition(':')[2]}" for role, use in parts.uses()] == [
        "tracker Tracks",
        "tracker Blind",
        "registry Store",
        "deployer Deploys",
        "deployer Deploys",
        "alert log",
        "sink Sinks",
        "drift Energy",
        "drift Energy",
        "observer Listens",
        "stage Train",
    ]


def closed(calls: list[Any]) -> list[str]:
    return [name for name, what, *_ in calls if what == "closed"]


def test_closing_closes_what_was_built_and_may_be_repeated(configure: Configure, calls: Calls) -> None:
    configure(WHOLE)
    stack = locate()
    _ = stack.parts.registry, stack.parts.trackers["Tracks"]
    stack.parts.close()
    assert closed(calls(stack)) == ["Tracks", "Store"]
    stack.parts.close()
    assert stack.parts.registry is stack.parts.registry


def test_a_stack_closes_when_the_last_who_holds_it_lets_go(configure: Configure, calls: Calls) -> None:
    configure(WHOLE)
    first, log = locate(), calls(locate())
    second: Stack | None = locate(tenant="other")
    _ = first.parts.registry
    del first
    gc.collect()
    assert closed(log) == []
    del second
    gc.collect()
    assert closed(log) == ["Store"]


def test_a_forked_child_composes_its_own_and_closes_only_that(configure: Configure, calls: Calls) -> None:
    configure(WHOLE)
    stack, parent = locate(), os.getpid()
    _ = stack.parts.registry
    log = calls(stack)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _ = stack.parts.registry
        stack.parts.close()
        os.write(writer, repr([(name, what, pid == parent) for name, what, pid in log]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert answer.read() == repr([("Store", "built", True), ("Store", "built", False), ("Store", "closed", False)])
    os.waitpid(child, 0)
    assert log == [("Store", "built", parent)]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_lock_of_its_parents_threads(configure: Configure) -> None:
    configure('version: 1\ntracker: "backends.py:Slow"\nregistry: {use: "backends.py:Store"}\n')
    stack = locate()
    module = vars(sys.modules[Loader(stack.root).load("tracker", "backends.py:Slow").cls.__module__])
    thread = threading.Thread(target=lambda: stack.parts.trackers["Slow"])
    thread.start()
    module["INSIDE"].wait()
    child = os.fork()
    if child == 0:
        _ = stack.parts.registry
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    module["LEAVE"].set()
    thread.join()
