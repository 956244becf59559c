"""Stages of this project. A function is a stage: parameters are inputs by name, keyword-only ones are options for mlops.yaml."""

from __future__ import annotations

import pyarrow as pa
from sklearn.datasets import load_breast_cancer


def collect() -> pa.Table:
    """569 tumours with 30 measurements each (Wolberg, Street and Mangasarian 1995), as scikit-learn ships them."""
    data = load_breast_cancer()
    columns = {name.replace(" ", "_"): data.data[:, i] for i, name in enumerate(data.feature_names)}
    return pa.table({**columns, "malignant": 1 - data.target})


def preprocess(data: pa.Table, *, drop: tuple[str, ...] = ()) -> pa.Table:
    """Leave out columns that the model should not see."""
    return data.drop_columns(list(drop))
