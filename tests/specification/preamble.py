"""What the specification leaves undefined: a project with the six stages, files to log, data, a database.

Run in an empty folder before the examples, in the same namespace.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

from mlops_core import DriftDetector

__all__ = ["DriftDetector", "curr_metrics", "current_features", "db", "drift_result", "ref_metrics", "reference_features", "timedelta"]

Path("stages.py").write_text(
    """
import numpy as np
from sklearn.linear_model import LogisticRegression


def collect():
    rng = np.random.default_rng(7)
    words = rng.normal(size=(400, 3))
    return {"words": words.tolist(), "urgent": (words[:, 0] + 0.1 * rng.normal(size=400) > 0).astype(int).tolist()}


def preprocess(data_collection):
    return {"x": np.array(data_collection["words"]).tolist(), "y": data_collection["urgent"]}


def train(context, data_preprocessing):
    x, y = np.array(data_preprocessing["x"]), np.array(data_preprocessing["y"])
    model = LogisticRegression().fit(x[:300], y[:300])
    context.log_params({"C": model.C})
    context.log_metrics({"accuracy": float(model.score(x[300:], y[300:]))})
    return model


def custom():
    return {"custom": "done"}
"""
)
Path("mlops.yaml").write_text(
    """
version: 1
project: tickets
tenant: tenant_123
tracker: {use: mlflow, tracking_uri: ./mlruns}
registry: {use: sqlite, path: registry.db}
environments:
  staging: {use: local, port: 0}
  production: {use: local, port: 0}
monitoring: {sinks: [sqlite]}
drift: {tests: [ks]}
models: {trust: [joblib]}
pipeline:
  name: ticket_classifier_pipeline
  model: tickets
  stages:
    data_collection: {use: "./stages.py:collect"}
    data_preprocessing: {use: "./stages.py:preprocess"}
    training: {use: "./stages.py:train", inputs: {data_preprocessing: data_preprocessing}}
    validation: {require: {accuracy: {min: 0.8}}}
    deployment: {inputs: {model: training}, to: [staging]}
    monitoring: {}
    custom_stage: {use: "./stages.py:custom"}
"""
)

rng = np.random.default_rng(2024)
model = LogisticRegression().fit(rng.normal(size=(100, 4)), np.arange(100) % 2)
for folder in ("models", "plots"):
    Path(folder).mkdir()
joblib.dump(model, "models/ticket_classifier.joblib")
joblib.dump(model, "models/ticket_classifier_v1.joblib")
Path("plots/confusion_matrix.png").write_bytes(b"\x89PNG\r\n\x1a\n")

db = f"sqlite:///{Path('registry.db').absolute()}"
reference_features = rng.normal(size=(500, 3))
current_features = rng.normal(loc=(0.0, 0.0, 1.0), size=(500, 3))
ref_metrics = {"accuracy": 0.95, "f1": 0.93}
curr_metrics = {"accuracy": 0.88, "f1": 0.85}
drift_result = {"drift_detected": False}
