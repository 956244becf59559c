"""Predicting with a scikit-learn model from named columns."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["SklearnPredictor"]

_NUMBERS: Final = "biuf"
_FEW: Final = 4096  # rows; below, several threads wait longer for each other on a busy machine than they save
# Classes whose `predict` is the most probable class, so that one pass answers both.
_BY_PROBABILITY: Final = (
    "sklearn.ensemble._forest",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting",
    "sklearn.linear_model._logistic",
    "sklearn.tree._classes",
)


@define(eq=False)
class SklearnPredictor:
    """Outputs ``prediction`` (n,), labels as the model was trained on, and ``probability`` (n, classes) where the model has it.

    Columns are put in the order of the schema, or of the names that the model was fitted with. A model that was fitted on a frame gets a
    frame (of pandas, else polars); any other a matrix: float where every column is a number or a truth value, else of objects, in which a
    missing text is None and a missing number NaN. Safe from several threads.
    """

    model: Any
    schema: Schema | None = None
    _names: tuple[str, ...] = field(init=False, default=())
    _frame: bool = field(init=False, default=False)
    _probable: bool = field(init=False, default=False)
    _classes: Any = field(init=False, default=None)
    _openmp: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        from threadpoolctl import ThreadpoolController

        self._openmp = [one for one in ThreadpoolController().lib_controllers if one.user_api == "openmp"]
        if not hasattr(self.model, "predict"):
            raise DeploymentError(f"model: {type(self.model).__qualname__} has no 'predict' - deploy an estimator or pipeline that has")
        fitted = getattr(self.model, "feature_names_in_", None)
        self._frame = fitted is not None
        self._names = tuple(fitted) if fitted is not None else tuple(one.name for one in self.schema.inputs) if self.schema else ()
        self._probable = hasattr(self.model, "predict_proba")
        last = self.model.steps[-1][1] if hasattr(self.model, "steps") else self.model
        self._classes = getattr(last, "classes_", None) if type(last).__module__ in _BY_PROBABILITY else None

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Predict rows given as one array per column.

        Raises:
            DeploymentError: A column is missing.
        """
        rows = self._rows(columns)
        # Not by the controller's own `limit`, which looks at every library each time: 25 us where these calls take one.
        several = [(one, count) for one in self._openmp if len(rows) <= _FEW and (count := one.get_num_threads()) != 1]
        for one, _ in several:
            one.set_num_threads(1)
        try:
            return self._answer(rows)
        finally:
            for one, count in several:
                one.set_num_threads(count)

    def _answer(self, rows: Any) -> Mapping[str, NDArray[Any]]:
        import numpy as np

        if not self._probable:
            return {"prediction": np.asarray(self.model.predict(rows))}
        probability = self.model.predict_proba(rows)
        if isinstance(self._classes, np.ndarray) and isinstance(probability, np.ndarray):
            return {"prediction": self._classes[probability.argmax(axis=1)], "probability": probability}
        prediction = np.asarray(self.model.predict(rows))
        return {"prediction": prediction, "probability": probability} if isinstance(probability, np.ndarray) else {"prediction": prediction}

    def _rows(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        import numpy as np

        names = self._names or tuple(columns)
        missing = [name for name in names if name not in columns]
        if missing:
            raise DeploymentError(f"model: no column {missing[0]!r} in the request - the model takes {', '.join(names)}")
        arrays = [np.asarray(columns[name]) for name in names]
        return _frame(names, arrays) if self._frame else _matrix(arrays)


def _matrix(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    import numpy as np

    if all(array.ndim == 1 and array.dtype.kind in _NUMBERS for array in arrays):
        table = np.empty((len(arrays[0]), len(arrays)))
        for at, array in enumerate(arrays):
            table[:, at] = array
        return table
    flat = [array.reshape(len(array), -1) for array in arrays]
    if all(array.dtype.kind in _NUMBERS for array in flat):
        return np.concatenate(flat, axis=1, dtype=np.float64)
    rows = np.empty((len(flat[0]), sum(array.shape[1] for array in flat)), dtype=object)
    at = 0
    for array in flat:
        rows[:, at : at + array.shape[1]] = array
        at += array.shape[1]
    return rows


def _frame(names: tuple[str, ...], arrays: list[NDArray[Any]]) -> Any:
    for library in ("pandas", "polars"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(library).DataFrame(dict(zip(names, arrays, strict=True)))
    raise DeploymentError("model: it was fitted on a data frame - install pandas or polars to predict with it")
