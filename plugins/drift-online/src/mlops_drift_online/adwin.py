"""The test ``adwin``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define, field, validators

from mlops_core.roles import StreamTest
from mlops_drift_online.value import read_number
from mlops_drift_online.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["AdaptiveWindow"]


@define
class AdaptiveWindow(StreamTest):
    """ADWIN: a window of the newest values that is cut wherever its older and newer part differ in the mean.

    Bifet & Gavalda 2007 (Learning from time-changing data with adaptive windowing, SIAM SDM, 443-448), the version ADWIN2. Once in
    ``every`` values each cut between two buckets is looked at: the parts of n0 and n1 values differ if their means lie further apart than
    sqrt(2 v L / m) + 2 s L / (3 m), with 1/m = 1/n0 + 1/n1, v the variance of the window of n values, L = ln(2 ln(n) / delta) and s the
    ``spread`` of the values. Then the oldest bucket is dropped, until no cut differs; that is one signal. What is left of the time
    before a change gives one to three more signals, on average, while newer values arrive.

    Suits the errors of a model, rates, and light-tailed numbers of about the size of 1; give ``spread`` for others: a change of a
    hundredth of it takes about a thousand values to be found, however small the variance. Heavy tails give more false alarms, since v is
    estimated: one in 17,000 values for Student's t with 3 degrees of freedom.

    With the defaults, a stream without a change gives a false alarm less often than once in 20,000 values on average, for standard normal
    values and for errors of any rate from 1 % on (in streams of 20,000 values; there were 2 in 1,200,000). After 1,000 values, a shift of
    the mean by one standard deviation is found within 100 values, a rise of the error rate from 10 % to 30 % within 200 on average.

    Memory: ``buckets`` + 1 pairs of numbers for each power of two in the window. Time O(1) per value, O(log n) per look.

    Raises:
        DriftDetectionError: From ``update``: the value is no finite number of a size of at most 1e100; the state is as it was.

    Example:
        >>> import numpy as np
        >>> rng, test = np.random.default_rng(7), AdaptiveWindow()
        >>> state, found = test.start(), []
        >>> for i, value in enumerate(np.concatenate([rng.normal(size=500), rng.normal(1, size=100)])):
        ...     state, signal = test.update(state, value)
        ...     found += [i] if signal else []
        >>> found[0]
        543
    """

    contract: ClassVar[int] = 1

    delta: float = field(
        default=0.002,
        validator=[validators.gt(0), validators.lt(1)],
        metadata={"help": "Confidence of a cut is 1 - this: smaller means fewer false alarms and later signals."},
    )
    every: int = field(default=32, validator=validators.ge(1), metadata={"help": "Look for a change once in so many values."})
    shortest: int = field(default=5, validator=validators.ge(1), metadata={"help": "Fewest values on either side of a cut."})
    buckets: int = field(
        default=5, validator=validators.ge(1), metadata={"help": "Most buckets of one size: more of them mean more cuts, and memory."}
    )
    spread: float = field(
        default=1.0, validator=validators.gt(0), metadata={"help": "Largest less smallest usual value; 1 suits errors, which are 0 or 1."}
    )

    def start(self) -> Window:
        """An empty window."""
        return Window()

    def update(self, state: Window, value: float) -> tuple[Window, bool]:
        """Add a value to the window, in place, and look for a change where it is time to."""
        state.add(read_number("adwin", value), self.buckets)
        return state, state.seen % self.every == 0 and self._cut(state)

    def dump(self, state: Window) -> Mapping[str, NDArray[Any]]:
        """The buckets, and how many values were seen."""
        return state.to_arrays()

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Window:
        """What ``dump`` answered, back again."""
        return Window.from_arrays(arrays)

    def _cut(self, window: Window) -> bool:
        found = False
        while self._differs(window):
            window.drop_oldest()
            found = True
        return found

    def _differs(self, window: Window) -> bool:
        counts, means, squares = window.to_columns()
        size = float(counts.sum())
        if size < 2 * self.shortest:
            return False
        apart = means - counts @ means / size  # from the mean, so that large values cost no digits
        variance = (squares.sum() + counts @ (apart * apart)) / size
        sums, older = np.cumsum(counts * apart), np.cumsum(counts)[:-1]
        newer = size - older
        between = np.abs(sums[:-1] / older - (sums[-1] - sums[:-1]) / newer)
        rate, log = 1 / older + 1 / newer, math.log(2 * math.log(size) / self.delta)
        chance = np.sqrt(2 * rate * variance * log) + 2 / 3 * self.spread * rate * log
        return bool(((between > chance) & (older >= self.shortest) & (newer >= self.shortest)).any())
