"""Stage ``sklearn``: fit an estimator that the configuration names, and measure it on rows it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from attrs import define, field, validators

from mlops_core.exceptions import PipelineError
from mlops_core.roles import Stage
from mlops_stage_tabular.estimators import make_estimator, make_pipeline
from mlops_stage_tabular.features import Features, labels_of, matrix_of, schema_of
from mlops_stage_tabular.scores import check_names, chosen, score
from mlops_stage_tabular.split import by_time, random_split
from mlops_stage_tabular.tables import as_table, as_tuple, need_columns, one_line
from mlops_stage_tabular.target import check_target, weighted

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from numpy.typing import NDArray

    from mlops_core.roles import StageContext

__all__ = ["TARGET", "SklearnStage"]

TARGET: Final = b"mlops.target"
_NAME: Final = "sklearn"
_SEEDS: Final = 2**31
_SMALL: Final = 1_000_000  # values in a table, below which one thread is as fast as two and never waits for a busy processor


def _share(_stage: object, _field: object, share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"{share} is no share - give one between 0 and 1, such as 0.25")


@define(eq=False, kw_only=True)
class SklearnStage(Stage):
    """Outputs ``model`` (a fitted scikit-learn ``Pipeline``), ``holdout`` (the rows it has not seen, a table) and ``schema``.

    Logs the metrics of the held-out rows, and under ``baseline_`` those of the trivial model that always answers the shares of the classes
    (or the mean). Text columns are encoded inside the model, so a served model takes the columns as they are.
    """

    contract: ClassVar[int] = 1
    outputs: ClassVar[tuple[str, ...]] = ("model", "holdout", "schema")

    estimator: str = field(metadata={"help": "path of the class, such as sklearn.ensemble.HistGradientBoostingClassifier"})
    target: str = field(metadata={"help": "the column to predict; rows where it is missing are dropped"})
    params: Mapping[str, Any] = field(factory=dict, metadata={"help": "parameters of the estimator"})
    features: tuple[str, ...] = field(
        default=(),
        converter=as_tuple,
        metadata={"help": "columns to learn from; none: all of numbers, flags and text but the target"},
    )
    exclude: tuple[str, ...] = field(default=(), converter=as_tuple, metadata={"help": "columns not to learn from if 'features' is empty"})
    categorical: tuple[str, ...] = field(default=(), converter=as_tuple, metadata={"help": "number columns that are codes of categories"})
    encode: Literal["auto", "ordinal", "onehot"] = field(
        default="auto", metadata={"help": "how categories are encoded; auto: ordinal for trees, else onehot"}
    )
    time: str | None = field(default=None, metadata={"help": "column of time: later rows are held out; none: rows at random"})
    test_from: Any = field(default=None, metadata={"help": "first value of 'time' that is held out, in place of test_size"})
    test_size: float = field(default=0.25, validator=_share, metadata={"help": "share of the rows that is held out, between 0 and 1"})
    metrics: tuple[str, ...] = field(
        default=(), converter=as_tuple, validator=check_names, metadata={"help": "metrics to log; none: all that fit the estimator"}
    )
    threads: int | None = field(
        default=None,
        validator=validators.optional(validators.ge(1)),
        metadata={"help": "threads of the numerical libraries; none: one for small data, where more only wait for each other"},
    )
    seed: int | None = field(
        default=None,
        validator=validators.optional(validators.ge(0)),
        metadata={"help": "seed of the split and of the estimator; none: from the pipeline's seed"},
    )

    def run(self, context: StageContext, data_preprocessing: Any) -> Any:
        """Split, fit, measure.

        Raises:
            PipelineError: A column, parameter or metric does not exist, or nothing can be learnt from the data.
        """
        import numpy as np

        table = self._labelled(as_table(data_preprocessing, _NAME, "data_preprocessing"))
        rng = context.rng if self.seed is None else np.random.default_rng(self.seed)
        estimator = make_estimator(self.estimator, weighted(self.params, table[self.target]), int(rng.integers(_SEEDS)))
        classifies = _is_classifier(estimator)
        check_target(table, self.target, self.estimator, classifies=classifies)
        train, held_out = self._split(table, rng, classifies=classifies)
        features = Features.choose(train, self.target, self.features, self._excluded(), self.categorical)
        with self._limited(train.num_rows * len(features.names)):
            context.progress(0, 2, "fitting")
            model, truth = self._fit(make_pipeline(estimator, features, self.encode), train, features, classifies=classifies)
            context.progress(1, 2, "measuring")
            measured = self._measure(model, _baseline(truth, classifies=classifies), held_out, features)
        context.log_params({"estimator": self.estimator, "target": self.target, "features": len(features.names), **self.params})
        context.log_metrics({"rows_train": float(train.num_rows), "rows_holdout": float(held_out.num_rows), **measured})
        schema = schema_of(table, features, truth, len(getattr(model, "classes_", ())))
        noted = held_out.replace_schema_metadata({**(held_out.schema.metadata or {}), TARGET: self.target.encode()})
        return {"model": model, "holdout": noted, "schema": schema.to_dict()}

    def _labelled(self, table: pa.Table) -> pa.Table:
        import pyarrow.compute as pc

        need_columns(table, [self.target], _NAME, "target")
        need_columns(table, [self.time] if self.time is not None else [], _NAME, "time")
        labelled = table.filter(pc.is_valid(table[self.target]))
        if labelled.num_rows == 0:
            raise PipelineError(f"{_NAME}: target: column {self.target!r} has only missing values - choose another target")
        return labelled

    def _excluded(self) -> tuple[str, ...]:
        """The column of time is left out unless it is named: later rows have values that training never saw."""
        return (*self.exclude, self.time) if self.time is not None and self.time not in self.exclude else self.exclude

    def _limited(self, values: int) -> AbstractContextManager[Any]:
        from threadpoolctl import threadpool_limits

        return cast("AbstractContextManager[Any]", threadpool_limits(self.threads or (1 if values < _SMALL else None)))

    def _split(self, table: pa.Table, rng: Any, *, classifies: bool) -> tuple[pa.Table, pa.Table]:
        if self.time is not None:
            return by_time(table, self.time, self.test_size, self.test_from, _NAME)
        if self.test_from is not None:
            raise PipelineError(f"{_NAME}: test_from: needs the column of time - name it in 'time'")
        labels = labels_of(table[self.target])
        train, held_out = random_split(table, labels if classifies else None, self.test_size, rng)
        if min(train.num_rows, held_out.num_rows) == 0:
            told = f"{self.test_size} of {table.num_rows} rows leaves none to train on or to hold out"
            among = f", with {len({*labels.tolist()})} classes" if classifies else ""
            raise PipelineError(f"{_NAME}: test_size: {told}{among} - take more rows, or another share or target")
        return train, held_out

    def _fit(self, model: Any, train: pa.Table, features: Features, *, classifies: bool) -> tuple[Any, NDArray[Any]]:
        import numpy as np

        truth = labels_of(train[self.target])
        if classifies and len(np.unique(truth)) == 1:
            raise PipelineError(f"{_NAME}: target: all {len(truth)} training rows have {self.target} = {truth[0]} - train on more rows")
        try:
            return model.fit(matrix_of(train, features.names), truth), truth
        except Exception as error:  # an estimator may raise anything about its parameters and its rows
            raise PipelineError(f"{_NAME}: {self.estimator} cannot be fitted: {one_line(error)}") from error

    def _measure(self, model: Any, baseline: Any, held_out: pa.Table, features: Features) -> dict[str, float]:
        rows, truth = matrix_of(held_out, features.names), labels_of(held_out[self.target])
        names = chosen(self.metrics, model, len(getattr(model, "classes_", ())), _NAME)
        trivial = score(baseline, rows, truth, names, _NAME)
        return {**score(model, rows, truth, names, _NAME), **{f"baseline_{name}": value for name, value in trivial.items()}}


def _is_classifier(estimator: Any) -> bool:
    from sklearn.base import is_classifier

    return bool(is_classifier(estimator))


def _baseline(truth: NDArray[Any], *, classifies: bool) -> Any:
    import numpy as np
    from sklearn.dummy import DummyClassifier, DummyRegressor

    model = DummyClassifier(strategy="prior") if classifies else DummyRegressor()
    return model.fit(np.zeros((len(truth), 1)), truth)
