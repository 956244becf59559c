"""From a served prediction to a live figure: the server logs, another process brings outcomes, and windows are revised."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from mlops_core import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION: Final = """\
version: 1
tracker: []
registry: sqlite
environments: {staging: local}
monitoring:
  sinks: [sqlite]
  sample: {columns: [x], rate: 100%}
  ground_truth: {rate: 100%}
formats: [json, {use: safetensors, predictor: "./net.py:Sign"}]
"""
NET: Final = '''
"""A model that tells the sign of x, sure of itself beyond one, and fails at zero."""

import numpy as np


class Sign:
    def __init__(self, arrays, schema):
        self.scale = arrays["w"][0]

    def predict(self, columns):
        x = columns["x"] * self.scale
        if (x == 0).any():
            raise ZeroDivisionError("it has no sign: planted-secret")
        late = 1 / (1 + np.exp(-x))
        return {"prediction": (x > 0).astype(int), "probability": np.stack([1 - late, late], axis=1)}
'''


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "mlops.yaml").write_text(CONFIGURATION)
    with Project.open(tmp_path) as project:
        try:
            schema = {"inputs": [{"name": "x", "dtype": "float64"}]}
            version = project.versioning.version_model("sign", model={"w": np.array([1.0])}, schema=schema)
            project.deployment.deploy_model("sign", version, "staging")
            yield project
        finally:
            project.deployment.shutdown("staging")


def ask(url: str, values: list[float]) -> dict[str, Any]:
    body = json.dumps({"inputs": {"x": values}}).encode()
    request = urllib.request.Request(f"{url}/endpoints/sign/invocations", body, {"Content-Type": "application/json"})  # noqa: S310  our own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  as above
        found: dict[str, Any] = json.load(answer)
        assert found["prediction_id"] == answer.headers["x-mlops-prediction-id"]
        return found


def bring(folder: Path, lines: str, *options: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("mlops")), "monitor", "outcomes", "-", "--json", "--project", str(folder), *options]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, cwd=folder)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_outcomes_of_served_predictions(served: Project, tmp_path: Path) -> None:
    url = served.deployment.status("sign", "staging").url.removesuffix("/v2/models/sign")
    one, three = ask(url, [0.5]), ask(url, [2.0, -2.0, -1.0])
    with pytest.raises(urllib.error.HTTPError, match="500"):
        ask(url, [0.0])
    lines = ["prediction_id,row,label", f"{one['prediction_id']},,1"]
    lines += [f"{three['prediction_id']},{row},{label}" for row, label in enumerate((1, 0, 1))]
    assert bring(tmp_path, "\n".join([*lines, "nobody,,1"])) == {"outcomes": 5, "accepted": 5, "without_label": 0}

    metrics = served.monitoring.get_metrics("sign", timedelta(hours=1), environment="staging")
    assert metrics.total_predictions == 3
    assert {name: (round(found.value, 6), found.n) for name, found in metrics.live.items()} == {
        "accuracy": (0.75, 4),
        "precision": (1.0, 2),
        "recall": (round(2 / 3, 6), 3),
        "f1": (0.8, 4),
        "roc_auc": (1.0, 4),
    }
    (failure,) = served.monitoring.failures("sign")
    assert (failure["error"], failure["features"]) == ("ZeroDivisionError", {"x": 0.0})
    assert bring(tmp_path, json.dumps({"prediction_id": one["prediction_id"], "label": 0})) == {
        "outcomes": 1,
        "accepted": 1,
        "without_label": 0,
    }
    assert served.monitoring.get_metrics("sign").live["accuracy"].value == 0.75  # the first outcome counts

    served.monitoring.flush()
    with sqlite3.connect(tmp_path / ".mlops" / "monitoring.db") as database:
        assert "planted-secret" not in "\n".join(database.iterdump())
