"""Series of predictions, and the mergeable segments that describe them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from attrs import field, frozen

from mlops_core.records.quality import Quality
from mlops_core.records.record import Record

__all__ = ["DEFAULT_ENVIRONMENT", "UNNAMED", "UNVERSIONED", "Alert", "Joined", "Logged", "Segment", "SeriesKey", "ValueSum"]

DEFAULT_ENVIRONMENT = "default"
UNVERSIONED = "unversioned"
UNNAMED = "unnamed"
"""The model of outcomes whose caller names none."""


@frozen(order=True)
class SeriesKey(Record):
    """Whose predictions are counted. ``default`` and ``unversioned`` are reserved for callers that name no environment or version."""

    tenant: str
    environment: str
    model: str
    version: str = UNVERSIONED


@frozen
class ValueSum(Record):
    """A recorded figure (drift, live accuracy) over a segment; merging adds ``count`` and ``sum`` and keeps the later ``last``.

    ``at`` is when ``last`` was recorded; None: at the end of its segment.
    """

    count: int
    sum: float
    last: float
    at: datetime | None = None


@frozen
class Segment(Record):
    """Predictions of one series over [start, end), from one writer, under one routing revision.

    A sink that has (writer, sequence) already drops a second copy. ``latency_sum`` in seconds. ``histogram`` maps a bucket of
    ``mlops_core.records.histogram`` to its count. ``repeated_errors``, of ``errors``, are those of units that had failed before in the same
    rollout: where routing keeps a unit on one version, they say nothing new of it. ``sample`` are predictions that were drawn uniformly:
    mappings with ``prediction_id``, ``features``, ``share`` and more, see ``mlops_core.records.sampling``. ``failures`` are some of those
    that failed, in the same form with their ``error``; they enter no statistic. ``quality`` sums what became known of predictions of this
    time.
    """

    series: SeriesKey
    start: datetime
    end: datetime
    writer: str
    sequence: int
    revision: int = 0
    total: int = 0
    errors: int = 0
    repeated_errors: int = 0
    errors_by_type: Mapping[str, int] = field(factory=dict)
    latency_sum: float = 0.0
    histogram: Mapping[int, int] = field(factory=dict)
    values: Mapping[str, ValueSum] = field(factory=dict)
    sample: tuple[Mapping[str, Any], ...] = ()
    failures: tuple[Mapping[str, Any], ...] = ()
    quality: Quality | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it carries nothing: it came with rows of the prediction log, and only moves its writer's mark on."""
        return not (self.total or self.values or self.sample or self.failures or self.quality)


@frozen
class Logged(Record):
    """One row of the prediction log: a prediction, or an outcome. Idempotent by (series, kind, prediction_id, row).

    ``row`` is the place in a request of several rows. An outcome's series names the model at most, ``unnamed`` where the caller named none.
    """

    series: SeriesKey
    kind: Literal["prediction", "outcome"]
    prediction_id: str
    at: datetime
    value: Any
    row: int = 0


@frozen
class Joined(Record):
    """A logged prediction and what turned out to be right."""

    prediction: Logged
    label: Any


@frozen
class Alert(Record):
    """What a channel is sent. ``key`` is the same for every delivery of one transition of one incident."""

    key: str
    tenant: str
    rule: str
    model: str
    environment: str
    state: Literal["firing", "resolved"]
    at: datetime
    summary: str
    value: float | None = None
    labels: Mapping[str, str] = field(factory=dict)
