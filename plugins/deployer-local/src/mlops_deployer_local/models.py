"""Loaded versions of one serving process, warmed before they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import define, evolve, field, frozen

from mlops_core.records import EndpointKey, ModelVersion, SeriesKey, Variant
from mlops_core.records.routing import salt_of
from mlops_core.roles import Predictor, Recorder
from mlops_deployer_local.runner import Pace, Runner
from mlops_deployer_local.schema import kind_of
from mlops_deployer_local.shadow import Shadow
from mlops_deployer_local.units import Units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops_core.records import Column
    from mlops_core.roles import ServingHost
    from mlops_deployer_local.bodies import Form
    from mlops_deployer_local.metrics import Metrics

__all__ = ["Model", "Table", "one_line"]

_WARM: Final = {"float": (0.0, 1.0), "int": (0, 1), "bool": (False, True), "text": ("", "a"), "time": ("2024-01-01", "2024-07-01")}
_LONGEST: Final = 200


def one_line(error: BaseException) -> str:
    """A failure in one short line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_LONGEST]}" if text else type(error).__name__


@define(eq=False)
class Model:
    """A version in memory. Its predictions run in threads of its own, so that a slow model holds up neither the loop nor other models."""

    version: ModelVersion
    predictor: Predictor
    pace: Pace
    held: memoryview[int]
    fault: str = ""
    runner: Runner = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.runner = Runner(f"{self.version.model}-{self.version.version}", self.run, self.pace, self.held)

    @classmethod
    def load(cls, host: ServingHost, endpoint: EndpointKey, version: str, pace: Pace, metrics: Metrics) -> Model:
        """Load a version and let it predict once; what that raises is kept as ``fault``.

        Raises:
            MLOpsError: There is no such version, or it does not load.
        """
        found = host.version(endpoint.tenant, endpoint.model, version)
        predictor = host.load(found)
        return cls(found, predictor, pace, metrics.held(endpoint, version), _warm_up(found, predictor))

    def run(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Predict in the thread of the caller; answers arrays of one value per row.

        Raises:
            ValueError: The model answered something else.
        """
        outputs = self.predictor.predict(columns)
        rows = len(next(iter(columns.values())))
        arrays = {name: np.asarray(values) for name, values in outputs.items()}
        if not arrays or any(values.ndim == 0 or len(values) != rows for values in arrays.values()):
            raise ValueError("the model did not answer one value per row")
        return arrays

    def close(self) -> None:
        """Let go of the threads; predictions that have begun end."""
        self.runner.close()


def _warm_up(version: ModelVersion, predictor: Predictor) -> str:
    """Predict on made-up rows: zeros, and ones if the model refuses those. Answers why it refuses both; nothing if it does not."""
    if version.schema is None:
        return ""
    fault = ""
    for at in (0, 1):
        columns = {column.name: _made_up(column, at) for column in version.schema.inputs}
        try:
            predictor.predict(columns)
        except BaseException as error:  # noqa: BLE001  a model may raise anything, SystemExit too; no signal interrupts a thread that loads
            fault = f"it fails on a made-up row: {one_line(error)}"
        else:
            return ""
    return fault


def _made_up(column: Column, at: int) -> NDArray[Any]:
    kind = kind_of(column.dtype)
    dtype = object if kind == "text" else column.dtype
    return np.full((1, *column.shape), _WARM[kind][at], dtype=dtype)


@frozen
class Table:
    """One endpoint's routes in a serving process: replaced as a whole, never changed. Nobody who asks depends on the ``shadow``."""

    endpoint: EndpointKey
    revision: int
    variants: tuple[Variant, ...]
    models: Mapping[str, Model]
    recorders: Mapping[str, Recorder]
    shadow: Shadow | None = None
    units: Units | None = None

    @classmethod
    def of(cls, metrics: Metrics, endpoint: EndpointKey, plain: dict[str, Any], models: Mapping[str, Model], before: Table | None) -> Table:
        """The table for an endpoint of the state file, over the models that are in memory; ``before`` is the one it replaces."""
        variants = tuple(Variant(**one) for one in plain["routes"])
        revision = int(plain["revision"])
        if before is not None and before.revision == revision:
            return evolve(before, models=models)
        names = (endpoint.tenant, endpoint.environment, endpoint.model)
        recorders = {one.version: metrics.recorder(SeriesKey(*names, one.version), revision) for one in variants}
        path = metrics.host.workdir / "units" / endpoint.tenant / f"{endpoint.model}.bits"
        units = Units(path, salt_of(variants)) if len(variants) > 1 else None
        copied = models.get(plain.get("shadow") or "")
        if copied is None:
            return cls(endpoint, revision, variants, models, recorders, units=units)
        run = metrics.copying(endpoint, copied.version.version, copied.run)
        counted = metrics.recorder(SeriesKey(*names, copied.version.version), revision, shadow=True)
        return cls(endpoint, revision, variants, models, recorders, Shadow(copied.version, run, counted), units)

    def copy(self, form: Form, request: Any, prediction: str, size: int) -> None:
        """Give what was answered, to a body of ``size`` bytes, to the shadow, if there is one."""
        if self.shadow is not None:
            self.shadow.offer(form, request, prediction, size)

    def failed_before(self, unit: bytes | None) -> bool:
        """Whether this is a unit that failed before in the rollout; from now on it is."""
        return unit is not None and self.units is not None and self.units.add(unit.decode("latin-1"))

    def fault(self) -> str:
        """Why some request of this endpoint could not be answered; nothing if all can."""
        for one in self.variants:
            if one.weight > 0 and one.version not in self.models:
                return f"version {one.version} is not loaded"
            if one.weight > 0 and self.models[one.version].runner.stuck:
                return f"version {one.version} is busy with predictions that take too long"
        return "" if self.variants else "nothing is routed"
