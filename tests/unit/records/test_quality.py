"""Live quality: sums that merge, figures that equal their definitions, and intervals that hold as often as they say."""

import json
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records.quality import (
    LIVE_METRICS,
    MOST_CLASSES,
    OTHER_CLASS,
    Estimate,
    Quality,
    confusion_of,
    merge_quality,
    score_bucket,
)

REPETITIONS = 1500
Pairs = list[tuple[str, str]]


def classes(pairs: Pairs, positive: str = "") -> Quality:
    return Quality(
        labelled=len(pairs),
        correct=sum(actual == predicted for actual, predicted in pairs),
        confusion=confusion_of(Counter(pairs)),
        positive=positive,
    )


def numbers(errors: np.ndarray) -> Quality:
    return Quality(
        numeric=len(errors), absolute=float(abs(errors).sum()), squared=float((errors**2).sum()), fourth=float((errors**4).sum())
    )


def scores(positives: np.ndarray, negatives: np.ndarray) -> Quality:
    return Quality(
        labelled=len(positives) + len(negatives),
        positive="1",
        positives=dict(Counter(map(score_bucket, positives.tolist()))),
        negatives=dict(Counter(map(score_bucket, negatives.tolist()))),
    )


def covered(make: Callable[[np.random.Generator], Quality], name: str, truth: float) -> float:
    """How often the interval holds the true figure."""
    rng = np.random.default_rng(20240501)
    hits = 0
    for _ in range(REPETITIONS):
        found = make(rng).estimate(name)
        hits += found is not None and found.low <= truth <= found.high
    return hits / REPETITIONS


pairs = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=30)


@given(pairs, pairs)
def test_merging_is_counting_together(one: Pairs, two: Pairs) -> None:
    assert merge_quality([classes(one), classes(two)]) == classes(one + two)


def test_numbers_and_scores_merge_too() -> None:
    first, second = np.array([0.5, -1.0]), np.array([2.0])
    assert merge_quality([numbers(first), Quality(), numbers(second)]) == numbers(np.concatenate([first, second]))
    ups, downs = np.array([0.9, 0.8]), np.array([0.1, 0.8])
    assert merge_quality([scores(ups, downs), scores(ups, downs)]) == scores(np.tile(ups, 2), np.tile(downs, 2))
    assert merge_quality([]) == Quality()


def test_it_survives_json() -> None:
    whole = merge_quality([classes([("1", "0")], "1"), numbers(np.array([1.5])), scores(np.array([0.9]), np.array([0.2]))])
    assert Quality.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_more_classes_than_the_most_are_counted_as_one() -> None:
    many = [(str(name), str(name)) for name in range(100) for _ in range(100 - name)]
    kept = classes(many)
    assert len(kept.confusion) == MOST_CLASSES
    assert kept.confusion[OTHER_CLASS][OTHER_CLASS] == sum(100 - name for name in range(MOST_CLASSES - 1, 100))
    merged = merge_quality([kept, classes([("99", "0")])])
    assert len(merged.confusion) == MOST_CLASSES
    assert sum(sum(row.values()) for row in merged.confusion.values()) == merged.labelled == len(many) + 1


def test_figures_of_two_classes() -> None:
    found = classes([("1", "1")] * 6 + [("1", "0")] * 2 + [("0", "1")] * 4 + [("0", "0")] * 8, "1").estimates()
    assert {name: (round(one.value, 6), one.n) for name, one in found.items()} == {
        "accuracy": (0.7, 20),
        "precision": (0.6, 10),
        "recall": (0.75, 8),
        "f1": (round(12 / 18, 6), 20),
    }
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in found.values())


def test_figures_of_several_classes() -> None:
    found = classes([("a", "a")] * 3 + [("a", "b")] + [("b", "b")] * 2 + [("c", "a")] * 2).estimates()
    assert set(found) == {"accuracy", "f1"}
    assert found["f1"].value == pytest.approx((6 / 9 + 4 / 5 + 0) / 3)


def test_figures_of_numbers() -> None:
    found = numbers(np.array([3.0, -4.0])).estimates()
    assert found["rmse"].value == pytest.approx(math.sqrt(12.5))
    assert found["mae"].value == pytest.approx(3.5)
    assert numbers(np.array([0.0, 0.0])).estimates()["rmse"] == Estimate(0.0, 0.0, 0.0, 2)
    assert numbers(np.array([1.0])).estimates() == {}


def test_without_pairs_there_are_no_figures() -> None:
    assert Quality().estimates() == {}
    assert classes([("0", "0")], "1").estimates().keys() == {"accuracy"}
    assert scores(np.array([0.5]), np.array([])).estimate("roc_auc") is None
    assert set(LIVE_METRICS) == {"accuracy", "precision", "recall", "f1", "roc_auc", "rmse", "mae"}


def test_the_area_is_within_the_buckets_of_the_exact_one() -> None:
    rng = np.random.default_rng(7)
    positives, negatives = rng.beta(3, 2, 400), rng.beta(2, 3, 600)
    exact = (positives[:, None] > negatives[None, :]).mean()
    found = scores(positives, negatives).estimate("roc_auc")
    assert found is not None
    assert found.value == pytest.approx(exact, abs=0.002)


