"""The test ``ddm``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field, validators

from mlops_core.roles import StreamTest
from mlops_drift_online.state import from_arrays, to_arrays
from mlops_drift_online.value import read_bit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["ErrorRate", "Errors"]


@define
class Errors:
    """Answers and errors since the start or the last signal; the error rate at its lowest, and its standard deviation there."""

    count: int = 0
    errors: int = 0
    lowest: float = math.inf
    deviation: float = 0.0


@define
class ErrorRate(StreamTest):
    """DDM: whether the error rate of a model rose above the lowest that it had. Values are 1 for an error and 0 for a right answer.

    Gama, Medas, Castillo & Rodrigues 2004 (Learning with drift detection, SBIA, LNAI 3171, 286-295). After n answers with an error rate p
    and s = sqrt(p (1 - p) / n), the lowest p + s so far is kept; a signal is p + s above lowest p + ``level`` times its s, after which
    everything starts anew. The paper looks from 30 answers on. With rare errors the lowest rate is then 0 and any error a signal, so
    here ``errors`` errors must have been seen, too; 0 gives the paper's rule.

    Suits a model whose error rate is steady or falls. It is blind to a fall, and slow after long quiet times, since p is the rate of all
    answers since the start: then take ``adwin``.

    With the defaults, a stream without a change gives a false alarm less often than once in 10,000 answers on average, for error rates from
    1 % to 50 % (in streams of 20,000 answers); with ``errors`` 0 it is once in about 3,000 at 1 %. After 1,000 answers, a rise of the error
    rate from 10 % to 30 % is found after 150 answers on average. Time and memory O(1).

    Raises:
        DriftDetectionError: From ``update``: the value is neither 0 nor 1; the state is as it was.

    Example:
        >>> import numpy as np
        >>> rng, test = np.random.default_rng(7), ErrorRate()
        >>> state, found = test.start(), []
        >>> for i, wrong in enumerate(np.concatenate([rng.random(1000) < 0.1, rng.random(200) < 0.3])):
        ...     state, signal = test.update(state, wrong)
        ...     found += [i] if signal else []
        >>> found
        [1039]
    """

    contract: ClassVar[int] = 1

    level: float = field(
        default=3.0, validator=validators.gt(0), metadata={"help": "Standard deviations above the lowest rate that are a signal."}
    )
    warm_up: int = field(
        default=30, validator=validators.ge(1), metadata={"help": "Answers without a signal, at the start and after a signal."}
    )
    errors: int = field(
        default=30, validator=validators.ge(0), metadata={"help": "Errors without a signal, at the start and after a signal."}
    )

    def start(self) -> Errors:
        """No answers."""
        return Errors()

    def update(self, state: Errors, value: float) -> tuple[Errors, bool]:
        """Count an answer, in place."""
        state.errors += read_bit("ddm", value)
        state.count += 1
        if state.count <= self.warm_up or state.errors < self.errors:
            return state, False
        rate = state.errors / state.count
        deviation = math.sqrt(rate * (1 - rate) / state.count)
        if rate + deviation <= state.lowest + state.deviation:
            state.lowest, state.deviation = rate, deviation
        found = rate + deviation > state.lowest + self.level * state.deviation
        return (self.start(), True) if found else (state, False)

    def dump(self, state: Errors) -> Mapping[str, NDArray[Any]]:
        """The four numbers."""
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Errors:
        """What ``dump`` answered, back again."""
        return from_arrays(Errors, arrays)
