"""One data drift check from its arguments to its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from attrs import evolve

from mlops_core.drift.comparison import run_tests
from mlops_core.drift.pairing import pair
from mlops_core.drift.privacy import EVERY, Hashing
from mlops_core.drift.reference import Reference
from mlops_core.drift.selection import choose_tests, listed_tests
from mlops_core.drift.summary import distribution
from mlops_core.drift.table import column_names, read_table
from mlops_core.drift.verdict import check_level, effect_thresholds, judge
from mlops_core.exceptions import DriftDetectionError
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlops_core.drift.column import Kind
    from mlops_core.drift.pairing import Pairing
    from mlops_core.drift.results import DataDrift, Distribution
    from mlops_core.roles import DriftTest
    from mlops_core.stack import Stack

__all__ = ["CheckOptions", "check_data", "generator"]


class CheckOptions(TypedDict, total=False):
    """Options of ``DriftDetector.detect_data_drift``; None and what is left out mean the configuration's."""

    threshold: float | None
    columns: Sequence[str] | None
    correction: str | None
    min_effect: float | Mapping[str, float] | Literal["conventional"] | None
    tests: Sequence[str] | str | None
    schema: Mapping[str, Kind] | None
    seed: int


def check_data(stack: Stack, names: Sequence[str] | None, reference: Any, current: Any, options: CheckOptions) -> DataDrift:
    """Compare current data with a reference; ``names`` are the detector's own tests.

    Raises:
        DriftDetectionError: An option is wrong, or the data cannot be compared.
    """
    for name in options.keys() - CheckOptions.__annotations__.keys():
        raise DriftDetectionError(f"drift: a check has no option {name!r} - {nearest(name, CheckOptions.__annotations__)}")
    settings = stack.settings.drift
    threshold = check_level(_given(options.get("threshold"), settings.alpha))
    correction = _given(options.get("correction"), settings.correction)
    least = _given(options.get("min_effect"), settings.min_effect)
    columns = column_names(options.get("columns"))
    schema = options.get("schema")
    rng = generator(options.get("seed", 0))
    chosen = listed_tests(options.get("tests")) or names

    tests: Mapping[str, DriftTest]
    if isinstance(reference, Reference):
        tests = choose_tests(stack, _fitted(reference, chosen))
        if schema:
            raise DriftDetectionError("drift: schema: the kinds are those that the reference was fitted with - fit it again with others")
        fitted = reference if columns is None else reference.select(columns)
        hashing = None if reference.hashing is None else Hashing.of(stack, reference.hashing)
    else:
        tests = choose_tests(stack, chosen)
        fitted, hashing = Reference.fit(reference, tests, columns=columns, schema=schema, keep=EVERY, stack=stack), None
    pairing = pair(fitted, read_table("current", current, columns, fitted.schema), hashing)
    thresholds = effect_thresholds(least, tests)
    found = run_tests(fitted, pairing, tests, rng)
    answer = judge(fitted, pairing, found, threshold=threshold, correction=correction, least=thresholds)
    return evolve(answer, distributions=_distributions(fitted, pairing))


def _distributions(reference: Reference, pairing: Pairing) -> tuple[Distribution, ...]:
    profiles = {profile.name: profile for profile in reference.columns}
    found = (
        distribution(
            evolve(profiles[name], categories=pairing.labels[name]), reference.summaries[name], column, pairing.new_categories.get(name, ())
        )
        for name, column in pairing.columns.items()
    )
    return tuple(one for one in found if one is not None)


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _fitted(reference: Reference, names: Sequence[str] | None) -> Sequence[str]:
    """A fitted reference knows the tests it was fitted for, and no others."""
    for name in names or ():
        if name not in reference.tests:
            known = ", ".join(reference.tests)
            raise DriftDetectionError(f"drift: test {name!r}: the reference was fitted for {known} only - fit it again with {name!r}")
    return names or reference.tests


def generator(seed: Any) -> np.random.Generator:
    """The source of chance of a check; raises ``DriftDetectionError`` for what is no seed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise DriftDetectionError(f"drift: seed: {seed!r:.40} is no seed - give a whole number from 0 on")
    return np.random.default_rng(seed)
