"""The picture of a rollout, at the widths of real terminals."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from rich.console import Console

from mlops_core.cli.rollout import RolloutView
from mlops_core.records import Deployment, DeploymentStatus, Rollout, RolloutReport, ShadowRun, SplitTest, Variant, VersionFigures

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
PLAN = Rollout(
    (0.05, 0.25, 1.0),
    timedelta(minutes=2),
    100,
    timedelta(hours=1),
    slo={"error_rate": 0.01},
    step=1,
    started=AT - timedelta(minutes=5),
    step_started=AT - timedelta(seconds=30),
    ends=AT + timedelta(minutes=55),
    verdict="continue",
    metrics={"evidence.worse": math.log(200) / 2, "evidence.above.error_rate": -3.0, "evidence.no_worse": 1000.0},
)
ONE = Deployment(
    "production/delays/2", "acme", "production", "delays", "2.0.0", 2, DeploymentStatus.CANARY, (Variant("2-2.0.0", "2.0.0", 1.0),), AT, AT
)
FIGURES = (
    VersionFigures("1.0.0", "live", 0.75, 12_000, 12, 0, 0.002, 0.0018, 0.004, 0.009),
    VersionFigures("2.0.0", "canary", 0.25, 1_400, 3, 7, 0.002, 0.0018, 0.004, 0.009),
)
CANARY = RolloutReport(
    evolve(ONE, rollout=PLAN, reason="3 errors in 1400 requests: too few"), "canary", AT, AT - timedelta(minutes=5), None, FIGURES, 40
)
SHADOW = evolve(CANARY, deployment=evolve(ONE, status=DeploymentStatus.SHADOW, shadow=ShadowRun(AT)), kind="shadow")
TEST = evolve(
    CANARY,
    deployment=evolve(ONE, status=DeploymentStatus.LIVE, test=SplitTest(AT + timedelta(days=3, hours=4), "best", "error_rate")),
    kind="test",
)


def drawn(report: RolloutReport, width: int = 120, **more: Any) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(RolloutView(report, **more))
    return captured.get()


def test_each_test_of_a_canary_has_a_bar_of_its_own() -> None:
    bounded = evolve(PLAN, slo={"error_rate": 0.01, "p95_latency": 0.2}, implied=True)
    found = RolloutView(evolve(CANARY, deployment=evolve(ONE, rollout=bounded))).evidence()
    assert [about for about, _, _ in found] == [
        "worse than the live version",
        "worse than the live version by p95_latency",
        "above error_rate",
        "above p95_latency",
        "no worse than the live version",
    ]


@pytest.mark.parametrize("width", [80, 140])
def test_a_canary_fits_its_terminal_with_steps_versions_and_evidence(width: int) -> None:
    shown = drawn(CANARY, width)
    assert max(map(len, shown.splitlines())) <= width
    for said in (
        "CANARY  production/delays/2",
        "5%  [25%]  100%",
        "40 of 100 requests, 1m 30s left",
        "55m 0s left, then hold",
        "12,000",
        "0.21%",
    ):
        assert said in shown
    bars = [line.rstrip().split("  ") for line in shown.splitlines() if "█" in line or "░" in line]
    assert [(one[0], one[-1].strip()) for one in bars] == [
        ("worse than the live version", "14.1 of 200"),
        ("above error_rate", "0.0498 of 200"),
        ("no worse than the live version", "1e434 of 20"),
        ("within its objectives", "1 of 20"),
    ]
    assert [line.count("█") for line in shown.splitlines() if "░" in line or "█" in line] == [10, 0, 20, 0]


def test_a_shadow_tells_dropped_copies_and_a_test_its_end() -> None:
    assert "dropped" in drawn(SHADOW)
    assert "Evidence" not in drawn(SHADOW)
    assert "3d 4h left, then best by error_rate" in drawn(TEST)
    assert "dropped" not in drawn(TEST)


def test_one_that_is_over_says_since_when() -> None:
    over = drawn(evolve(CANARY, ended=AT - timedelta(minutes=1)))
    assert ("ended" in over, "deadline" in over) == (True, False)
    assert "no newer figures: away" in drawn(CANARY, note="no newer figures: away")


@pytest.fixture
def canary(mlops: Callable[..., Answer], versions: tuple[str, str]) -> str:
    mlops("deploy", "line", "1", "--to", "production")
    return str(mlops("canary", "start", "line", "2", "--to", "production", "--step-time", "0s", "--json").json["deployment_id"])


def test_status_in_a_pipe_is_plain_and_json_is_the_record(mlops: Callable[..., Answer], canary: str, project: Project) -> None:
    plain = mlops("canary", "status", "line", "--to", "production")
    assert (plain.code, plain.err) == (0, "")
    assert plain.out.startswith(f"{canary}: canary\n")
    assert "worse than the live version" in plain.out
    record = mlops("canary", "status", canary, "--json").json
    assert ([one["role"] for one in record["figures"]], record["kind"]) == (["live", "canary"], "canary")
    project.deployment.rollback_deployment(canary)
    assert "ended" in mlops("canary", "status", canary, "--live").out


@pytest.mark.parametrize("args", [["line"], ["production/line/1", "--to", "production"]])
def test_status_needs_an_id_or_a_model_with_its_environment(
    mlops: Callable[..., Answer], versions: tuple[str, str], args: list[str]
) -> None:
    answer = mlops("canary", "status", *args)
    assert answer.code == 2
    assert "give the id of a deployment, or a model and --to ENVIRONMENT" in answer.err
