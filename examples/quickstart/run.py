"""The whole life of a model on real data: late departures from New York in 2013.

    python run.py

Every figure that it prints is computed from the data in this run. What it starts, it stops.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
from pyarrow import csv
from sklearn.metrics import roc_auc_score

from mlops_core import Project
from mlops_core.config.settings import CanarySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from mlops_core.records import Deployment, RunReport

HERE: Final = Path(__file__).parent
REPORTS: Final = HERE / ".mlops"
MODEL: Final = "flight_delay"
FEATURES: Final = ("carrier", "origin", "hour", "weekday", "distance", "temp", "humid", "wind_speed", "precip", "visib")
WATCHED: Final = ("carrier", "origin", "hour", "distance", "temp", "humid", "wind_speed", "dep_delay")
CANARY: Final = CanarySettings(steps=(0.2, 0.5, 1.0), step_time=timedelta(seconds=2), min_requests=50, slo={"error_rate": 0.02})
TEST, EACH = timedelta(seconds=20), 5  # of an A/B test: its length, and how many flights there are for one that takes part
APRIL, JULY = 4, 7


def heading(number: int, text: str) -> None:
    """Begin a step of the story."""
    print(f"\n{number}. {text}", flush=True)


def say(text: str) -> None:
    """One line of it."""
    print(f"   {text}", flush=True)


def month(flights: pa.Table, number: int) -> pa.Table:
    """One month's flights, in the order of the schedule."""
    return flights.filter(pc.field("month") == number).combine_chunks()  # requests of full size, none empty


def requests(flights: pa.Table, rows: int) -> Iterator[tuple[dict[str, list[Any]], list[int]]]:
    """Requests of so many rows each: the inputs that a model may see, and the truth that comes later."""
    for batch in flights.to_batches(max_chunksize=rows):
        columns = batch.to_pydict()
        yield {name: columns[name] for name in FEATURES}, columns["late"]


def train(project: Project) -> RunReport:
    """Run the pipeline, and show what each stage did."""
    report = project.pipeline().run_pipeline()
    for stage in report.stages:
        say(f"{stage.stage:<20} {stage.status.value:<10} {stage.seconds:5.1f} s")
    if report.status != "succeeded":
        raise SystemExit(f"the pipeline {report.status.value}: {report.error}")
    return report


def scores(report: RunReport) -> dict[str, float]:
    """What the training stage measured on April, which it had not seen."""
    return next(dict(stage.metrics) for stage in report.stages if stage.stage == "training")


def replay(project: Project, environment: str, flights: pa.Table, rows: int) -> dict[str, Any]:
    """Send flights to an endpoint as requests; answers how well the probabilities ranked them, and which versions answered."""
    truth: list[int] = []
    chance: list[float] = []
    answered: dict[str, int] = {}
    for columns, late in requests(flights, rows):
        prediction = project.deployment.predict(MODEL, environment, columns)
        chance += [row[1] for row in prediction.outputs["probability"]]
        truth += late
        answered[prediction.version] = answered.get(prediction.version, 0) + 1
    hits = [int(one > 0.5) for one in chance]
    return {
        "truth": truth,
        "hits": hits,
        "roc_auc": float(roc_auc_score(truth, chance)),
        "answered": answered,
        "sent": sum(answered.values()),
    }


def show_health(project: Project, environment: str, version: str, sent: int) -> None:
    """What monitoring counted; a server hands its counts over every 100 ms, so the last ones may take a moment."""
    for _ in range(50):
        if project.monitoring.get_metrics(MODEL, environment=environment, version=version).total_predictions >= sent:
            break
        time.sleep(0.1)
    health = project.monitoring.check_health(MODEL, environment=environment, version=version)
    metrics = project.monitoring.get_metrics(MODEL, environment=environment, version=version)
    p50, p99 = metrics.p50_latency, metrics.p99_latency
    latency = "unknown" if p50 is None or p99 is None else f"{p50 * 1000:.1f} / {p99 * 1000:.1f} ms"
    say(f"{environment}: {health.status.value}, {metrics.total_predictions} requests, {metrics.total_errors} errors, p50 / p99 {latency}")


