"""The test ``page_hinkley``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from attrs import define, field, validators

from mlops_core.roles import StreamTest
from mlops_drift_online.state import from_arrays, to_arrays
from mlops_drift_online.value import read_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["PageHinkley", "Sums"]

_FURTHEST: Final = 3.0  # standard deviations that one value counts as, at most


@define
class Sums:
    """Count, mean and squared deviations of the values since the start or the last signal, and the two sums that are watched."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    rise: float = 0.0
    fall: float = 0.0


@define
class PageHinkley(StreamTest):
    """The Page-Hinkley test: a cumulative sum of deviations from the running mean.

    Page 1954 (Continuous inspection schemes, Biometrika 41, 100-115); with the running mean in place of a known one: Hinkley 1971
    (Inference about the change-point from cumulative sum tests, Biometrika 58, 509-523). The sum for a rise is max(0, sum + z - ``delta``),
    that for a fall max(0, sum - z - ``delta``), and one above ``threshold`` is a signal, after which everything starts anew. Here z is the
    deviation in running standard deviations, at most 3 of them, so that the defaults suit values of any size and a single wild
    value, or the first error after many right answers, is no change. ``standardise`` False takes the plain deviation, as Page does; then
    ``delta`` and ``threshold`` are in units of the values.

    Suits numbers whose mean may move by half a standard deviation or more: what is below ``delta`` is hardly ever found, by design. Not
    for rare errors, whose standard deviation is large against their rate: take ``adwin`` or ``ddm``.

    With the defaults, a stream without a change gives a false alarm less often than once in 10,000 values on average, for standard normal
    values and for errors of any rate from 1 % on (in streams of 20,000 values). After 1,000 values, a shift of the mean by one standard
    deviation is found after 40 values, and one by half of it after 200 on average. Time and memory O(1).

    Raises:
        DriftDetectionError: From ``update``: the value is no finite number of a size of at most 1e100; the state is as it was.

    Example:
        >>> import numpy as np
        >>> rng, test = np.random.default_rng(7), PageHinkley()
        >>> state, found = test.start(), []
        >>> for i, value in enumerate(np.concatenate([rng.normal(20, 5, size=500), rng.normal(25, 5, size=100)])):
        ...     state, signal = test.update(state, value)
        ...     found += [i] if signal else []
        >>> found
        [527]
    """

    contract: ClassVar[int] = 1

    delta: float = field(
        default=0.25, validator=validators.ge(0), metadata={"help": "Taken off per value: half of the shift that is to be found soon."}
    )
    threshold: float = field(
        default=20.0,
        validator=validators.gt(0),
        metadata={"help": "Sum that is a signal: a larger one means fewer false alarms, later."},
    )
    warm_up: int = field(
        default=30,
        validator=validators.ge(1),
        metadata={"help": "Values without a signal, at the start and after a signal."},
    )
    direction: Literal["both", "rise", "fall"] = field(
        default="both", validator=validators.in_(("both", "rise", "fall")), metadata={"help": "Which shifts of the mean are a change."}
    )
    standardise: bool = field(default=True, metadata={"help": "Divide deviations by the running standard deviation, and cap them at 3."})

    def start(self) -> Sums:
        """No values, and sums of 0."""
        return Sums()

    def update(self, state: Sums, value: float) -> tuple[Sums, bool]:
        """Add a value to the sums, in place."""
        number = read_number("page_hinkley", value)
        state.count += 1
        before = number - state.mean
        state.mean += before / state.count
        moved = number - state.mean
        state.squares += before * moved
        if state.count < self.warm_up:
            return state, False
        if self.standardise:
            scale = math.sqrt(state.squares / state.count)
            moved = max(-_FURTHEST, min(_FURTHEST, moved / scale)) if scale else 0.0
        state.rise = max(0.0, state.rise + moved - self.delta)
        state.fall = max(0.0, state.fall - moved - self.delta)
        found = (state.rise > self.threshold and self.direction != "fall") or (state.fall > self.threshold and self.direction != "rise")
        return (self.start(), True) if found else (state, False)

    def dump(self, state: Sums) -> Mapping[str, NDArray[Any]]:
        """The five numbers."""
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Sums:
        """What ``dump`` answered, back again."""
        return from_arrays(Sums, arrays)
