"""A stream that is watched: what is counted, stored and refused."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.drift import DriftDetector, Reference, Watch
from mlops_core.drift.archive import write_archive
from mlops_core.exceptions import DriftDetectionError
from mlops_core.testing.hostile import hostile_pickles
from mlops_core.testing.stack import make_stack
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_online.adwin import AdaptiveWindow
from mlops_drift_online.ddm import ErrorRate

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack

RNG = np.random.default_rng(8)
ERRORS = np.concatenate([RNG.random(1000) < 0.1, RNG.random(300) < 0.4])


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return make_stack(tmp_path / "project", drift_tests={"ks": KolmogorovSmirnov(), "adwin": AdaptiveWindow(), "ddm": ErrorRate()})


@define
class Brittle(ErrorRate):
    """Raises what a stranger's test may raise."""

    contract: ClassVar[int] = 1

    def update(self, state: Any, value: Any) -> tuple[Any, bool]:
        return super().update(state, 1 // value)


def test_values_one_by_one_or_together_give_the_same_signals(detector: DriftDetector) -> None:
    one, many = detector.watch("ddm"), detector.watch("ddm")
    found = [i for i, wrong in enumerate(ERRORS) if one.update(wrong)]
    assert many.update_many(ERRORS) == found
    assert found
    assert found[0] >= 1000
    assert (many.test, many.seen, many.signals) == (one.test, one.seen, one.signals) == ("ddm", 1300, len(found))
    assert repr(many) == f"Watch(test='ddm', seen=1300, signals={len(found)})"
    assert many.update_many([]) == []


@given(cut=st.integers(0, 1300), test=st.sampled_from(["adwin", "ddm"]))
def test_a_stored_watch_goes_on_as_the_other(cut: int, test: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("watch")
    detector = DriftDetector(stack=make_stack(folder, drift_tests={"adwin": AdaptiveWindow(), "ddm": ErrorRate()}))
    watch = detector.watch(test)
    watch.update_many(ERRORS[:cut])
    watch.save(folder / "errors.npz")
    resumed = detector.resume_watch(folder / "errors.npz")
    assert repr(resumed) == repr(watch)
    assert resumed.update_many(ERRORS[cut:]) == watch.update_many(ERRORS[cut:])
    assert repr(resumed) == repr(watch)


def test_a_bad_value_counts_as_not_given(detector: DriftDetector, tmp_path: Path) -> None:
    watch = detector.watch()
    watch.update_many(ERRORS[:40])
    watch.save(tmp_path / "before")
    for refused in (lambda: watch.update("x"), lambda: watch.update_many([0.0, 1.0, float("nan")])):
        with pytest.raises(DriftDetectionError, match=r"^drift: adwin: .* is no finite number"):
            refused()
    watch.save(tmp_path / "after")
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


def test_what_a_strangers_test_raises_is_one_line() -> None:
    watch = Watch("brittle", Brittle())
    with pytest.raises(DriftDetectionError, match=r"test 'brittle' failed: ZeroDivisionError: .* - leave the value out"):
        watch.update_many([1, 1, 0])
    assert watch.seen == 0


def test_what_is_no_list_of_values(detector: DriftDetector) -> None:
    for wrong in (5, None, np.array(1.0)):
        with pytest.raises(DriftDetectionError, match="is no list of values - give one, or one value to update"):
            detector.watch().update_many(wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_only_tests_of_a_stream(detector: DriftDetector) -> None:
    with pytest.raises(
        DriftDetectionError, match="test 'ks' compares two samples, and takes no stream - name another test, such as 'adwin'"
    ):
        detector.watch("ks")
    for wrong in (5, None):
        with pytest.raises(DriftDetectionError, match="tests: expected names"):
            detector.watch(wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_another_files_test_or_options_are_refused(detector: DriftDetector, stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "errors.npz"
    detector.watch("ddm").save(path)
    other = make_stack(tmp_path / "other", drift_tests={"ddm": ErrorRate(level=2.0)})
    with pytest.raises(DriftDetectionError, match=r"watch errors\.npz: it was saved with .*'level': '3\.0'.* has the options .*2\.0"):
        Watch.load(path, stack=other)
    with pytest.raises(DriftDetectionError, match=r"reference errors\.npz: it is something else"):
        Reference.load(path)
    Reference.fit([1.0, 2.0], ["ks"], stack=stack).save(path)
    with pytest.raises(DriftDetectionError, match=r"watch errors\.npz: it is something else - give a file that Watch\.save wrote"):
        detector.resume_watch(path)


def test_a_newer_version_is_refused(detector: DriftDetector, tmp_path: Path) -> None:
    path = tmp_path / "errors.npz"
    write_archive(path, {"version": 2, "test": "ddm"}, {}, what="watch")
    with pytest.raises(DriftDetectionError, match=r"watch errors\.npz: it is of version 2, .* or start a new watch"):
        detector.resume_watch(path)


def test_damage_is_one_line_and_nothing_in_it_runs(detector: DriftDetector, tmp_path: Path) -> None:
    path, marker = tmp_path / "errors.npz", tmp_path / "marker"
    detector.watch("ddm").save(path)
    with np.load(path) as archive:
        arrays = {name: array for name, array in archive.items() if name != "state.count"}
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    with pytest.raises(DriftDetectionError, match=r"watch errors\.npz: cannot be read: KeyError: 'count' - give a file that Watch\.save"):
        detector.resume_watch(path)
    for content in (b"", b"x" * 100, *hostile_pickles(marker).values()):
        path.write_bytes(content)
        with pytest.raises(DriftDetectionError, match="cannot be read"):
            detector.resume_watch(path)
    assert not marker.exists()


def test_threads_lose_no_value(detector: DriftDetector) -> None:
    watch = detector.watch()
    threads = [threading.Thread(target=lambda: [watch.update(0.0) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.seen == 2000