def show_drift(project: Project, version: str, flights: pa.Table, report: Path) -> float:
    """Compare a month with what the version learnt from, and write the report; answers the KS distance of the departure delay."""
    found = project.drift.check_version(MODEL, version, flights.select(list(WATCHED)))
    for one in found.outcomes:
        if one.test not in {"ks", "mmd"}:
            continue
        word = "drift" if one.drifted else ""
        say(f"{one.column:<12} {one.test:<4} effect {one.effect_size:.3f}  adjusted p {one.adjusted_p_value:.2g}  {word}")
    report.write_text(found.to_html(), encoding="utf-8")
    say(f"with pictures: {report.relative_to(HERE)}")
    delay = next(one.effect_size for one in found.of("dep_delay") if one.test == "ks")
    project.monitoring.record_values(MODEL, {"drift.dep_delay": delay}, environment="production", version=version)
    return delay


def show_monitor() -> None:
    """What `mlops monitor` shows of production: the canary, and July's replay behind it. With --live it goes on."""
    command = ["mlops", "monitor", MODEL, "--environment", "production", "--window", "1m"]
    say(f"$ {' '.join(command)}")
    subprocess.run([Path(sys.executable).with_name("mlops"), *command[1:]], cwd=HERE, check=True)


def roll_out(project: Project, version: str, flights: pa.Table) -> Deployment:
    """A canary in steps, with real requests while it is judged."""
    canary = project.deployment.start_canary(MODEL, version, "production", canary=CANARY)
    traffic = cycle(requests(flights.slice(0, 500), 1))
    shown = None
    while canary.status not in {"live", "rolled_back", "failed", "paused"}:
        for _ in range(50):
            project.deployment.predict(MODEL, "production", next(traffic)[0])
        project.monitoring.flush()
        project.deployment.advance()
        canary = project.deployment.get(canary.deployment_id)
        if (canary.status, canary.weight) != shown:
            shown = (canary.status, canary.weight)
            say(f"{canary.status.value:<10} {canary.weight:4.0%} of the requests  {canary.reason}")
    return canary


def compare(project: Project, old: str, new: str, flights: pa.Table) -> Deployment:
    """An A/B test: half of the flights to each version, what became of them recorded later, and a verdict at the end that was named."""
    shares, outcomes = {old: 0.5, new: 0.5}, dict[str, int]()
    test = project.deployment.set_traffic(MODEL, "staging", shares, until=TEST, then="best", metric="live.accuracy")
    for columns, late in islice(requests(flights, 1), 0, None, EACH):
        prediction = project.deployment.predict(MODEL, "staging", columns)
        outcomes[prediction.prediction_id] = late[0]
    project.monitoring.record_outcomes(outcomes, model_id=MODEL)
    ends = test.test.ends if test.test is not None else test.created
    while test.test is not None and test.test.ended is None:  # what `mlops watch` does all the time
        time.sleep(0.5)
        project.monitoring.flush()
        project.monitoring.evaluate()
        project.deployment.advance()
        test = project.deployment.get(test.deployment_id)
    for version in (old, new):
        found = project.monitoring.get_metrics(MODEL, TEST, environment="staging", version=version, end=ends).live["accuracy"]
        say(f"version {version}: accuracy {found.value:.3f}, between {found.low:.3f} and {found.high:.3f}, of {found.n} flights")
    return test


def tidy(project: Project) -> None:
    """Roll back what an interrupted run of this script left on its way."""
    for endpoint in project.deployment.list():
        if endpoint.open is not None:
            project.deployment.rollback_deployment(endpoint.open.deployment_id, reason="left by an interrupted run")


