"""The prediction log and the reading of labels."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.ground_truth import GroundTruth, PredictionLog, checked_label
from mlops_core.records import Joined, Logged, Quality, SeriesKey
from mlops_core.records.quality import class_name

AT = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
SERIES = SeriesKey("acme", "production", "tickets", "1")


def quality(*pairs: tuple[Any, Any], truth: GroundTruth | None = None) -> Quality:
    """Of pairs of a logged value and a label."""
    (found,) = (truth or GroundTruth(1.0)).tally([Joined(Logged(SERIES, "prediction", "p", AT, value), label) for value, label in pairs])
    assert found.quality is not None
    return found.quality


def test_pairs_are_summed_by_series_and_second() -> None:
    other = SeriesKey("acme", "production", "tickets", "2")
    places = [(SERIES, AT), (SERIES, AT + timedelta(seconds=0.5)), (SERIES, AT + timedelta(seconds=1)), (other, AT)]
    joined = [Joined(Logged(series, "prediction", str(place), at, {"prediction": 1}), 1) for place, (series, at) in enumerate(places)]
    found = GroundTruth(1.0).tally(joined)
    second = AT.replace(microsecond=0)
    assert [(one.series, one.start, one.end, one.total, one.quality and one.quality.labelled) for one in found] == [
        (SERIES, second, second + timedelta(seconds=1), 0, 2),
        (SERIES, second + timedelta(seconds=1), second + timedelta(seconds=2), 0, 1),
        (other, second, second + timedelta(seconds=1), 0, 1),
    ]


@pytest.mark.parametrize(
    ("value", "label", "actual", "predicted"),
    [
        ({"prediction": 1}, True, 1, 1),
        ({"prediction": True}, 0, 0, 1),
        ({"prediction": 1}, 1.0, 1, 1),
        ({"prediction": 1}, "1", 1, 1),
        ({"prediction": True}, "true", 1, 1),
        ({"prediction": "late"}, "early", "early", "late"),
        ({"prediction": "1.10"}, "1.1", "1.1", "1.10"),
        ({"prediction": 7}, 3, 3, 7),
        ({"score": 0.7}, 0, 0, 1),
        ({"score": 0.2}, True, 1, 0),
        ({"prediction": 0, "score": 0.7}, 0, 0, 0),  # its own threshold
        ({"prediction": "x" * 65 + "a"}, "x" * 65 + "b", "x" * 65 + "b", "x" * 65 + "a"),
    ],
)
def test_what_is_a_class(value: Any, label: Any, actual: Any, predicted: Any) -> None:
    found = quality((value, label))
    assert (found.labelled, found.numeric, found.confusion) == (1, 0, {class_name(actual): {class_name(predicted): 1}})
    assert found.correct == (actual == predicted)


def test_of_what_classes_are_called_only_a_hash_is_kept() -> None:
    assert "planted" not in str(quality(({"prediction": "planted-answer"}, "planted-label")))


@pytest.mark.parametrize(
    ("value", "label", "error"),
    [
        ({"prediction": 2.5}, 2, 0.5),
        ({"prediction": 3.0}, 2, 1.0),
        ({"prediction": 0.8}, 1, 0.2),  # a score has a place of its own
        ({"prediction": 2.5}, "2.00", 0.5),
        ({"prediction": 0.5}, 0.25, 0.25),
        ({"prediction": 2.5}, 10**400, 1e60),
    ],
)
def test_what_is_a_number(value: Any, label: Any, error: float) -> None:
    found = quality((value, label))
    assert (found.labelled, found.numeric) == (0, 1)
    assert found.absolute == pytest.approx(error)


def test_counts_are_numbers_where_the_answer_is_one() -> None:
    rng = np.random.default_rng(3)
    means = rng.uniform(0, 2, 500)
    pairs = [({"prediction": float(mean)}, int(count)) for mean, count in zip(means, rng.poisson(means), strict=True)]
    assert (quality(*pairs).numeric, quality(*pairs).labelled) == (500, 0)


def test_digits_have_no_positive_class() -> None:
    found = quality(*(({"prediction": digit}, digit if digit < 8 else 0) for digit in range(10)))
    assert set(found.estimates()) == {"accuracy", "f1"}
    f1 = found.estimate("f1")
    assert f1 is not None
    assert f1.value == pytest.approx((7 + 1 / 2) / 10)


def test_the_task_decides_where_it_is_named() -> None:
    counts = GroundTruth(1.0, "regression")
    assert quality(({"prediction": 3}, 1), ({"prediction": 0.7}, 1), truth=counts).numeric == 2
    two = class_name(2)
    assert quality(({"prediction": 2.0}, 2.0), truth=GroundTruth(1.0, "classification")).confusion == {two: {two: 1}}
    assert GroundTruth(1.0, "regression").tally([Joined(Logged(SERIES, "prediction", "p", AT, {"prediction": "a"}), "a")]) != []


def test_scores_are_of_the_positive_class() -> None:
    truth = GroundTruth(1.0, positive="late")
    found = quality(
        ({"prediction": "late", "score": 0.9}, "late"),
        ({"prediction": "early", "score": 0.2}, "early"),
        ({"score": 0.1}, "early"),
        truth=truth,
    )
    late, early = class_name("late"), class_name("early")
    assert (found.positive, sum(found.positives.values()), sum(found.negatives.values())) == (late, 1, 2)
    assert found.confusion == {early: {early: 2}, late: {late: 1}}
    estimate = found.estimate("roc_auc")
    assert estimate is not None
    assert estimate.value == 1.0
    wrong = quality(({"score": 0.1}, "late"), ({"score": 0.9}, "early"), truth=truth)
    assert wrong.confusion == {late: {class_name("not late"): 1}, early: {late: 1}}


def test_what_cannot_be_compared_is_left_out() -> None:
    joined = [Joined(Logged(SERIES, "prediction", "p", AT, value), "a") for value in ({}, {"score": 0.5}, {"prediction": None}, None)]
    assert GroundTruth(1.0).tally(joined) == []


def test_a_prediction_and_its_outcome_are_chosen_alike() -> None:
    truth, log = GroundTruth(0.3), PredictionLog(SERIES, GroundTruth(0.3))
    for number in range(500):
        log.add(f"p{number}", 2, {"prediction": np.array([1, 0])}, AT)
    rows, dropped = log.drain()
    assert {(row.prediction_id, row.row) for row in rows} == {
        (f"p{number}", row) for number in range(500) for row in range(2) if truth.logs(f"p{number}", row)
    }
    assert dropped == 0
    assert 230 < len(rows) < 370
    assert all(truth.wants(row.prediction_id, 2) for row in rows)
    assert log.drain() == ((), 0)


@pytest.mark.parametrize(
    ("outputs", "value"),
    [
        ({"prediction": np.array(["late"]), "probability": np.array([[0.2, 0.8]])}, {"prediction": "late", "score": 0.8}),
        ({"prediction": (1,), "score": (0.25,)}, {"prediction": 1, "score": 0.25}),
        ({"prediction": (1,), "score": ((0.75, 0.25),)}, {"prediction": 1, "score": 0.25}),
        ({"prediction": (1,), "score": (1.5,)}, {"prediction": 1}),
        ({"prediction": (1,), "probability": np.array([[0.1, 0.2, 0.7]])}, {"prediction": 1}),
        ({"label": np.array([3])}, {"prediction": 3}),
        ({"prediction": (None,), "score": (0.5,)}, {"score": 0.5}),
    ],
)
def test_what_is_logged_of_an_answer(outputs: Any, value: Any) -> None:
    log = PredictionLog(SERIES, GroundTruth(1.0))
    log.add("p", 1, outputs, AT)
    (row,) = log.drain()[0]
    assert row == Logged(SERIES, "prediction", "p", AT, value)


@pytest.mark.parametrize("outputs", [{}, {"prediction": (1, 2)}, {"prediction": (float("nan"),)}, {"prediction": ([1, 2, 3],)}])
def test_of_what_is_no_answer_nothing_is_logged(outputs: Any) -> None:
    log = PredictionLog(SERIES, GroundTruth(1.0))
    log.add("p", 1, outputs, AT)
    assert log.drain() == ((), 0)


def test_a_flood_is_bounded_and_counted() -> None:
    log = PredictionLog(SERIES, GroundTruth(1.0))
    log.add("p", 15_000, {"prediction": np.ones(15_000)}, AT)
    log.add("q", 1, {"prediction": np.ones(1)}, AT)
    rows, dropped = log.drain()
    assert (len(rows), dropped) == (10_000, 5_001)


def test_many_threads_log_at_once() -> None:
    log = PredictionLog(SERIES, GroundTruth(1.0))

    def add(thread: int) -> None:
        for number in range(500):
            log.add(f"{thread}-{number}", 1, {"prediction": (1,)}, AT)

    threads = [threading.Thread(target=add, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row.prediction_id for row in log.drain()[0]}) == 2000


@pytest.mark.parametrize("label", [1, 0.5, "late", True, np.int64(3)])
def test_a_label_is_a_class_or_a_number(label: Any) -> None:
    assert checked_label(label) == label


@pytest.mark.parametrize(
    ("label", "told"), [(None, "missing"), (float("nan"), "missing"), ([1], "list"), ({}, "dict"), (np.array([1, 2]), "ndarray")]
)
def test_what_is_no_label_is_one_line(label: Any, told: str) -> None:
    with pytest.raises(MonitoringError, match=rf"^label: expected a class or a finite number, got {told} - "):
        checked_label(label)
