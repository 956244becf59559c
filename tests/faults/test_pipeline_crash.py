"""A pipeline that is killed at any moment can be resumed: nothing that was finished runs again, nothing is registered or deployed twice."""

import itertools
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(1800)  # each kill takes a second, and a session of faults makes hundreds
DRIVER = Path(__file__).with_name("pipeline_crashes.py")
CONFIGURATION = """
version: 1
project: crashes
tracker: []
registry: {use: sqlite, path: .mlops/registry.db}
environments:
  staging: {use: "./stages.py:Server"}
  production: {use: "./stages.py:Server"}
monitoring: {sinks: ["mlops_core.testing.memory_sink:MemorySink"]}
formats: ["./stages.py:ModelFormat"]
executor: inline
pipeline:
  name: flight_delays
  model: delays
  stages:
    collect: {use: "./stages.py:collect"}
    clean: {use: "./stages.py:clean", cache: true}
    flaky: {use: "./stages.py:flaky", retries: 1}
    optional: {use: "./stages.py:optional", when: "total > 100"}
    training: {use: "./stages.py:train", outputs: [model, total]}
    validation: {require: {total: {min: 1}}}
    deployment: {to: [staging, production]}
    monitoring: {}
"""
STAGES = """
import json
import time

from attrs import define, evolve, field
from mlops_core.builtin.json_format import JsonFormat
from mlops_core.records import EndpointKey, ModelVersion, Observed
from mlops_core.testing.memory_deployer import MemoryDeployer


def called(context):
    with (context.root / "calls").open("a") as stream:
        stream.write(f"{context.stage}\\n")


def collect(context):
    called(context)
    context.log_metrics({"total": 6})
    return [1, 2, 3]


def clean(context, collect):
    called(context)
    return collect[1:]


def flaky(context, clean):
    called(context)
    time.sleep(0.02)
    marker = context.root / "failed-once"
    if not marker.exists():
        marker.touch()
        raise OSError("the first attempt always fails")
    return 1


def optional(context, clean):
    called(context)
    return 1


def train(context, clean):
    called(context)
    context.log_metrics({"rows": len(clean)})
    return {"factor": sum(clean)}, sum(clean)


def verify(context, deployment):
    called(context)
    marker = context.root / "verified-once"
    if not marker.exists():
        marker.touch()
        raise ValueError("it answers nonsense")
    return 1


class Multiplying:
    def __init__(self, factor):
        self.factor = factor

    def predict(self, columns):
        return {"y": columns["x"] * self.factor}


@define(eq=False)
class ModelFormat(JsonFormat):
    contract = 1
    name = "json"
    capabilities = frozenset({"predict"})

    def predictor(self, value, schema):
        return Multiplying(value["factor"])


@define(eq=False)
class Server(MemoryDeployer):
    # Outlives the process that deploys, as a server does: its versions and routes lie in a file.

    contract = 1
    _file = field(default=None, init=False)

    def attach(self, environment, context):
        super().attach(environment, context)
        if self._file is None:
            self._file = context.workdir / f"{environment}.json"
            kept = json.loads(self._file.read_text()) if self._file.exists() else {"versions": [], "routes": []}
            for endpoint, version in kept["versions"]:
                super().load(EndpointKey.from_dict(endpoint), ModelVersion.from_dict(version), context)
            for endpoint, seen in kept["routes"]:
                key = EndpointKey.from_dict(endpoint)
                self._places[key] = evolve(self._places[key], wanted=Observed.from_dict(seen), serving=Observed.from_dict(seen))

    def _keep(self):
        versions = [[endpoint.to_dict(), one.version.to_dict()] for endpoint, at in self._places.items() for one in at.models.values()]
        routes = [[endpoint.to_dict(), at.wanted.to_dict()] for endpoint, at in self._places.items()]
        part = self._file.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"versions": versions, "routes": routes}))
        part.replace(self._file)

    def load(self, *arguments):
        super().load(*arguments)
        self._keep()

    def set_routes(self, *arguments):
        revision = super().set_routes(*arguments)
        self._keep()
        return revision
"""
WITH_WORKERS = (  # no part that lives in one process
    re.sub(r"environments:.*?monitoring: {.*?\n", "environments: {}\nmonitoring: {sinks: []}\n", CONFIGURATION, flags=re.DOTALL)
    .replace('stages.py:train"', 'stages.py:train", executor: process')
    .replace('stages.py:collect"', 'stages.py:collect", executor: process')
    .replace("to: [staging, production]", "to: []")
)
WITH_A_ROLLBACK = CONFIGURATION.replace(
    "monitoring: {}\n", 'monitoring: {}\n    verify: {use: "./stages.py:verify", on_failure: rollback}\n'
)
ALL_FROM = 20  # rounds from which on every single write is tried, not one of each kind
RUNS = {"collect": 1, "clean": 1, "flaky": 2, "training": 1}


