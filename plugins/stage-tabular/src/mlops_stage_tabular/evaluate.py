"""Stage ``metrics``: measure a model on held-out rows, and stop the run where a threshold is not met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core.exceptions import PipelineError
from mlops_core.records import Schema
from mlops_core.roles import Stage
from mlops_stage_tabular.features import labels_of, matrix_of
from mlops_stage_tabular.scores import check_names, chosen, score
from mlops_stage_tabular.tables import as_table, as_tuple, check_filters, kept, need_columns, one_line
from mlops_stage_tabular.train import TARGET

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_core.roles import StageContext

__all__ = ["MetricsStage"]

_NAME: Final = "metrics"
_BOUNDS: Final = ("min", "max")


def _check_bounds(stage: object, option: object, require: Mapping[str, Mapping[str, float]]) -> None:
    check_names(stage, option, require)
    for name, bounds in require.items():
        if not bounds:
            raise ValueError(f"{name}: has no bound - give min or max")
        for bound in bounds:
            if bound not in _BOUNDS:
                raise ValueError(f"{name}: no bound {bound!r} - use min or max")


@define(eq=False, kw_only=True)
class MetricsStage(Stage):
    """Takes ``model``, ``holdout`` and ``schema`` as the stage ``sklearn`` gives them; answers the metrics by name."""

    contract: ClassVar[int] = 1

    metrics: tuple[str, ...] = field(
        default=(), converter=as_tuple, validator=check_names, metadata={"help": "metrics to compute; none: all that fit the model"}
    )
    require: Mapping[str, Mapping[str, float]] = field(
        factory=dict,
        validator=_check_bounds,
        metadata={"help": "bounds that must hold, such as {roc_auc: {min: 0.65}, log_loss: {max: 0.6}}"},
    )
    target: str | None = field(default=None, metadata={"help": "the column of true values; none: the one the model was trained on"})
    filters: tuple[Any, ...] = field(
        default=(),
        converter=as_tuple,
        validator=check_filters,
        metadata={"help": "rows to measure: [column, operator, value] each, such as [month, '=', 4]"},
    )

    def run(self, context: StageContext, model: Any, holdout: Any, schema: Any) -> Any:
        """Measure, log, compare.

        Returns:
            Metrics by name.

        Raises:
            PipelineError: A bound is not met, or a metric or column does not exist.
        """
        table = as_table(holdout, _NAME, "holdout")
        target = self.target or (table.schema.metadata or {}).get(TARGET, b"").decode()
        if not target:
            raise PipelineError(f"{_NAME}: target: the rows do not say which column is true - name it in 'target'")
        names = _inputs(schema)
        need_columns(table, [target], _NAME, "target")
        need_columns(table, names, _NAME, "holdout")
        table = kept(table, self.filters, _NAME)
        if table.num_rows == 0:
            raise PipelineError(f"{_NAME}: filters: no row is left to measure on")
        wanted = self._wanted(model, len(getattr(model, "classes_", ())))
        measured = score(model, matrix_of(table, names), labels_of(_known(table, target)), wanted, _NAME)
        context.log_metrics({"rows": float(table.num_rows), **measured})
        self._compare(measured)
        return measured

    def _wanted(self, model: Any, classes: int) -> tuple[str, ...]:
        """The metrics to compute, and those that only a bound names."""
        wanted = chosen(self.metrics, model, classes, _NAME)
        further = [name for name in self.require if name not in wanted]
        return (*wanted, *chosen(further, model, classes, _NAME)) if further else wanted

    def _compare(self, measured: Mapping[str, float]) -> None:
        for name, bounds in self.require.items():
            value = measured[name]
            if not bounds.get("min", value) <= value <= bounds.get("max", value):
                wanted = " and ".join(f"{bound} {limit}" for bound, limit in bounds.items())
                raise PipelineError(f"{_NAME}: {name} is {value:.4g}, required {wanted} - train a better model, or change 'require'")


def _inputs(schema: Any) -> list[str]:
    try:
        return [column.name for column in Schema.from_dict(schema).inputs]
    except ValueError as error:
        raise PipelineError(f"{_NAME}: schema: {one_line(error)} - take the output 'schema' of the stage that trained") from error


def _known(table: pa.Table, target: str) -> pa.ChunkedArray:
    if table[target].null_count:
        raise PipelineError(f"{_NAME}: target: column {target!r} has missing values - filter those rows out")
    return table[target]
