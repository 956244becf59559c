"""What a drift test answers."""

from __future__ import annotations

from attrs import frozen

from mlops_core.records.record import Record

__all__ = ["TestOutcome"]


@frozen
class TestOutcome(Record):
    """One comparison of reference and current.

    ``p_value`` is in (0, 1] (never exactly 0); ``effect_size`` is the practical size of the change in the method's own unit, ``statistic``
    what the decision was made on; ``n`` and ``m`` are the sizes of reference and current that were used.
    """

    __test__ = False  # pytest would collect a class of this name

    statistic: float
    p_value: float
    effect_size: float
    method: str
    n: int
    m: int
