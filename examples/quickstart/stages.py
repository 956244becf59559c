"""Stages of the quickstart: a function is a stage, its parameters are outputs of earlier stages by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pyarrow.compute as pc

from mlops_core.exceptions import PipelineError
from mlops_core.roles.stage import Help

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_core.roles import StageContext

_USED = ("month", "carrier", "origin", "hour", "weekday", "distance", "temp", "humid", "wind_speed", "precip", "visib", "dep_delay", "late")


def check(
    context: StageContext, data_collection: pa.Table, *, max_missing: Annotated[float, Help("largest share of missing values")] = 0.2
) -> dict[str, Any]:
    """Stop before training on a broken file: columns, ranges and missing values that the model relies on."""
    lacking = [name for name in _USED if name not in data_collection.column_names]
    if lacking:
        raise PipelineError(f"data_check: the file has no column {lacking[0]!r} - make it again with data/make.py")
    missing = {name: data_collection[name].null_count / data_collection.num_rows for name in _USED}
    worst = max(missing, key=lambda name: missing[name])
    if missing[worst] > max_missing:
        raise PipelineError(f"data_check: {missing[worst]:.0%} of {worst!r} is missing, at most {max_missing:.0%} may be")
    hours = pc.min_max(data_collection["hour"]).as_py()
    if not 0 <= hours["min"] <= hours["max"] <= 23:
        raise PipelineError(f"data_check: 'hour' runs from {hours['min']} to {hours['max']} - hours of a day run from 0 to 23")
    late = pc.mean(data_collection["late"]).as_py()
    context.log_metrics({"late_share": late, "missing_share": missing[worst]})
    return {"rows": data_collection.num_rows, "late_share": late, "missing": missing}


def reference(data_preprocessing: pa.Table) -> pa.Table:
    """What later data are compared with: the months that the model learnt from, its inputs and the delay itself."""
    learnt = data_preprocessing.filter(pc.field("month") <= 3)
    return learnt.select(["carrier", "origin", "hour", "distance", "temp", "humid", "wind_speed", "dep_delay"])
