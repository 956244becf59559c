"""One client that sends what no version can answer takes no canary back; a canary that fails everybody is taken back."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_core import Project
from mlops_core.config.settings import CanarySettings
from mlops_core.exceptions import MLOpsError
from tests.integration.conftest import LINE, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlops_core.records import Deployment

PREDICT = "def predict(self, columns: Any) -> Any:\n"
FAILING = f"""{PREDICT}
        if (columns["x"] < 0).any() or ((columns["x"] > 9).any() and self.slope == 2):
            raise ValueError("no such point")
"""
CONFIGURATION = """
version: 1
project: clients
tenant: acme
tracker: []
registry: {use: sqlite}
formats: ["./line.py:LineFormat"]
environments: {staging: {use: local, workers: 2}}
monitoring: {sinks: [sqlite]}
"""
PLAN = CanarySettings((0.5, 1.0), timedelta(seconds=0.1), 10, timedelta(hours=1), slo={"error_rate": 0.01})
PATIENCE = 60.0


def ask(project: Project, units: Sequence[str], x: float) -> None:
    for unit in units:
        with contextlib.suppress(MLOpsError):
            project.deployment.predict("line", "staging", {"x": [x]}, unit=unit)


def units_of_canary(project: Project) -> list[str]:
    """People whom their hash gives to the canary, the second version."""
    named = [f"unit {number}" for number in range(40)]
    return [unit for unit in named if project.deployment.predict("line", "staging", {"x": [1.0]}, unit=unit).version == "2"]


def judged(project: Project, errors: int) -> Deployment:
    """The canary once so many of its errors have been counted and it was looked at."""
    deadline = time.monotonic() + PATIENCE
    while project.monitoring.get_metrics("line", version="2").total_errors < errors:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    project.deployment.advance()
    return project.deployment.history("line", "staging")[-1]


def test_one_client_that_fails_takes_nobody_back_and_an_outage_does(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text(CONFIGURATION)
    (tmp_path / "line.py").write_text(LINE.replace(PREDICT, FAILING))
    with Project.open(tmp_path) as project:
        try:
            for version in "12":
                (tmp_path / version).write_text(f"line {version}")
                project.versioning.version_model("line", model_path=tmp_path / version, schema=SCHEMA)
            project.deployment.deploy_model("line", "1", "staging")
            project.deployment.start_canary("line", "2", "staging", canary=PLAN)
            bad, *good = units_of_canary(project)
            ask(project, [bad] * 30, -1.0)
            held = judged(project, 30)
            assert held.status == "canary", held.reason

            ask(project, good, 10.0)
            ended = judged(project, 30 + len(good))
            assert ended.status == "rolled_back", ended.reason
            assert "(29 of units that had failed before)" in ended.reason
            assert project.deployment.predict("line", "staging", {"x": [10.0]}, unit=bad).version == "1"
        finally:
            project.deployment.shutdown("staging")
