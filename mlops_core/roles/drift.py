"""The drift role: two-sample tests, and tests of a stream."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.records import TestOutcome

__all__ = ["DriftTest", "StreamTest", "drift_test"]

Function = TypeVar("Function", bound="Callable[..., Any]")


class DriftTest(Backend):
    """Compares a reference sample with a current one.

    ``scope`` ``column``: samples of shape (n,); ``table``: (n, d); ``labelled``: pairs (x, y). ``kinds`` are the column kinds it takes:
    ``numeric`` (float64) and ``categorical`` (int64 codes with one code space for both sides: the reference's categories are 0..k-1, and
    codes from k on are new ones). Values are finite: the core has taken care of missing ones. ``effect_threshold`` is the conventional
    practical threshold of its effect size, 0 for none.
    """

    __slots__ = ()

    scope: ClassVar[Literal["column", "table", "labelled"]] = "column"
    kinds: ClassVar[frozenset[str]] = frozenset({"numeric"})
    effect_threshold: ClassVar[float] = 0.0

    def prepare(self, reference: NDArray[Any]) -> Any:
        """What of a reference can be computed once; the default keeps the sample as it is."""
        return reference

    @abstractmethod
    def compare(self, reference: Any, current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        """Test current (m,) or (m, d) against what ``prepare`` answered; p is in (0, 1]."""

    def compare_columns(self, reference: Any, current: NDArray[Any], *, rng: Generator) -> list[TestOutcome]:
        """Test each column of (m, d) against its own prepared reference, given as a list."""
        return [self.compare(prepared, current[:, i], rng=rng) for i, prepared in enumerate(reference)]

    def dump(self, prepared: Any) -> Mapping[str, NDArray[Any]]:
        """A prepared reference as named arrays."""
        import numpy as np

        return {"reference": np.asarray(prepared)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """What ``dump`` answered, back again."""
        return arrays["reference"]


def drift_test(
    *, scope: Literal["column", "table"] = "column", kinds: Iterable[str] = ("numeric",), effect_threshold: float = 0.0
) -> Callable[[Function], Function]:
    """Say of a function ``(reference, current, *, rng, ...)`` what a ``DriftTest`` says of itself; it stays a function.

    Needed for other than the defaults only: ``use: ./detectors.py:function`` takes a plain one, too.
    """

    def mark(function: Function) -> Function:
        function.drift_test = {"scope": scope, "kinds": frozenset(kinds), "effect_threshold": effect_threshold}  # type: ignore[attr-defined]  # any function takes attributes
        return function

    return mark


class StreamTest(Backend):
    """Watches one value at a time. Same entry-point group as ``DriftTest``; it has no p-value and stays outside the correction.

    A state belongs to one stream, and ``update`` may change it in place. A bad value is a ``DriftDetectionError`` and changes nothing.
    """

    __slots__ = ()

    @abstractmethod
    def start(self) -> Any:
        """A fresh state."""

    @abstractmethod
    def update(self, state: Any, value: float) -> tuple[Any, bool]:
        """The state after ``value``, and whether it signals a change."""

    @abstractmethod
    def dump(self, state: Any) -> Mapping[str, NDArray[Any]]:
        """A state as named arrays, which do not follow it."""

    @abstractmethod
    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """What ``dump`` answered, back again."""
