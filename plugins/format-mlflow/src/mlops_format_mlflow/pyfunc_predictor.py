"""Predicting with a Python function of MLflow from named columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PyfuncPredictor"]


@define(eq=False)
class PyfuncPredictor:
    """The function gets a data frame with the columns in the order of the schema, or of the request where there is none.

    A frame or mapping that it answers is outputs by name, everything else the output ``prediction``.
    """

    model: Any
    schema: Schema | None = None

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Predict rows given as one array per column.

        Raises:
            DeploymentError: A column is missing, the function raises, or it does not answer one row for each row.
        """
        import numpy as np
        import pandas as pd

        names = [one.name for one in self.schema.inputs] if self.schema is not None else list(columns)
        missing = [name for name in names if name not in columns]
        if missing:
            raise DeploymentError(f"model: no column {missing[0]!r} in the request - the model takes {', '.join(names)}")
        arrays = {name: np.asarray(columns[name]) for name in names}
        frame = pd.DataFrame({name: array if array.ndim == 1 else list(array) for name, array in arrays.items()})
        try:
            answer = self.model.predict(frame)
        except Exception as error:  # the model's code, or MLflow where the columns are not those of its signature
            cause = " ".join(str(error).split())
            raise DeploymentError(f"model: it cannot predict: {type(error).__name__}: {cause[:300]}") from error
        named = {str(name): answer[name] for name in answer} if isinstance(answer, Mapping | pd.DataFrame) else {"prediction": answer}
        return {name: _rows(name, values, len(frame)) for name, values in named.items()}


def _rows(name: str, values: Any, rows: int) -> NDArray[Any]:
    import numpy as np

    array = np.asarray(values)
    if array.ndim == 0 or len(array) != rows:
        raise DeploymentError(f"model: the output {name!r} has the shape {array.shape} for {rows} rows - answer one row for each row")
    is_text = array.dtype == object and all(isinstance(one, str) for one in array.flat)
    return array.astype(str) if is_text else array
