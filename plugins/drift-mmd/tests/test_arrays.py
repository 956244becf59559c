"""The kernels on another array library: ``array-api-strict``, which refuses all that the standard does not say."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import array_api_strict
import numpy as np
import pytest

from mlops_core.exceptions import DriftDetectionError
from mlops_drift_mmd import AggregatedDiscrepancy, FusedDiscrepancy, MaximumMeanDiscrepancy, collection, mean_discrepancy
from mlops_drift_mmd.arrays import NUMPY, Library, library
from mlops_drift_mmd.discrepancy import discrepancies
from mlops_drift_mmd.kernels import Kernel
from mlops_drift_mmd.permutation import signs

if TYPE_CHECKING:
    from mlops_core.roles import DriftTest

STRICT = Library(array_api_strict)


@pytest.mark.parametrize("tile", [100, 512, 2048])
def test_every_library_finds_the_same_discrepancies(tile: int) -> None:
    rng = np.random.default_rng(1)
    points, labels = rng.normal(size=(700, 3)), signs(400, 300, 20, rng)
    kernels = [Kernel("euclidean", 1.3), Kernel("euclidean", 0.4), Kernel("cityblock", 2.0)]
    here, there = discrepancies(points, kernels, labels), discrepancies(points, kernels, labels, Library(array_api_strict, tile=tile))
    assert type(there.squared) is type(there.mean_square) is np.ndarray
    assert there.squared == pytest.approx(here.squared, abs=1e-7)
    assert there.mean_square == pytest.approx(here.mean_square, rel=1e-5)


@pytest.mark.parametrize("kind", [MaximumMeanDiscrepancy, AggregatedDiscrepancy, FusedDiscrepancy])
def test_an_equal_seed_answers_the_same_on_every_library(kind: type[DriftTest], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=(200, 3)), rng.normal(0.05, size=(150, 3))

    def outcome() -> Any:
        test = kind()
        return test.compare(test.prepare(before), after, rng=np.random.default_rng(0))

    here = outcome()
    for module in (mean_discrepancy, collection):
        monkeypatch.setattr(module, "library", lambda array: STRICT)
    there = outcome()
    assert there.p_value == here.p_value
    assert (there.statistic, there.effect_size) == pytest.approx((here.statistic, here.effect_size), rel=1e-4, abs=1e-7)


def torch(monkeypatch: pytest.MonkeyPatch, *, raises: Exception | None = None) -> Any:
    """Stand in for the library, which is too large to be installed for tests."""

    def empty(size: int, device: str) -> Any:
        if raises is not None:
            raise raises
        return SimpleNamespace(to=lambda device: None)

    namespace = SimpleNamespace(empty=empty)
    monkeypatch.setitem(sys.modules, "array_api_compat", SimpleNamespace(torch=namespace))
    return namespace


def test_an_option_names_the_library_and_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = torch(monkeypatch)
    assert library("numpy") is NUMPY
    assert library("torch") == Library(namespace, "cpu")
    assert library("torch:cuda:1") == Library(namespace, "cuda:1", 2048)


def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    torch(monkeypatch, raises=AssertionError("Torch not compiled with CUDA enabled"))
    with pytest.raises(
        DriftDetectionError, match=r"^array: torch:cuda: torch has no such device here - Torch not compiled with CUDA enabled"
    ):
        library("torch:cuda")


def test_a_library_that_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "array_api_compat", None)
    with pytest.raises(DriftDetectionError, match=r"^array: torch needs .* run: pip install torch 'motadata-mlops-drift-mmd\[array\]'"):
        MaximumMeanDiscrepancy(array="torch").compare(np.zeros((3, 1)), np.ones((3, 1)), rng=np.random.default_rng(0))


@pytest.mark.parametrize("array", ["jax", "torch:", "numpy:cuda", "torch cuda"])
def test_an_unknown_library_is_refused(array: str) -> None:
    with pytest.raises(ValueError, match="array"):
        MaximumMeanDiscrepancy(array=array)
