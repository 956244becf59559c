"""Runs side by side, and what a query sees of them."""

from __future__ import annotations

from datetime import UTC, datetime

from mlops_core.records import Experiment, RunComparison, RunKey, RunStart, RunStatus, TrackedRun

AT = datetime(2024, 5, 1, tzinfo=UTC)


def run(run_id: str, **values: object) -> TrackedRun:
    return TrackedRun(run_id, "e", run_id, "acme", RunStatus.FINISHED, AT, **values)  # type: ignore[arg-type]


def test_only_what_differs_is_compared() -> None:
    compared = RunComparison((run("a", params={"d": "3", "s": "1"}, metrics={"loss": 0.5}), run("b", params={"d": "5", "s": "1"})))
    assert compared.params == {"d": ("3", "5")}
    assert compared["metrics"] == {"loss": (0.5, None)}
    assert RunComparison(()).params == {}


def test_fields_for_a_query() -> None:
    fields = run("a", params={"d": "3"}, tags={"team": "x"}, metrics={"loss": 0.5}).fields()
    assert (fields["status"], fields["params.d"], fields["tags.team"], fields["metrics.loss"]) == ("finished", "3", "x", 0.5)
    experiment = Experiment("acme", "e", {"team": "x"}, "1")
    assert experiment.fields() == {"name": "e", "experiment_id": experiment.experiment_id, "tags.team": "x"}


def test_an_experiment_s_id_is_its_tenant_s_and_name_s_whatever_the_backend() -> None:
    assert Experiment("acme", "e", {}, "1").experiment_id == Experiment("acme", "e", {}, "2").experiment_id
    assert len({Experiment(tenant, name).experiment_id for tenant in ("a", "b") for name in ("e", "f")}) == 4


def test_a_run_is_known_by_tenant_experiment_and_id() -> None:
    start = RunStart(RunKey("acme", "e", "r1"), "n", AT, parent=RunKey("acme", "f", "r1"))
    assert RunStart.from_dict(start.to_dict()) == start
    assert start.key != start.parent
    assert len({start.key, RunKey("acme", "e", "r1"), RunKey("other", "e", "r1")}) == 2