def test_rare_classes_keep_their_ranking() -> None:
    found = scores(np.array([0.0012]), np.array([0.0001, 0.001])).estimate("roc_auc")
    assert found is not None
    assert found.value == 1.0
    high = scores(np.array([1 - 0.0001]), np.array([1 - 0.001])).estimate("roc_auc")
    assert high is not None
    assert high.value == 1.0


@given(st.floats(0, 1), st.floats(0, 1))
def test_buckets_of_scores_keep_their_order(one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert score_bucket(low) <= score_bucket(high)


def test_extremes_leave_room() -> None:
    """An interval is never of no width because all was right, or wrong."""
    for share in (("1", "1"), ("1", "0")):
        for name in ("accuracy", "f1"):
            found = classes([share] * 10, "1").estimate(name)
            assert found is not None
            assert found.high - found.low > 0.1
    best = scores(np.full(5, 0.9), np.full(5, 0.1)).estimate("roc_auc")
    assert best is not None
    assert best.low < 0.95
    assert best.high == pytest.approx(1)


@pytest.mark.parametrize(("n", "share"), [(15, 0.9), (100, 0.7), (400, 0.97)])
def test_the_interval_of_accuracy_holds(n: int, share: float) -> None:
    """Exactly, over all counts: it is 95 % on average over shares, a little less or more at each."""
    holds = 0.0
    for hits in range(n + 1):
        found = Quality(labelled=n, correct=hits).estimate("accuracy")
        assert found is not None
        if found.low <= share <= found.high:
            holds += math.comb(n, hits) * share**hits * (1 - share) ** (n - hits)
    assert 0.93 <= holds <= 0.97


@pytest.mark.parametrize("n", [60, 1000])
def test_the_interval_of_f1_holds(n: int) -> None:
    cells = {("1", "1"): 0.2, ("1", "0"): 0.1, ("0", "1"): 0.15, ("0", "0"): 0.55}

    def draw(rng: np.random.Generator) -> Quality:
        counts = rng.multinomial(n, list(cells.values())).tolist()
        confusion = confusion_of(dict(zip(cells, counts, strict=True)))
        return Quality(labelled=n, correct=counts[0] + counts[3], confusion=confusion, positive="1")

    assert covered(draw, "f1", 2 * 0.2 / (2 * 0.2 + 0.25)) >= 0.93
    assert covered(draw, "precision", 0.2 / 0.35) >= 0.93
    assert covered(draw, "recall", 0.2 / 0.3) >= 0.93


def test_the_interval_of_the_mean_f1_holds() -> None:
    table = {("a", "a"): 0.3, ("a", "b"): 0.05, ("b", "b"): 0.25, ("b", "c"): 0.1, ("c", "c"): 0.2, ("c", "a"): 0.1}
    both = {name: sum(share for cell, share in table.items() for one in cell if one == name) for name in "abc"}
    truth = sum(2 * table[name, name] / both[name] for name in "abc") / 3

    def draw(rng: np.random.Generator) -> Quality:
        counts = rng.multinomial(300, list(table.values())).tolist()
        return Quality(labelled=300, confusion=confusion_of(dict(zip(table, counts, strict=True))))

    assert covered(draw, "f1", truth) >= 0.93


@pytest.mark.parametrize(("m", "n", "shift"), [(15, 30, 1.0), (100, 400, 2.0)])
def test_the_interval_of_the_area_holds(m: int, n: int, shift: float) -> None:
    """Scores of two normal classes, squeezed into [0, 1]."""

    def draw(rng: np.random.Generator) -> Quality:
        return scores(1 / (1 + np.exp(-rng.normal(shift, 1, m))), 1 / (1 + np.exp(-rng.normal(0, 1, n))))

    truth = 0.5 * (1 + math.erf(shift / 2))
    assert covered(draw, "roc_auc", truth) >= 0.93


@pytest.mark.parametrize("n", [50, 1000])
def test_the_intervals_of_errors_hold(n: int) -> None:
    assert covered(lambda rng: numbers(rng.normal(0, 2, n)), "rmse", 2.0) >= 0.92
    assert covered(lambda rng: numbers(rng.normal(0, 2, n)), "mae", 2 * math.sqrt(2 / math.pi)) >= 0.92


def test_classes_counted_as_one_are_no_hits_and_the_positive_one_is_kept() -> None:
    wrong = classes([(str(number), str(number + 1)) for number in range(100)]).estimate("f1")
    assert wrong is not None
    assert (wrong.value, wrong.low) == (0.0, 0.0)
    rare = Counter([(str(number), str(number)) for number in range(60) for _ in range(50)] + [("fraud", "fraud"), ("fraud", "0")])
    kept = Quality(labelled=rare.total(), confusion=confusion_of(rare, "fraud"), positive="fraud")
    recall = merge_quality([kept, kept]).estimate("recall")
    assert recall is not None
    assert (recall.value, recall.n) == (0.5, 4)
