"""Wrong inputs of every kind: each is answered by one typed line that names the component and a remedy, and changes nothing."""

from __future__ import annotations

import http.client
import json
import math
import re
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import DriftDetector, MLOpsPipeline, ModelVersioning
from mlops_core.cli import main
from mlops_core.exceptions import (
    DeploymentError,
    DriftDetectionError,
    ExperimentError,
    MLOpsError,
    MonitoringError,
    NameRuleError,
    PipelineError,
    PlanError,
    VersioningError,
)
from tests.integration.conftest import CONFIGURATION, state, write_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import World

REMEDY = re.compile(r" - |[dD]id you mean|\bexpected|there are: |, first in line")
NAN = float("nan")
NAIVE = datetime(2013, 1, 1)  # noqa: DTZ001  that is what is wrong with it


def check_line(text: str, *, starts: str, has: str) -> None:
    """One line, from a component on, with a remedy."""
    assert "\n" not in text, text
    assert "Traceback" not in text
    assert text.startswith(starts), text
    assert has in text, text
    assert REMEDY.search(text), f"no remedy: {text}"


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What appeared, changed or went away; of a database, its first line that did."""
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            lines = {*str(new).splitlines()} ^ {*str(old).splitlines()}
            found.append(f"{name}: {min(lines, default='')[:200]}")
    return found


# --- configuration: what, old text, new text, where the line begins, what it says

CONFIGURATIONS = {
    "unknown key": ("tracker: []", "trackr: []", "mlops.yaml:4:1: ", "unknown key 'trackr' - did you mean 'tracker'?"),
    "unknown option": ("path: .mlops", "pth: .mlops", "mlops.yaml:5:25: registry: ", "did you mean 'path'?"),
    "wrong type": ("alpha: 0.05", "alpha: high", "mlops.yaml:11:34: drift.alpha: ", "expected"),
    "out of range": ("alpha: 0.05", "alpha: 1", "mlops.yaml:11:34: drift.alpha: ", "expected a share between 0% and 100%"),
    "a share that may be a percentage": ("body_limit: 2000", "rollback_window: 5", "mlops.yaml:7:", "expected a duration"),
    "unknown plugin": ("use: local, body", "use: locl, body", "mlops.yaml:7:18: environments.staging: ", "did you mean 'local'?"),
    "plugin that is not installed": ("tracker: []", "tracker: comet", "mlops.yaml:4:10: tracker: ", "no installed distribution"),
    "plugin file that is not there": ("./line.py:", "./lne.py:", "mlops.yaml:12:22: formats[2]: ", "correct the path"),
    "plugin name that is not there": (":LineFormat", ":LinFormat", "mlops.yaml:12:22: formats[2]: ", "did you mean 'LineFormat'?"),
    "key twice": ("tenant: acme", "tenant: acme\ntenant: globex", "mlops.yaml:4:1: ", "twice"),
    "no YAML": ("tracker: []", "tracker: [", "mlops.yaml:6:1: not YAML: ", "expected"),
    "a tag that makes objects": ("tenant: acme", "tenant: !!python/name:os.system", "mlops.yaml:3:", "tag"),
    "newer release": ("version: 1", "version: 2", "mlops.yaml:1:10: version: ", "1"),
    "bad tenant": ("tenant: acme", "tenant: ../acme", "mlops.yaml:3:9: tenant: ", "is not a name - use"),
    "no such channel": ("notify: [ops]", "notify: [opps]", "mlops.yaml:10:", "did you mean 'ops'?"),
    "no such metric": ("error_rate >", "eror_rate >", "mlops.yaml:10:", "did you mean 'error_rate'?"),
    "timeout that nobody keeps": (
        ':collect"}',
        ':collect", timeout: 5s}',
        "mlops.yaml:17:",
        "use one that can, such as 'executor: process'",
    ),
    "input that nothing makes": (':train"}', ':train", inputs: {collect: colect}}', "mlops.yaml:18:", "did you mean 'collect'?"),
    "option that a stage has not": (':train"}', ':train", depht: 3}', "mlops.yaml:18:", "unknown key 'depht'"),
    "stage that nobody implements": (
        "    validation:",
        "    validaton:",
        "mlops.yaml:19:5: pipeline: no implementation",
        "did you mean 'validation'?",
    ),
}


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a command, and its line on standard error; it says nothing else."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("\n")
    return int(ended.value.code or 0), told.err[:-1]


@pytest.mark.parametrize(("old", "new", "starts", "has"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_wrong_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, starts: str, has: str) -> None:
    assert CONFIGURATION.count(old) == 1
    write_project(tmp_path, **{"mlops.yaml": CONFIGURATION.replace(old, new)})
    before = state(tmp_path)
    code, said = fails(["check"], capsys)
    assert code == 2
    check_line(said, starts=starts, has=has)
    assert differences(before, state(tmp_path)) == []


# --- commands: arguments, exit code, where the line begins, what it says

TO = ("--to", "staging")
AT = ("--environment", "staging")
COMMANDS: dict[str, tuple[tuple[str, ...], int, str, str]] = {
    "unknown command": (("rnu",), 2, "no command 'rnu'", "did you mean 'run'?"),
    "unknown option": (("run", "--resum"), 2, "No such option '--resum'", "Did you mean '--resume'?"),
    "bad duration": (("monitor", "line", "--window", "5"), 2, "Invalid value for '--window'", "write 30s, 5m"),
    "bad tenant": (("models", "list", "--tenant", "../acme"), 2, "tenant: '../acme' is not a name", "use 1 to 128"),
    "no such project": (("status", "--project", "nowhere"), 2, "project: 'nowhere'", "mlops init"),
    "no such profile": (("run", "--profile", "nope"), 2, "profile 'nope'", "there are: none"),
    "init over a project": (("init", "."), 2, "init: mlops.yaml exists already", "give an empty folder"),
    "init below a file": (("init", "line.model/new"), 2, "init: cannot write", "name a folder"),
    "unknown stage": (("run", "colect"), 2, "pipeline: no implementation of stage 'colect'", "did you mean 'collect'?"),
    "bad run id": (("run", "--run-id", "a/b"), 2, "run_id: 'a/b' is not a name", "use 1 to 128"),
    "unknown run": (("run", "--resume", "--run-id", "nope"), 1, "pipeline world: there is no run 'nope'", "there are: "),
    "unknown model": (("models", "show", "nothing"), 1, "registry: no model 'nothing'", "register a version first"),
    "unknown version": (("models", "alias", "line", "champion", "9"), 1, "line: no version '9'", "give one of them"),
    "alias in the way": (("models", "delete", "line", "1"), 1, "line: alias 'champion' points to", "move or delete the alias"),
    "bad filter": (("models", "versions", "line", "--filter", "a >"), 2, "filter: column 4", "expected a number"),
    "file in the way": (("models", "download", "line", "1", "line.model"), 1, "download: ", "give a folder"),
    "version to deploy": (("deploy", "line", "9", *TO), 1, "model line: no version '9'", "`mlops models`"),
    "environment": (("deploy", "line", "1", "--to", "nowhere"), 2, "environments: no environment 'nowhere'", "staging, production"),
    "shares": (("deploy", "line", "1", *TO, "--weight", "1=0.5"), 2, "weights: they sum to 0.5", "give fractions that sum to 1"),
    "share": (("deploy", "line", "1", *TO, "--weight", "x"), 2, "deploy: --weight 'x'", "write 2=0.1 or 2=10%"),
    "steps": (("canary", "start", "line", "1", *TO, "--steps", "50%,20%"), 2, "canary.steps: ", "give rising fractions"),
    "rollback of nothing": (("rollback", "staging/line/99"), 1, "deployment staging/line/99: ", "`mlops deployments history`"),
    "deployment id": (("rollback", "line"), 2, "deployment 'line': this is no deployment id", "environment/model/number"),
    "no such file": (("predict", "line", "no.csv", *AT), 2, "no.csv: there is no such file", "give a CSV"),
    "no JSON": (("predict", "line", "{", *AT), 2, "DATA: not JSON", "write"),
    "no columns": (("predict", "line", '{"x": 1}', *AT), 2, "DATA: expected columns", "rows"),
    "column missing": (("predict", "line", '{"z": [1]}', *AT), 1, "endpoint http", "column 'x' is missing - the model takes x"),
    "nothing deployed": (("predict", "line", '{"x": [1]}'), 1, "endpoint production/line: nothing is deployed", "deploy a version"),
    "ragged file": (("drift", "ragged.csv", "ragged.csv"), 2, "ragged.csv:2: 1 fields", "give each row one per column"),
    "empty file": (("drift", "empty.csv", "empty.csv"), 2, "empty.csv: the file is empty", "its first line names the columns"),
    "encoding": (("drift", "same.csv", "latin.csv"), 2, "latin.csv: not a CSV file in UTF-8", "save it as one"),
    "unknown column": (("drift", "same.csv", "same.csv", "--columns", "b"), 2, "drift: reference data: column 'b'", "name existing"),
    "unknown test": (("drift", "same.csv", "same.csv", "--tests", "kss"), 2, "drift test kss: ", "did you mean 'ks'?"),
    "level": (("drift", "same.csv", "same.csv", "--threshold", "2"), 2, "drift: threshold: 2.0 is not a level", "such as 0.05"),
    "limit": (("runs", "list", "--limit", "0"), 2, "filter: limit 0 is not", "give 1 or more"),
    "filter of runs": (("runs", "list", "--filter", "a ="), 2, "filter: column 4", "expected"),
    "model": (("monitor", "m m"), 2, "model: 'm m' is not a name", "use 1 to 128"),
    "window": (("monitor", "line", "--window", "0s"), 2, "time_window: 0:00:00 is no window", "give a length above zero"),
    "plugin": (("plugins", "show", "drift.kss"), 2, "drift.kss: no installed distribution", "did you mean 'ks'?"),
}


@pytest.mark.parametrize(("arguments", "code", "starts", "has"), COMMANDS.values(), ids=COMMANDS)
def test_a_wrong_command(
    world: World,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    starts: str,
    has: str,
) -> None:
    monkeypatch.chdir(world.root)
    before = world.state()
    ended, said = fails(list(arguments), capsys)
    assert ended == code, said
    check_line(said, starts=f"mlops: {starts}", has=has)
    assert differences(before, world.state()) == []


# --- calls in Python: the call, the facade's error, where the line begins, what it says

Call = tuple["Callable[[World], object]", type[MLOpsError], str, str]
TRACKING: dict[str, Call] = {
    "params": (lambda w: w.tracker.log_params(w.wrong), ExperimentError, "tracker: params must be a mapping", "give {"),
    "metric": (lambda w: w.tracker.log_metrics({"loss": "low"}), ExperimentError, "tracker: metric 'loss'", "log text as"),
    "step": (lambda w: w.tracker.log_metrics({"loss": 1}, w.wrong), ExperimentError, "tracker: step", "give an int"),
    "artifact": (lambda w: w.tracker.log_artifacts({"plot": "no/file"}), ExperimentError, "tracker: artifact 'plot'", "give an existing"),
    "artifact's name": (lambda w: w.tracker.log_artifacts({"../a": "x"}), ExperimentError, "tracker: '../a' does not name", "use 1 to"),
    "reserved tag": (lambda w: w.tracker.set_tags({"mlops.a": 1}), ExperimentError, "tracker: the tag 'mlops.a' is reserved", "use a name"),
    "experiment": (lambda w: w.tracker.create_experiment("../a"), ExperimentError, "experiment: '../a' is not a name", "use 1 to 128"),
    "search": (lambda w: w.tracker.search_runs("loss >"), ExperimentError, "filter: column 7", "expected a number"),
    "run": (lambda w: w.tracker.get_run("nope"), ExperimentError, "tracker: no run 'nope' of tenant 'acme'", "`mlops runs`"),
    "status": (lambda w: w.kept.end("done"), ExperimentError, "tracker: 'done' is no status", "use one of"),
}
VERSIONING: dict[str, Call] = {
    "name": (lambda w: w.register("../line"), VersioningError, "model: '../line' is not a name", "use 1 to 128"),
    "digits": (lambda w: w.register("line", "7"), VersioningError, "version: '7' - digits alone", "give '7.0'"),
    "path": (lambda w: w.register(model_path="no/file"), VersioningError, "model_path: 'no/file' cannot be read", "give an existing"),
    "system file": (lambda w: w.register(model_path="/etc/hosts"), VersioningError, "model_path: '/etc/hosts' belongs", "the model's own"),
    "URL": (lambda w: w.register(model_path="https://a/b"), VersioningError, "model_path: 'https://a/b' is a URL", "download it first"),
    "metadata": (lambda w: w.register(metadata={"loss": NAN}), VersioningError, "metadata.loss: cannot be kept", "use texts, finite"),
    "parent": (lambda w: w.register(parents=["line:99"]), VersioningError, "parents: no version '99'", "register the parent first"),
    "run": (lambda w: w.register(run_id="nope"), VersioningError, "run_id: no run 'nope'", "give its run's id"),
    "schema": (lambda w: w.register(schema={"inputs": 5}), VersioningError, "schema: not a Schema", "give {'inputs'"),
    "format": (lambda w: w.register(format="lyne"), VersioningError, "format: no format 'lyne'", "did you mean 'line'?"),
    "model": (lambda w: w.project.versioning.version_model("line", model=object()), VersioningError, "artifact line: ", "give another"),
    "alias": (lambda w: w.project.versioning.set_alias("line", "a b", "1"), VersioningError, "alias: 'a b' is not", "use 1 to 128"),
    "alias of nothing": (lambda w: w.project.versioning.get_version("line", "@nope"), VersioningError, "line: no alias", "set it first"),
    "trust": (lambda w: w.project.versioning.load_model("pickled"), VersioningError, "artifact pickled: ", "'models.trust'"),
    "tenant": (
        lambda w: ModelVersioning(tenant_id="globex", stack=w.project.stack).load_model("line", "1"),
        VersioningError,
        "registry: no model 'line' in tenant 'globex'",
        "register a version first",
    ),
    "database": (lambda w: ModelVersioning("odd://db", stack=w.project.stack), VersioningError, "registry: 'odd://db'", "SQLAlchemy URL"),
}
DEPLOYMENT: dict[str, Call] = {
    "version": (lambda w: w.deploy("9"), DeploymentError, "model line: no version '9'", "`mlops models`"),
    "environment": (lambda w: w.deploy("1", "nowhere"), DeploymentError, "environments: no environment 'nowhere'", "add it under"),
    "timeout": (lambda w: w.deploy("1", timeout=-1), DeploymentError, "timeout: -1 is no number of seconds", "30.0"),
    "weights": (lambda w: w.share(w.wrong), DeploymentError, "weights: expected a mapping", "give {"),
    "weight": (lambda w: w.share({"1": NAN}), DeploymentError, "weights: 1 has nan", "a fraction between 0 and 1"),
    "steps": (lambda w: w.canary(steps=(0.5, 0.2)), DeploymentError, "canary.steps: ", "give rising fractions"),
    "objective": (lambda w: w.canary(slo={"eror_rate": 0.1}), DeploymentError, "canary.slo: unknown metric", "known are error_rate"),
    "promotion": (lambda w: w.promote("production", "staging"), DeploymentError, "promote: nothing is live", "deploy one version"),
    "pause": (lambda w: w.project.deployment.pause("staging/line/1"), DeploymentError, "deployment staging/line/1: ", "may go to"),
    "columns": (lambda w: w.predict({"z": [1.0]}), DeploymentError, "endpoint http", "the model takes x"),
    "values": (lambda w: w.predict({"x": ["one"]}), DeploymentError, "endpoint http", "does not fit the column"),
    "rows": (lambda w: w.predict(w.wrong), DeploymentError, "columns: ", "give {"),
    "naive time": (lambda w: w.project.deployment.advance(NAIVE), DeploymentError, "now: 2013-01-01", "use datetime.now(UTC)"),
}
MONITORING: dict[str, Call] = {
    "seconds": (lambda w: w.track(-1.0), MonitoringError, "prediction_time: -1.0 is no duration", "give seconds from 0"),
    "NaN": (lambda w: w.track(NAN), MonitoringError, "prediction_time: nan is no duration", "give seconds from 0"),
    "infinity": (lambda w: w.track(math.inf), MonitoringError, "prediction_time: inf is no duration", "give seconds from 0"),
    "long error": (lambda w: w.fail("x" * 1_000_000), MonitoringError, "error: 1000000 characters are too many", "give the type"),
    "outcome": (lambda w: w.outcome("p1", 1), MonitoringError, "monitoring.ground_truth: no prediction is logged", "set its rate"),
    "label": (lambda w: w.outcome("p1", w.wrong), MonitoringError, "label: expected a class", "give what turned out"),
    "prediction": (lambda w: w.outcome("", 1), MonitoringError, "prediction_id: expected text", "give a short unique name"),
    "success": (lambda w: w.track(0.1, w.wrong), MonitoringError, "success: expected True or False", "bool(...)"),
    "model": (lambda w: w.track(0.1, model="a b"), MonitoringError, "model: 'a b' is not a name", "use 1 to 128"),
    "window": (lambda w: w.measured(timedelta(0)), MonitoringError, "time_window: ", "give a length above zero"),
    "naive time": (lambda w: w.measured(end=NAIVE), MonitoringError, "end: 2013-01-01", "use datetime.now(UTC)"),
    "steps": (lambda w: w.project.monitoring.history("line", steps=0), MonitoringError, "steps: expected a whole number", "give 60"),
    "silence": (lambda w: w.silence(timedelta(0)), MonitoringError, "silence: 0:00:00 is no duration", "timedelta(hours=2)"),
    "reason": (lambda w: w.silence(reason=""), MonitoringError, "reason: expected text", "say it in a sentence"),
    "rule": (lambda w: w.silence(rule="erors"), MonitoringError, "silence: no rule 'erors'", "did you mean 'errors'?"),
    "no silence": (lambda w: w.project.monitoring.unsilence("x"), MonitoringError, "silence 'x': there is none", "there are: none"),
    "incident": (lambda w: w.acknowledge("errors"), MonitoringError, "acknowledge: no open incident of 'errors'", "there are: none"),
    "figure": (lambda w: w.record({"f1": 0.5}), MonitoringError, "values: unknown metric 'f1'", "custom.*"),
    "figure's value": (lambda w: w.record({"live.f1": NAN}), MonitoringError, "values: live.f1 is nan", "give a finite number"),
}
DRIFT: dict[str, Call] = {
    "nothing": (lambda w: w.drift([], [1, 2]), DriftDetectionError, "drift: reference data: it is empty", "give at least"),
    "infinity": (lambda w: w.drift([1, math.inf], [1, 2]), DriftDetectionError, "drift: reference data: column 'x0'", "replace them"),
    "kinds": (lambda w: w.drift({"a": [1, 2]}, {"a": ["x", "y"]}), DriftDetectionError, "drift: current data: column 'a'", "convert"),
    "columns": (
        lambda w: w.drift({"a": [1, 2]}, {"b": [1, 2]}),
        DriftDetectionError,
        "drift: the sides have no column",
        "the same columns",
    ),
    "level": (lambda w: w.drift([1, 2], [1, 2], threshold=2), DriftDetectionError, "drift: threshold: 2", "between 0 and 1"),
    "test": (lambda w: w.drift([1, 2], [1, 2], tests=["kss"]), DriftDetectionError, "drift test kss: ", "did you mean 'ks'?"),
    "figure": (lambda w: w.worse({"loss": NAN}, {"loss": 1}), DriftDetectionError, "drift: reference metrics: 'loss' is nan", "finite"),
    "direction": (lambda w: w.worse({"odd": 1}, {"odd": 1}), DriftDetectionError, "drift: metrics: is more of 'odd'", "directions="),
    "sides": (lambda w: w.project.drift.check_drift([1, 2]), DriftDetectionError, "drift: data: the current side is missing", "give"),
    "reference": (lambda w: w.since("1"), DriftDetectionError, "drift: version '1' of model 'line' has no", "register versions with"),
    "tenant": (lambda w: DriftDetector("a/b"), DriftDetectionError, "tenant: 'a/b' is not a name", "use 1 to 128"),
}
PIPELINE: dict[str, Call] = {
    "name": (lambda w: MLOpsPipeline("a/b", stack=w.project.stack), PipelineError, "pipeline: 'a/b' is not a name", "use 1 to 128"),
    "stage": (lambda w: w.run(["colect"]), PlanError, "pipeline: no implementation of stage 'colect'", "did you mean 'collect'?"),
    "stages": (lambda w: w.run("collect"), PlanError, "stages: expected a list of names", "give ['training']"),
    "twice": (lambda w: w.run(["collect", "collect"]), PlanError, "pipeline: stage 'collect' is there twice", "name each stage once"),
    "inputs": (lambda w: w.run(None, inputs=w.wrong), PlanError, "inputs: expected a mapping", "give {'data': value}"),
    "input": (lambda w: w.run(["train"]), PlanError, "mlops.yaml:18:5: stage 'train': nothing before it", "there are: "),
    "output": (lambda w: w.project.pipeline().output("x"), PipelineError, "pipeline world: there is no run yet", "call run_pipeline"),
    "tenant": (lambda w: w.project.stack.for_tenant("a/b"), NameRuleError, "tenant: 'a/b' is not a name", "use 1 to 128"),
}
CALLS = {
    f"{area}: {what}": call
    for area, calls in (
        ("tracking", TRACKING),
        ("versioning", VERSIONING),
        ("deployment", DEPLOYMENT),
        ("monitoring", MONITORING),
        ("drift", DRIFT),
        ("pipeline", PIPELINE),
    )
    for what, call in calls.items()
}


@pytest.mark.parametrize(("call", "kind", "starts", "has"), CALLS.values(), ids=CALLS)
def test_a_wrong_call(world: World, call: Callable[[World], object], kind: type[MLOpsError], starts: str, has: str) -> None:
    before = world.state()
    with pytest.raises(MLOpsError) as caught:
        call(world)
    assert type(caught.value) is kind
    check_line(caught.value.message, starts=starts, has=has)
    assert differences(before, world.state()) == []


# --- requests over HTTP: method, path, body, headers, status, what is said

INFER = "/v2/models/line/infer"
GOOD: dict[str, Any] = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.5]}]}


def tensor(**changed: Any) -> dict[str, Any]:
    return {"inputs": [{**GOOD["inputs"][0], **changed}]}


REQUESTS: dict[str, tuple[str, str, Any, dict[str, str], int, str]] = {
    "malformed": ("POST", INFER, b'{"inputs": [', {}, 400, "the body is not JSON"),
    "no object": ("POST", INFER, [], {}, 400, "the body is not a JSON object"),
    "NaN": (
        "POST",
        INFER,
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [NaN]}]}',
        {},
        400,
        "the body is not JSON",
    ),
    "missing value": ("POST", INFER, tensor(data=[None]), {}, 422, "column 'x': a value is missing"),
    "shape": ("POST", INFER, tensor(shape=[3]), {}, 422, "tensor 'x': shape [3] needs 3 values, there are 1"),
    "type": ("POST", INFER, tensor(datatype="BYTES", data=["one"]), {}, 422, "tensor 'x': datatype BYTES does not fit the column"),
    "text": ("POST", INFER, tensor(data=["one"]), {}, 422, "column 'x': 'one' is not of type float64 - give numbers"),
    "column": ("POST", INFER, tensor(name="z"), {}, 422, "column 'x' is missing - the model takes x"),
    "frames": ("POST", "/invocations", {"dataframe_split": {"columns": ["x"], "data": [[1, 2]]}}, {}, 422, "'dataframe_split': row 0"),
    "too large": ("POST", INFER, b" " * 3000, {}, 413, "the body is larger than 2000 bytes - send fewer rows at a time"),
    "no JSON declared": ("POST", INFER, GOOD, {"Content-Type": "text/csv"}, 415, "the body is not declared as JSON - send Content-Type"),
    "unknown model": ("POST", "/v2/models/lyne/infer", GOOD, {}, 404, "no model 'lyne' is deployed here - `mlops deployments`"),
    "unknown version": ("GET", "/v2/models/line/versions/9", None, {}, 404, "no such path: "),
    "other tenant": ("POST", INFER, GOOD, {"X-MLOps-Tenant": "globex"}, 404, "no model 'line' is deployed here - `mlops deployments`"),
    "method": ("GET", INFER, None, {}, 405, "method GET is not for this path - use POST"),
    "method of state": ("DELETE", "/v2/health/live", None, {}, 405, "method DELETE is not for this path - use GET"),
    "path": ("POST", "/predict", GOOD, {}, 404, "no such path: /predict - predictions are at /v2/models/MODEL/infer"),
}


def ask(world: World, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    host, port = world.address
    with closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "said"), REQUESTS.values(), ids=REQUESTS)
def test_a_wrong_request(world: World, method: str, path: str, body: Any, headers: dict[str, str], status: int, said: str) -> None:
    before = world.state()
    found, answer = ask(world, method, path, body, headers)
    assert (found, set(answer)) == (status, {"error"})
    check_line(answer["error"], starts=said, has="")
    assert differences(before, world.state()) == []
    assert ask(world, "GET", "/v2/models/line/ready", None, {})[0] == 200


def test_they_are_forty_and_more() -> None:
    assert min(len(CONFIGURATIONS), len(COMMANDS), len(CALLS), len(REQUESTS)) > 15
    assert len(CONFIGURATIONS) + len(COMMANDS) + len(CALLS) + len(REQUESTS) >= 40


def test_a_model_that_may_not_be_loaded_takes_nothing_out_of_service(world: World) -> None:
    """A deployment that fails is kept in the history, as what happened; what serves goes on."""
    before = world.project.deployment.status("line", "staging")
    with pytest.raises(DeploymentError, match=r"add 'joblib' to 'models\.trust'") as caught:
        world.project.deployment.deploy_model("pickled", "1", "staging")
    assert "\n" not in caught.value.message
    assert [one.status.value for one in world.project.deployment.history("pickled", "staging")] == ["failed"]
    assert world.project.deployment.status("line", "staging") == before
    assert ask(world, "GET", "/v2/models/line/ready", None, {})[0] == 200
