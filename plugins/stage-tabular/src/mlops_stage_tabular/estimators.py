"""The estimator that a configuration names, and the pipeline around it."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import PipelineError
from mlops_stage_tabular.tables import nearest, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_stage_tabular.features import Features

__all__ = ["make_estimator", "make_pipeline"]

_STAGE: Final = "sklearn"
_CODES: Final = 254  # categories of one column: histogram trees take 255 codes, one of them for those that are rare
_COLUMNS: Final = 50  # columns that one column may become


def make_estimator(path: str, params: Mapping[str, Any], seed: int) -> Any:
    """An unfitted estimator; ``random_state`` is the seed unless the parameters set it.

    Raises:
        PipelineError: The path leads to no classifier or regressor, or it does not take a parameter.
    """
    from sklearn.base import is_classifier, is_regressor

    kind = _class(path)
    known = list(inspect.signature(kind).parameters)
    for name in params:
        if name not in known:
            raise PipelineError(f"{_STAGE}: params: {kind.__name__} takes no {name!r} - {nearest(name, known)}")
    seeded = {"random_state": seed} if "random_state" in known else {}
    try:
        estimator = kind(**{**seeded, **params})
    except Exception as error:  # a constructor may raise anything
        raise PipelineError(f"{_STAGE}: params: {kind.__name__} cannot be made: {one_line(error)}") from error
    try:
        predicts = is_classifier(estimator) or is_regressor(estimator)
    except AttributeError as error:  # an estimator of estimators asks those that it was given, and they are texts
        told = f"what {kind.__name__} predicts cannot be told - name an estimator of scikit-learn's kind that needs no other one"
        raise PipelineError(f"{_STAGE}: estimator: {told}") from error
    if not predicts:
        raise PipelineError(f"{_STAGE}: estimator: {kind.__name__} is no classifier and no regressor - name one that predicts a target")
    return estimator


def _class(path: str) -> Any:
    module, dot, name = path.rpartition(".")
    if not dot or not all(path.split(".")):
        raise PipelineError(f"{_STAGE}: estimator: {path!r} is no path - write one such as sklearn.linear_model.LogisticRegression")
    try:
        home = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
        cause = one_line(error) or type(error).__name__
        raise PipelineError(f"{_STAGE}: estimator: {module!r} cannot be imported: {cause} - install it, or look at its name") from error
    found = getattr(home, name, None)
    if found is None:
        classes = [one for one in dir(home) if one[0].isupper()]
        raise PipelineError(f"{_STAGE}: estimator: no {name!r} in {module} - {nearest(name, classes)}")
    if not inspect.isclass(found) or not all(hasattr(found, one) for one in ("fit", "predict", "get_params")):
        raise PipelineError(f"{_STAGE}: estimator: {path} has no fit, predict and get_params - name an estimator of scikit-learn's kind")
    return found


def make_pipeline(estimator: Any, features: Features, encode: str) -> Any:
    """``Pipeline`` of an encoder for the columns, where one is needed, and the estimator.

    Text becomes codes (``ordinal``) or columns of 0 and 1 (``onehot``); ``auto`` takes codes for estimators of trees. Numbers are left as
    they are for estimators that take missing values, else scaled and filled with the median. A text that training has not seen is a missing
    value for ``ordinal`` (-1 where the estimator takes none) and all zeros for ``onehot``.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    gaps = _takes_missing(estimator)
    codes = encode == "ordinal" or (encode == "auto" and _is_tree(estimator))
    if gaps and not features.words:
        return Pipeline([("model", estimator)])
    count = len(features.numbers)
    steps: list[tuple[str, Any, list[int]]] = []
    if features.numbers:
        steps.append(("numbers", "passthrough" if gaps else _filled(), list(range(count))))
    if features.words:
        steps.append(("words", _codes(gaps=gaps) if codes else _columns(), list(range(count, len(features.names)))))
    if codes and features.words and getattr(estimator, "categorical_features", None) in (None, "from_dtype") and _is_histogram(estimator):
        estimator.set_params(categorical_features=list(range(count, len(features.names))))
    return Pipeline([("encode", ColumnTransformer(steps)), ("model", estimator)])


def _filled() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    # the scaler first: it leaves gaps alone and makes numbers of the objects in a matrix with text
    return Pipeline([("scale", StandardScaler()), ("fill", SimpleImputer(strategy="median"))])


def _codes(*, gaps: bool) -> Any:
    import numpy as np
    from sklearn.preprocessing import OrdinalEncoder

    missing = np.nan if gaps else -1
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=missing, encoded_missing_value=missing if gaps else -2, max_categories=_CODES
    )


def _columns() -> Any:
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_COLUMNS, sparse_output=False)


def _takes_missing(estimator: Any) -> bool:
    from sklearn.utils import get_tags

    return bool(get_tags(estimator).input_tags.allow_nan)


def _is_histogram(estimator: Any) -> bool:
    return type(estimator).__name__.startswith("HistGradientBoosting")


def _is_tree(estimator: Any) -> bool:
    name = type(estimator).__name__
    return any(part in name for part in ("Tree", "Forest", "Boosting", "XGB", "LGBM", "CatBoost"))