@pytest.fixture
def crash(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Kill a run of the project at each moment and resume it."""
    calls = itertools.count(1)

    def crashed(moments: list[tuple[str, float]], configuration: str = CONFIGURATION) -> list[dict[str, Any]]:
        project = tmp_path / f"project-{next(calls)}"
        project.mkdir()
        (project / "mlops.yaml").write_text(configuration)
        (project / "stages.py").write_text(STAGES)
        command = [sys.executable, str(DRIVER), str(project), json.dumps(moments)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return [{**json.loads(line), "said": answer.stderr} for line in answer.stdout.splitlines()]

    return crashed


def check(told: dict[str, Any], *, deployed: bool = True) -> None:
    """Everything that a resumed run promises."""
    where = f"killed {told['when']} {told['moment']}: {told['writes'][-1:]}\n{told['said']}"
    assert told["resumed"] == 0, where
    assert told["report"]["status"] == "succeeded", f"{where}\n{told['report']}"
    assert told["left"]["status"] in {"not_started", "interrupted", "succeeded"}, where
    assert told["versions"] == ["1"], where
    if deployed:
        assert told["deployments"] == {"staging": ["live"], "production": ["live"]}, where
        assert told["predicted"] == [10.0], where
    assert told["total"] == 5, where
    assert told["runs"] == ["run-1"], where
    assert told["locks"] == [], where
    finished = {one["stage"] for one in told["left"]["stages"] if one["status"] == "succeeded"}
    before, after = Counter(told["before"]), Counter(told["calls"])
    assert {name: after[name] for name in finished} == {name: before[name] for name in finished}, f"{where}: a finished stage ran again"
    assert all(after[name] <= times + 1 for name, times in RUNS.items()), f"{where}: {after}"
    assert "optional" not in after, where


def test_killed_between_every_effect_and_its_entry(crash: Any, fault_rounds: int) -> None:
    """Before and after a write of every kind that a run makes to the registry: entries, artifacts, the version; with many rounds each."""
    (whole,) = crash([("never", 0)])
    check(whole)
    assert whole["ended"] == 0
    kinds = {line.split()[-1] for line in whole["writes"] if line.startswith("append runs/")}
    assert kinds == {"started", "stage_started", "stage_succeeded", "stage_failed", "stage_skipped", "finished"}

    kinds_of = [" ".join(part.partition("/")[0] for part in line.split()) for line in whole["writes"]]
    every = range(1, len(kinds_of) + 1)
    chosen = every if fault_rounds >= ALL_FROM else [number for number in every if kinds_of.index(kinds_of[number - 1]) == number - 1]
    for told in crash([(when, number) for number in chosen for when in ("before", "after")]):
        assert told["ended"] == -9 or len(told["writes"]) < told["moment"], told  # a slow machine may need a write more or less
        check(told)


def test_killed_while_a_failure_takes_the_deployment_back(crash: Any) -> None:
    """The stage that failed would succeed now. Once the rollback has begun it must not run: the run would succeed with nothing deployed."""
    (whole,) = crash([("never", 0)], WITH_A_ROLLBACK)
    assert whole["ended"] == 0, whole["said"]
    first = next(number for number, line in enumerate(whole["writes"], 1) if line.endswith(" rolling_back"))
    moments = [(when, number) for number in range(first, len(whole["writes"]) + 1) for when in ("before", "after")]
    for told in [whole, *crash(moments, WITH_A_ROLLBACK)]:
        where = f"killed {told['when']} {told['moment']}: {told['writes'][-1:]}\n{told['said']}"
        assert told["resumed"] == 0, where
        begun = told["writes"][: -1 if told["when"] == "before" else None]
        taken_back = any(line.endswith(" rolling_back") for line in begun)
        assert told["report"]["status"] == ("failed" if taken_back else "succeeded"), f"{where}\n{told['report']}"
        stands = ["rolled_back" if taken_back else "live"]
        assert told["deployments"] == {"staging": stands, "production": stands}, where
        assert Counter(told["calls"])["verify"] == (1 if taken_back else 2), where


def test_killed_at_random_moments(crash: Any, fault_rounds: int) -> None:
    """From outside, at moments that no write marks."""
    (whole,) = crash([("never", 0)])
    moments = random.Random(20130101)
    for told in crash([("seconds", moments.uniform(0, whole["seconds"])) for _ in range(fault_rounds)]):
        assert told["ended"] in {-9, 0}, told
        check(told)


def test_killed_while_workers_run(crash: Any, fault_rounds: int) -> None:
    """The worker of the stage dies with the run, so that it cannot write beside its successor."""
    moments = random.Random(20130102)
    for told in crash([("seconds", moments.uniform(0.1, 2.5)) for _ in range(fault_rounds)], WITH_WORKERS):
        check(told, deployed=False)
