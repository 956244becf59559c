"""The facade, as the specification writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlops_core.drift
from mlops_core.drift import DriftDetector, Reference
from mlops_core.drift.results import DriftResults
from mlops_core.exceptions import DriftDetectionError
from mlops_core.functions import create_drift_detector
from mlops_core.records import DriftChecked
from mlops_core.testing.clock import FakeClock

if TYPE_CHECKING:
    from mlops_core.stack import Stack

RNG = np.random.default_rng(9)
BEFORE, AFTER = RNG.normal(size=(300, 3)), RNG.normal([0, 0, 0.6], size=(250, 3))
CHANGED = {"drift_detected": True, "threshold": 0.05}


def test_data_drift_answers_by_attribute_and_by_item(detector: DriftDetector) -> None:
    found = detector.detect_data_drift(reference_data=BEFORE, current_data=AFTER, threshold=0.05)
    assert found["drift_detected"] is found.drift_detected is True
    assert 0 < found["p_value"] == found.p_value <= 0.05
    assert found["drifted_columns"] == ("x2",)
    assert {name: found[name] for name in CHANGED} == CHANGED


def test_no_drift_between_halves_of_one_sample(detector: DriftDetector) -> None:
    assert not detector.detect_data_drift(BEFORE[::2], BEFORE[1::2]).drift_detected


def test_every_table_library_gives_the_same_answer(detector: DriftDetector) -> None:
    before = {"delay": BEFORE[:, 0].tolist(), "carrier": RNG.choice(["AA", "UA", "DL"], 300).tolist(), "late": [True, False, None] * 100}
    after = {"delay": AFTER[:, 2].tolist(), "carrier": RNG.choice(["AA", "B6"], 250).tolist(), "late": [True, None] * 125}
    answers = [detector.detect_data_drift(make(before), make(after)) for make in (dict, pd.DataFrame, pl.DataFrame, pa.table)]
    assert answers[1:] == answers[:1] * 3
    found = answers[0]
    assert set(found.drifted_columns) == {"carrier", "late", "delay"}
    assert found.new_categories == {"carrier": ("B6",)}
    assert found.missing_categories == {"carrier": ("DL", "UA")}
    assert [one.test for one in found.of("late")] == ["psi", "missing"]


def test_columns_that_differ_are_named_and_the_rest_compared(detector: DriftDetector) -> None:
    found = detector.detect_data_drift({"a": BEFORE[:, 0], "gone": BEFORE[:, 1]}, {"a": AFTER[:, 2], "new": AFTER[:, 1]})
    assert (found.new_columns, found.missing_columns, found.drifted_columns) == (("new",), ("gone",), ("a",))


def test_columns_that_no_test_takes_are_named(stack: Stack) -> None:
    data = {"delay": BEFORE[:, 0], "carrier": RNG.choice(["AA", "UA"], 300)}
    found = DriftDetector(tests=["ks"], stack=stack).detect_data_drift(data, data)
    assert found.untested_columns == ("carrier",)
    assert found.p_value == 1.0


def test_a_change_of_missing_values_alone_is_drift(detector: DriftDetector) -> None:
    gusts = BEFORE[:, 0].copy()
    gusts[:120] = np.nan
    found = detector.detect_data_drift({"gust": BEFORE[:, 0]}, {"gust": gusts})
    (missing,) = [one for one in found.outcomes if one.test == "missing"]
    assert found.drift_detected
    assert missing.drifted
    assert (missing.reference_missing, missing.current_missing, missing.effect_size) == (0.0, 0.4, 0.4)
    assert [one.drifted for one in found.outcomes if one.test != "missing"] == [False, False]


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_a_feed_that_has_stopped_is_drift_and_hides_nothing(detector: DriftDetector, make: Any) -> None:
    kinds = {"number": BEFORE[:, 0].tolist(), "text": ["AA", "UA", "DL"] * 100, "flag": [True, False] * 150, "delay": BEFORE[:, 1].tolist()}
    dead = dict.fromkeys(("number", "text", "flag"), [None] * 250)
    found = detector.detect_data_drift(make(kinds), make({**dead, "delay": AFTER[:, 2].tolist()}))
    assert found.drifted_columns == ("number", "text", "flag", "delay")
    assert found.untested_columns == ("number", "text", "flag")
    assert [(one.test, one.current_missing) for column in dead for one in found.of(column)] == [("missing", 1.0)] * 3


def test_one_value_among_the_missing_is_not_tested(detector: DriftDetector) -> None:
    found = detector.detect_data_drift({"a": BEFORE[:, 0], "b": BEFORE[:, 1]}, {"a": [1.0, *[None] * 249], "b": BEFORE[:250, 1]})
    assert (found.drifted_columns, found.untested_columns) == (("a",), ("a",))


def test_a_practical_threshold_keeps_small_changes_quiet(detector: DriftDetector) -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=100_000), rng.normal(0.03, size=100_000)
    assert detector.detect_data_drift(before, after).drift_detected
    assert not detector.detect_data_drift(before, after, min_effect=0.05).drift_detected
    assert not detector.detect_data_drift(before, after, tests=["psi"], min_effect="conventional").drift_detected


def test_a_fitted_reference_stands_for_its_data(detector: DriftDetector) -> None:
    reference = detector.fit_reference(BEFORE)
    assert isinstance(reference, Reference)
    assert detector.detect_data_drift(reference, AFTER) == detector.detect_data_drift(BEFORE, AFTER)
    assert [column.name for column in detector.fit_reference(BEFORE, columns=["x1"]).columns] == ["x1"]


def test_equal_seeds_give_equal_answers(detector: DriftDetector) -> None:
    first = detector.detect_data_drift(BEFORE[:50], AFTER[:40], seed=3)
    assert detector.detect_data_drift(BEFORE[:50], AFTER[:40], seed=3) == first
    assert detector.detect_data_drift(BEFORE[:50], AFTER[:40], seed=4) != first


def test_model_drift_as_specified(detector: DriftDetector) -> None:
    quiet = detector.detect_model_drift({"accuracy": 0.95, "f1": 0.93}, {"accuracy": 0.88, "f1": 0.85}, threshold=0.1)
    assert not quiet["drift_detected"]
    assert quiet["degradation"] == pytest.approx({"accuracy": 0.07 / 0.95, "f1": 0.08 / 0.93})
    assert detector.detect_model_drift({"accuracy": 0.95}, {"accuracy": 0.88}, threshold=0.05)["drift_detected"]
    assert detector.detect_model_drift({"gain": 2.0}, {"gain": 1.0}, directions={"gain": "higher"}).degraded_metrics == ("gain",)


def test_concept_drift_needs_labels(detector: DriftDetector) -> None:
    labels = RNG.integers(0, 2, 400)
    found = detector.detect_concept_drift(labels, labels, labels, np.where(np.arange(400) % 5 == 0, 1 - labels, labels))
    assert found.drift_detected
    assert (found.reference_error_rate, found.current_error_rate, found.threshold) == (0.0, 0.2, 0.05)


def test_all_checks_at_once(detector: DriftDetector) -> None:
    labels = RNG.integers(0, 2, 100)
    found = detector.check_drift(
        reference_data=BEFORE,
        current_data=AFTER,
        reference_metrics={"accuracy": 0.9},
        current_metrics={"accuracy": 0.89},
        reference_labels=labels,
        reference_predictions=labels,
        current_labels=labels,
        current_predictions=labels,
    )
    assert isinstance(found, DriftResults)
    assert found.data_drift is not None
    assert found.model_drift is not None
    assert found.concept_drift is not None
    assert [found.drift_detected, found.data_drift.drift_detected, found.model_drift.drift_detected] == [True, True, False]
    assert not found.concept_drift.drift_detected
    assert DriftResults.from_dict(found.to_dict()) == found


def test_only_the_checks_that_are_given(detector: DriftDetector) -> None:
    found = detector.check_drift(reference_metrics={"f1": 1.0}, current_metrics={"f1": 0.7}, metric_threshold=0.4)
    assert (found.data_drift, found.concept_drift, found.drift_detected) == (None, None, False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "there is nothing to check - give data, metrics, or labels and predictions"),
        ({"reference_data": [1.0, 2.0]}, "data: the current side is missing - give reference_data and current_data"),
        ({"current_metrics": {"f1": 1.0}}, "metrics: the reference side is missing"),
        ({"reference_labels": [1, 0], "current_labels": [1, 0]}, "concept drift needs labels and predictions - give both"),
    ],
)
def test_half_a_check_is_refused(detector: DriftDetector, given: dict[str, Any], told: str) -> None:
    with pytest.raises(DriftDetectionError, match=told):
        detector.check_drift(**given)


def test_every_check_is_an_event(stack: Stack, detector: DriftDetector) -> None:
    labels = [0, 1, 0, 1]
    detector.detect_data_drift(BEFORE, AFTER)
    detector.detect_model_drift({"f1": 1.0}, {"f1": 0.5})
    detector.detect_concept_drift(labels, labels, labels, labels)
    events: list[Any] = stack.parts.events  # type: ignore[attr-defined]  # the parts of a test stack keep them
    assert [type(event) for event in events] == [DriftChecked] * 3
    assert [(event.kind, event.drift_detected) for event in events] == [("data", True), ("model", True), ("concept", False)]
    assert events[0].detail == {"drifted_columns": ["x2"]}
    assert events[1].detail == {"degradation": {"f1": 0.5}}
    assert events[2].detail == {"reference_error_rate": 0.0, "current_error_rate": 0.0}
    assert [event.p_value for event in events[1:]] == [None, 1.0]
    assert {event.at for event in events} == {FakeClock().now()}


def test_a_check_that_fails_is_no_event(stack: Stack, detector: DriftDetector) -> None:
    with pytest.raises(DriftDetectionError):
        detector.detect_data_drift(BEFORE, AFTER[:, :2])
    assert stack.parts.events == []  # type: ignore[attr-defined]  # as above


def test_tenants(stack: Stack) -> None:
    assert DriftDetector(stack=stack).tenant_id == "acme"
    assert create_drift_detector(tenant_id="other", tests=["ks"], stack=stack).tenant_id == "other"
    with pytest.raises(DriftDetectionError, match=r"tenant: '../x' is not a name"):
        DriftDetector("../x")


def test_a_custom_detector_as_specified(stack: Stack) -> None:
    class CustomDriftDetector(DriftDetector):
        def detect_custom_drift(self, data1: Any, data2: Any) -> bool:
            return self.detect_data_drift(data1, data2, tests=["ks"]).drift_detected

    assert CustomDriftDetector(tenant_id="tenant_123", stack=stack).detect_custom_drift(BEFORE, AFTER)


def test_it_needs_no_project_and_leaves_nothing_behind(tmp_path: Path) -> None:
    found = DriftDetector(tenant_id="t").detect_data_drift(BEFORE, AFTER)
    assert {one.test for one in found.outcomes} == {"ks", "psi"}
    assert found.drift_detected
    assert list(Path.cwd().iterdir()) == []


def test_what_is_wrong_changes_nothing_and_says_one_line(detector: DriftDetector) -> None:
    wrong: list[tuple[Any, Any, dict[str, Any]]] = [
        (np.zeros(0), BEFORE, {}),
        (BEFORE, BEFORE[:1], {}),
        (BEFORE, AFTER[:, :2], {}),
        (np.full((5, 3), np.nan), BEFORE, {}),
        (BEFORE, np.full((5, 3), np.inf), {}),
        ({"a": [1.0, 2.0]}, {"a": ["one", "two"]}, {}),
        (np.arange(20_000).astype(str), np.arange(20_000).astype(str), {}),
        (BEFORE, AFTER, {"threshold": 0}),
        (BEFORE, AFTER, {"threshold": 1.0}),
        (BEFORE, AFTER, {"correction": "fdr"}),
        (BEFORE, AFTER, {"tests": ["kss"]}),
        (BEFORE, AFTER, {"columns": ["y"]}),
        (BEFORE, AFTER, {"min_effect": -1}),
        (BEFORE, AFTER, {"seed": -1}),
        (BEFORE, object(), {}),
    ]
    for reference, current, options in wrong:
        with pytest.raises(DriftDetectionError) as found:
            detector.detect_data_drift(reference, current, **options)
        assert "\n" not in found.value.message
        assert " - " in found.value.message or "only" in found.value.message


def test_importing_it_is_light() -> None:
    program = "import sys, mlops_core.drift; print(*sorted({'numpy', 'scipy', 'narwhals', 'pandas', 'cattrs'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""


def test_names_of_the_package() -> None:
    assert all(getattr(mlops_core.drift, name).__name__ == name for name in mlops_core.drift.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Detector'"):
        mlops_core.drift.Detector  # noqa: B018  asking is the point


@pytest.mark.parametrize("wrong", [5, object(), [], b"x", [5], {"a": 1}])
@pytest.mark.parametrize("name", ["threshold", "columns", "correction", "min_effect", "tests", "seed"])
def test_an_option_of_a_wrong_type_is_one_line(detector: DriftDetector, name: str, wrong: Any) -> None:
    if (name, wrong) in [("seed", 5), ("min_effect", 5)]:
        return  # these are right
    with pytest.raises(DriftDetectionError) as found:
        detector.detect_data_drift(BEFORE, AFTER, **{name: wrong})
    assert "\n" not in found.value.message
    assert name in found.value.message
