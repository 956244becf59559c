import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import RunStarted
from mlops_core.roles import Deployer
from mlops_core.stack import Stack, check, locate
from tests.unit.conftest import Strangers
from tests.unit.stack.conftest import Configure

SOUND = """
    version: 1
    tracker: backends.py:Tracks
    registry: {use: "backends.py:Store", url: "${STORE}"}
    environments: {staging: {use: "backends.py:Deploys", port: 1}}
    channels: {ops: log}
    monitoring: {sinks: "backends.py:Sinks", alerts: [{name: e, when: error_rate > 1%, notify: [ops]}]}
    drift: {tests: "backends.py:Energy"}
    formats: [json, npy]
    models: {trust: [joblib]}
    observers: ["backends.py:Listens"]
    executor: process
    pipeline:
      stages:
        training: {use: "backends.py:Train", depth: 3, timeout: 5m}
        validation: {require: {}}
"""


def test_a_sound_configuration_has_no_mistakes(configure: Configure) -> None:
    configure(SOUND)
    assert check() == []


def test_the_default_stack_is_sound() -> None:
    assert check() == []


def test_the_stores_of_this_machine_can_be_reached(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("version: 1\ntracker: []\n", encoding="utf-8")
    assert check(connect=True) == []


def test_mistakes_of_the_file_of_options_and_of_names_are_shown_at_once(configure: Configure, strangers: Strangers) -> None:
    strangers.plugin("observer", "bomb", "raise RuntimeError('boom')")
    configure(
        """
        version: 1
        tracler: x
        tracker: {use: "backends.py:Tracks", trackng: 1}
        registry: {use: "backends.py:Store", port: "${PORT:-x}"}
        environments: {staging: {use: lokal}, production: {use: "backends.py:Deploys", port: "8802"}}
        channels: {ops: {use: log, level: loud}}
        monitoring: {sinks: [sqlite, sqlit], alerts: [{name: e, when: error_rat > 1, notify: [opps]}]}
        drift: {tests: ["backends.py:Energ"], alpha: 7}
        formats: [json, npi, {use: joblib, compres: 1}, npi]
        models: {trust: [jobli]}
        observers: [bomb, "gone.py:X"]
        executor: proces
        pipeline:
          stages:
            training: {use: "backends.py:Train", retires: 3, timeout: 5, executor: inlin}
        """
    )
    assert check() == [
        "mlops.yaml:2:1: unknown key 'tracler' - did you mean 'tracker'?",
        "mlops.yaml:3:38: tracker: unknown key 'trackng' - there are: use",
        "mlops.yaml:4:44: registry.port: expected a whole number, got ***",
        "mlops.yaml:5:31: environments.staging: deployer.lokal: no installed distribution offers this plugin - did you mean 'local'?",
        "mlops.yaml:5:86: environments.production.port: expected a whole number, got '8802' - remove the quotes",
        'mlops.yaml:6:35: channels.ops.level: expected "info" | "warning" | "error" | "critical", got \'loud\'',
        "mlops.yaml:7:30: monitoring.sinks[1]: sink.sqlit: no installed distribution offers this plugin - did you mean 'sqlite'?",
        "mlops.yaml:7:63: monitoring.alerts[0].when: unknown metric 'error_rat' - did you mean 'error_rate'?",
        "mlops.yaml:8:17: drift.tests[0]: drift 'backends.py:Energ': backends.py has no 'Energ' - did you mean 'Energy'?",
        (
            "mlops.yaml:8:46: drift.alpha: expected a share between 0% and 100%, got 7 - write it as a percentage or a fraction, "
            "such as 5% or 0.05"
        ),
        "mlops.yaml:9:17: formats[1]: format.npi: no installed distribution offers this plugin - did you mean 'npy'?",
        "mlops.yaml:9:36: formats[2]: unknown key 'compres' - did you mean 'compress'?",
        "mlops.yaml:9:49: formats[3]: format.npi: no installed distribution offers this plugin - did you mean 'npy'?",
        "mlops.yaml:9:49: formats[3]: the format 'npi' is there already - name it once, with its options",
        "mlops.yaml:10:18: models.trust[0]: there is no format 'jobli' - did you mean 'joblib'?",
        "mlops.yaml:11:13: observers[0]: observer.bomb (acme-extras 1.2): raises at import: RuntimeError: boom",
        (
            "mlops.yaml:11:19: observers[1]: observer 'gone.py:X': there is no file gone.py beside the configuration - "
            "correct the path in 'use'"
        ),
        "mlops.yaml:12:11: executor: executor.proces: no installed distribution offers this plugin - did you mean 'process'?",
        "mlops.yaml:15:15: pipeline.stages.training: missing key 'depth' - levels",
        "mlops.yaml:15:42: pipeline.stages.training: unknown key 'retires' - did you mean 'retries'?",
        "mlops.yaml:15:63: pipeline.stages.training.timeout: expected a duration, got 5 - give it a unit: 5s or 5m",
        (
            "mlops.yaml:15:76: pipeline.stages.training.executor: executor.inlin: no installed distribution offers this plugin - "
            "did you mean 'inline'?"
        ),
    ]


AUDIT = """
    from attrs import define
    from mlops_core.hookspecs import hookimpl
    from mlops_core.roles import Observer

    HEARD = []

    @define(eq=False)
    class Audit(Observer):
        contract = 1

        @hookimpl
        def run_started(self, event):
            HEARD.append(event.run_id)

    @hookimpl
    def mlops_observer():
        return Audit
"""
ASKED_TOO_MUCH = {
    "a timeout where nothing can kill": (
        "executor: inline\npipeline: {stages: {a: {use: 'backends.py:Train', depth: 1, timeout: 5m}}}\n",
        (
            "mlops.yaml:3:70: pipeline.stages.a.timeout: the executor 'inline' cannot end a stage that hangs - use one that can, such as "
            "'executor: process'"
        ),
    ),
    "a timeout under a stage's own executor": (
        "executor: process\npipeline: {stages: {a: {use: 'backends.py:Train', depth: 1, timeout: 5m, executor: inline}}}\n",
        (
            "mlops.yaml:3:70: pipeline.stages.a.timeout: the executor 'inline' cannot end a stage that hangs - use one that can, such as "
            "'executor: process'"
        ),
    ),
    "another process and a store in memory": (
        "executor: process\nregistry: mlops_core.testing.memory_registry:MemoryRegistry\n",
        (
            "mlops.yaml:2:11: executor: the executor 'process' runs stages in other processes, but registry: "
            "mlops_core.testing.memory_registry:MemoryRegistry keeps its state in this process - use 'executor: inline'"
        ),
    ),
    "a loop beside no process": (
        "environments: {staging: {use: 'backends.py:Deploys', watch: true}}\n",
        (
            "mlops.yaml:2:61: environments.staging.watch: the deployer 'backends.py:Deploys' has no serving process to watch beside - run "
            "'mlops watch' instead"
        ),
    ),
    "a server of its own and a sink in memory": (
        "environments: {staging: local}\nmonitoring: {sinks: ['mlops_core.testing.memory_sink:MemorySink']}\n",
        (
            "mlops.yaml:2:25: environments.staging: the deployer 'local' serves from another process, but monitoring.sinks[0]: "
            "mlops_core.testing.memory_sink:MemorySink keeps its state in this process - use parts that keep it elsewhere"
        ),
    ),
    "a tracker first that cannot search": (
        "tracker: ['backends.py:Blind', 'backends.py:Tracks']\n",
        "mlops.yaml:2:10: tracker: 'backends.py:Blind' stands first but cannot search - put 'backends.py:Tracks' first",
    ),
    "a sink first that cannot be read": (
        "monitoring: {sinks: ['backends.py:WriteOnly', 'backends.py:Sinks']}\n",
        "mlops.yaml:2:21: monitoring.sinks: 'backends.py:WriteOnly' stands first but cannot read - put 'backends.py:Sinks' first",
    ),
    "alerts without a sink that can be read": (
        "monitoring: {sinks: ['backends.py:WriteOnly'], alerts: [{name: e, when: error_rate > 1%}]}\n",
        "mlops.yaml:2:56: monitoring.alerts: no sink can be read, so no rule can be judged - add one such as sqlite",
    ),
    "a sample in a sink that cannot erase": (
        "monitoring: {sinks: ['backends.py:ReadOnly'], sample: {columns: [x]}}\n",
        (
            "mlops.yaml:2:55: monitoring.sample: the sink 'backends.py:ReadOnly' cannot erase what was sampled when its retention ends - "
            "use one that can, such as sqlite"
        ),
    ),
    "checks of drift without a sample": (
        "monitoring: {sinks: ['backends.py:Sinks']}\ndrift: {schedule: {every: 1d}}\n",
        "mlops.yaml:3:19: drift.schedule: nothing is sampled, so there is nothing to check - name columns in monitoring.sample",
    ),
    "checks of drift over more than is kept": (
        "monitoring: {sinks: [sqlite], sample: {columns: [x]}}\ndrift: {schedule: {window: 30d}}\n",
        "mlops.yaml:3:19: drift.schedule: it looks back over 30d, and monitoring.sample keeps 7d - keep it longer",
    ),
    "checks of drift that no permutation can pass": (
        (
            "monitoring: {sinks: [sqlite], sample: {columns: [x]}}\n"
            "drift: {tests: [mmd], keep: [x], schedule: {every: 1h, false_alarms: 1 per 30d}}\n"
        ),
        (
            "mlops.yaml:3:44: drift.schedule: test 'mmd' answers at least 0.005, and a check needs 0.0014 - "
            "raise its permutations, or check less often"
        ),
    ),
    "checks of drift without a sink that can be read": (
        "monitoring: {sinks: ['backends.py:WriteOnly'], sample: {columns: [x]}}\ndrift: {schedule: {every: 1d}}\n",
        "mlops.yaml:3:19: drift.schedule: no sink can be read, so there is nothing to check - add one such as sqlite",
    ),
}


@pytest.mark.parametrize(("text", "line"), ASKED_TOO_MUCH.values(), ids=ASKED_TOO_MUCH)
def test_what_a_plugin_cannot_do_is_found_when_the_configuration_is_checked(configure: Configure, text: str, line: str) -> None:
    configure(f"version: 1\n{text}")
    assert check() == [line]


def test_the_hooks_of_observers_are_checked(configure: Configure) -> None:
    configure("version: 1\nobservers: ['backends.py:Listens', {use: 'backends.py:Misspelled'}, 'backends.py:Listens']\n")
    assert check() == [
        "mlops.yaml:2:42: observers[1]: observer.Misspelled: there is no hook 'run_startd' - did you mean 'run_started'?",
    ]


def test_an_observer_called_as_its_module_is_sound_and_hears(configure: Configure, strangers: Strangers) -> None:
    module = strangers.module(AUDIT)
    strangers.distribution("acme-audit", "1", {"observer": {module: module}})
    configure(f"version: 1\nobservers: [{module}]\n")
    assert check() == []
    stack = locate()
    stack.parts.emit(RunStarted("acme", "p", "run-1", datetime(2024, 1, 1, tzinfo=UTC), ("a",)))
    assert vars(sys.modules[module])["HEARD"] == ["run-1"]


def test_one_that_cannot_is_enough_where_no_other_can(configure: Configure) -> None:
    configure("version: 1\ntracker: backends.py:Blind\nmonitoring: {sinks: 'backends.py:WriteOnly'}\n")
    assert check() == []


def test_references_need_not_be_resolvable_before_they_are_used(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(SOUND)
    monkeypatch.delenv("STORE", raising=False)
    assert check() == []
    assert check(connect=True)[0] == ("mlops.yaml:3:17: registry: ${STORE}: the variable is not set - set it, or write ${STORE:-default}")


def test_connecting_reaches_every_backend_and_shows_no_secret(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(SOUND)
    monkeypatch.setenv("STORE", "x")
    assert check(connect=True) == []
    monkeypatch.setenv("STORE", "down")
    assert check(connect=True) == ["mlops.yaml:3:17: registry: store: nobody answers"]
    monkeypatch.setenv("STORE", "pg:hunter2")
    assert check(connect=True) == ["mlops.yaml:3:17: registry: RuntimeError: cannot reach ***"]


def test_a_deployer_is_reached_once_it_knows_its_environment(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(SOUND)
    monkeypatch.setenv("STORE", "x")
    attached: list[tuple[str, str]] = []

    def attach(stack: Stack, name: str, deployer: Deployer) -> None:
        attached.append((name, type(deployer).__name__))
        if stack.tenant == "fails":
            raise DeploymentError("deployer: no")

    assert check(connect=True, attach=attach) == []
    assert attached == [("staging", "Deploys")]
    assert check(attach=attach) == []
    assert len(attached) == 1
    configure(SOUND.replace("version: 1", "version: 1\n    tenant: fails"))
    assert check(connect=True, attach=attach) == ["mlops.yaml:5:31: environments.staging: deployer: no"]
    configure('version: 1\nenvironments: {staging: {use: "backends.py:Deploys", port: "${NO_PORT}"}}\n')
    assert check() == []
    found = check(connect=True, attach=attach)
    assert found == ["mlops.yaml:2:31: environments.staging: ${NO_PORT}: the variable is not set - set it, or write ${NO_PORT:-default}"]


def test_floors_above_add_what_they_know(configure: Configure) -> None:
    configure(SOUND)
    asked: list[Stack] = []

    def further(stack: Stack) -> list[str]:
        asked.append(stack)
        return ["mlops.yaml:14:5: pipeline: something else"]

    assert check(further=further) == ["mlops.yaml:14:5: pipeline: something else"]
    configure("version: 1\nx: 1\n")
    assert check(further=further) == [
        (
            "mlops.yaml:2:1: unknown key 'x' - known are: project, tenant, tracker, registry, environments, "
            "channels, monitoring, drift, models, formats, observers, executor, ..."
        )
    ]
    assert len(asked) == 1


def test_what_cannot_be_read_at_all_is_one_line(tmp_path: Path) -> None:
    assert check("nowhere") == ["project: 'nowhere': no such file or folder - name a configuration file or its folder, or run 'mlops init'"]
    (tmp_path / "mlops.yaml").write_text("a: [", encoding="utf-8")
    assert check() == ["mlops.yaml:1:5: not YAML: while parsing a flow node expected the node content, but found '<stream end>'"]
    (tmp_path / "mlops.yaml").write_text("version: 1\n", encoding="utf-8")
    assert check(profile="big") == ["profile 'big': there is no mlops.big.yaml - there are: none"]


def test_the_key_of_references_is_resolved_when_backends_are_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlops.yaml").write_text('version: 1\ntracker: []\ndrift: {hash_key: "${DRIFT_KEY}"}\n', encoding="utf-8")
    assert check() == []
    assert check(connect=True) == [
        "mlops.yaml:3:19: drift.hash_key: ${DRIFT_KEY}: the variable is not set - set it, or write ${DRIFT_KEY:-default}"
    ]
    monkeypatch.setenv("DRIFT_KEY", "long-enough")
    assert check(connect=True) == []