def life(project: Project, flights: pa.Table) -> list[tuple[str, str]]:
    """From the first model to the rollback; answers the figures for the summary."""
    heading(1, "A first model of ten trees goes to staging and production")
    with Project.open(HERE, profile="baseline") as first:
        before = scores(train(first))
    old = project.versioning.get_version(MODEL).version

    heading(2, "A better model: collect, check, preprocess, train, validate, register, deploy to staging")
    after = scores(train(project))
    new = project.versioning.get_version(MODEL).version
    for line in project.versioning.get_lineage(MODEL, new).to_text().splitlines()[:8]:
        say(line)

    heading(3, "April's flights as requests to staging")
    april = replay(project, "staging", month(flights, APRIL), 25)
    say(f"roc_auc of the served answers {april['roc_auc']:.3f}, answered by {april['answered']}")
    show_health(project, "staging", new, april["sent"])

    heading(4, "Drift of April against January to March")
    april_delay = show_drift(project, new, month(flights, APRIL), REPORTS / "drift-april.html")

    heading(5, f"An A/B test in staging: {TEST.total_seconds():.0f} s, versions {old} and {new}, April's flights and what became of them")
    test = compare(project, old, new, month(flights, APRIL))
    say(test.reason)
    say("production is another matter: what follows asks whether the new version does harm")

    heading(6, f"Canary of version {new} in production, beside version {old}")
    canary = roll_out(project, new, month(flights, APRIL))
    if canary.status != "live":
        raise SystemExit(f"the canary ended {canary.status.value}: {canary.reason}")
    project.versioning.set_alias(MODEL, "champion", new)

    heading(7, "July's flights in production: the season changes")
    july = replay(project, "production", month(flights, JULY), 25)
    show_health(project, "production", new, july["sent"])
    july_delay = show_drift(project, new, month(flights, JULY), REPORTS / "drift-july.html")
    model = project.drift.detect_model_drift({"roc_auc": april["roc_auc"]}, {"roc_auc": july["roc_auc"]}, threshold=0.1)
    concept = project.drift.detect_concept_drift(april["truth"], april["hits"], july["truth"], july["hits"])
    say(f"ranking: roc_auc {april['roc_auc']:.3f} -> {july['roc_auc']:.3f}, model drift: {model.drift_detected}")
    say(f"errors at 0.5: {concept.reference_error_rate:.3f} -> {concept.current_error_rate:.3f}, concept drift: {concept.drift_detected}")
    for incident in project.monitoring.evaluate():
        say(f"alert: {incident.rule} is {incident.state} ({incident.condition})")
    show_monitor()

    heading(8, "Roll back")
    project.deployment.rollback_deployment(canary.deployment_id, reason="the season changed: train again with summer data")
    serving = project.deployment.status(MODEL, "production").live
    say(f"production serves version {serving.version if serving else 'none'} again")

    return [
        (f"version {old}: ten trees, April", f"roc_auc {before['roc_auc']:.3f}, log loss {before['log_loss']:.3f}"),
        (f"version {new}: a hundred trees, April", f"roc_auc {after['roc_auc']:.3f}, log loss {after['log_loss']:.3f}"),
        ("trivial baseline, April", f"roc_auc {after['baseline_roc_auc']:.3f}, log loss {after['baseline_log_loss']:.3f}"),
        ("KS distance of the delay, April / July", f"{april_delay:.3f} / {july_delay:.3f}"),
        ("served roc_auc, April / July", f"{april['roc_auc']:.3f} / {july['roc_auc']:.3f}"),
    ]


def main() -> None:
    """Run everything, print the summary, stop what was started."""
    began = time.monotonic()
    flights = csv.read_csv(HERE / "data" / "flights.csv.gz")
    with Project.open(HERE) as project:
        try:
            tidy(project)
            figures = life(project, flights)
            heading(9, "What happened")
            for name, value in figures:
                say(f"{name:<45} {value}")
            say(f"{'seconds of work':<45} {time.monotonic() - began:.0f}")
            heading(10, "Where to look")
            say(f"cd {HERE}")
            say("mlops status; mlops runs; mlops models; mlops deployments; mlops monitor flight_delay --live")
            say(f"mlflow ui --backend-store-uri {project.tracker.tracking_uri}")
        finally:
            for environment in project.settings.environments:
                project.deployment.shutdown(environment)
    say("the servers are stopped")


if __name__ == "__main__":
    main()
