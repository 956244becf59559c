"""MLflow, imported at first use. It warns of its own code while it is imported."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

__all__ = ["import_mlflow"]


def import_mlflow(name: str) -> Any:
    """A module of MLflow. What it warns of is no concern of whoever stores a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mlflow.pyfunc")
        return importlib.import_module(name)
