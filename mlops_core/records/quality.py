"""How good predictions were, once their outcomes are known: sums that merge, and the figures that follow from them, with intervals.

Everything is a sum over pairs of a prediction and its label, so that a late label revises a window by being added to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

from attrs import field, frozen

from mlops_core.records.histogram import bucket, merge_counts
from mlops_core.records.record import Record

__all__ = [
    "LIVE_METRICS",
    "MOST_CLASSES",
    "OTHER_CLASS",
    "Estimate",
    "Quality",
    "class_name",
    "confusion_of",
    "merge_quality",
    "score_bucket",
]

OTHER_CLASS: Final = "other"
MOST_CLASSES: Final = 32
"""Classes beyond so many are counted as one."""

_Z: Final = 1.959963984540054  # 95 %
_MIDDLE: Final = 0.5
_BINARY: Final = frozenset({"0", "1"})
_STEPS: Final = 60
_FEWEST: Final = 2  # of one error nothing is known of its spread


@frozen
class Estimate(Record):
    """A figure over ``n`` pairs, with its 95 % confidence interval [low, high]."""

    value: float
    low: float
    high: float
    n: int


@frozen
class Quality(Record):
    """Sums over pairs of a prediction and its label.

    Of classes: ``labelled`` pairs, of which ``correct``; ``confusion`` counts by actual and predicted class, which have the names that
    ``class_name`` gives them; ``positive`` is the class that scores are of, empty: ``1`` if there are no others than 0 and 1;
    ``positives`` and ``negatives`` count scores by ``score_bucket``. Of numbers: ``numeric`` pairs, and the sums of the errors' absolute
    values, squares and fourth powers.
    """

    labelled: int = 0
    correct: int = 0
    confusion: Mapping[str, Mapping[str, int]] = field(factory=dict)
    positive: str = ""
    positives: Mapping[int, int] = field(factory=dict)
    negatives: Mapping[int, int] = field(factory=dict)
    numeric: int = 0
    absolute: float = 0.0
    squared: float = 0.0
    fourth: float = 0.0

    @property
    def n(self) -> int:
        """Pairs."""
        return self.labelled + self.numeric

    def estimate(self, name: str) -> Estimate | None:
        """A figure by its name in ``LIVE_METRICS``; None where there is nothing to derive it from."""
        return LIVE_METRICS[name](self)

    def estimates(self) -> dict[str, Estimate]:
        """All figures that there are."""
        found = {name: derive(self) for name, derive in LIVE_METRICS.items()}
        return {name: one for name, one in found.items() if one is not None}


def class_name(value: Any) -> str:
    """One name for ``True``, ``1``, ``1.0`` and ``"1"``.

    Of other classes than 0 and 1 it is a hash: sums outlive the rows they came of, and what a class is called may be somebody's data.
    """
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    text = str(value)
    return text if text in _BINARY else blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def score_bucket(score: float) -> int:
    """The bucket of a score in [0, 1]: within 2.2 % of it, or of its distance from 1, whichever is nearer.

    Below one half these are the buckets of the latency histogram, above they are mirrored, so that rare classes keep their ranking.
    """
    return bucket(score) if score <= _MIDDLE else -bucket(1 - score)


def merge_quality(parts: Iterable[Quality]) -> Quality:
    """Add sums, in any order; of more than 32 classes the rarer are counted as one."""
    found = [part for part in parts if part.n]
    if len(found) <= 1:
        return found[0] if found else Quality()
    pairs, positive = Counter[tuple[str, str]](), max(part.positive for part in found)
    for part in found:
        for actual, row in part.confusion.items():
            for predicted, count in row.items():
                pairs[actual, predicted] += count
    return Quality(
        labelled=sum(part.labelled for part in found),
        correct=sum(part.correct for part in found),
        confusion=confusion_of(pairs, positive),
        positive=positive,
        positives=merge_counts(part.positives for part in found),
        negatives=merge_counts(part.negatives for part in found),
        numeric=sum(part.numeric for part in found),
        absolute=math.fsum(part.absolute for part in found),
        squared=math.fsum(part.squared for part in found),
        fourth=math.fsum(part.fourth for part in found),
    )


def confusion_of(pairs: Mapping[tuple[str, str], int], positive: str = "") -> dict[str, dict[str, int]]:
    """Counts by actual and predicted class, of those by (actual, predicted); rare classes beyond the most are counted as one."""
    sizes: Counter[str] = Counter()
    for (actual, predicted), count in pairs.items():
        sizes[actual] += count
        sizes[predicted] += count
    ranked = sorted(sizes, key=lambda name: (name == OTHER_CLASS, name != positive, -sizes[name], name))
    kept = set(ranked if len(ranked) <= MOST_CLASSES else ranked[: MOST_CLASSES - 1])
    nested: dict[str, dict[str, int]] = {}
    for (actual, predicted), count in sorted(pairs.items()):
        row = nested.setdefault(actual if actual in kept else OTHER_CLASS, {})
        name = predicted if predicted in kept else OTHER_CLASS
        row[name] = row.get(name, 0) + count
    return nested


# -- figures


def _accuracy(of: Quality) -> Estimate | None:
    return _wilson(of.correct, of.labelled, of.labelled) if of.labelled else None


def _counts(of: Quality) -> tuple[int, int, int] | None:
    """Hits, predictions and labels of the positive class."""
    positive = _positive(of)
    if not of.labelled or not positive:
        return None
    hits = of.confusion.get(positive, {}).get(positive, 0)
    return hits, sum(row.get(positive, 0) for row in of.confusion.values()), sum(of.confusion.get(positive, {}).values())


def _positive(of: Quality) -> str:
    names = _names(of)
    return of.positive or ("1" if names and names <= _BINARY else "")


def _names(of: Quality) -> set[str]:
    return set(of.confusion) | {name for row in of.confusion.values() for name in row}


def _precision(of: Quality) -> Estimate | None:
    counts = _counts(of)
    return _wilson(counts[0], counts[1], counts[1]) if counts is not None and counts[1] else None


def _recall(of: Quality) -> Estimate | None:
    counts = _counts(of)
    return _wilson(counts[0], counts[2], counts[2]) if counts is not None and counts[2] else None


def _f1(of: Quality) -> Estimate | None:
    """F1 of the positive class; without one the mean over the classes.

    Given how many pairs are predicted or labelled positive, the share of them that is both is binomial, and F1 rises with it, so its
    interval is that share's (Wilson). For the mean: the delta method (Takahashi et al. 2022, Applied Intelligence 52), which needs some
    tens of pairs of each class.
    """
    if not of.labelled:
        return None
    counts = _counts(of)
    if counts is None:
        return _macro_f1(of)
    hits, predicted, actual = counts
    if not predicted and not actual:
        return None
    share = _wilson(hits, predicted + actual - hits, of.labelled)
    value, low, high = (2 * one / (1 + one) for one in (share.value, share.low, share.high))
    return Estimate(value, low, high, of.labelled)


def _macro_f1(of: Quality) -> Estimate | None:
    n = of.labelled
    known = sorted(_names(of) - {OTHER_CLASS})  # which is no class: two of it are mostly different ones
    sizes = {name: sum(of.confusion.get(name, {}).values()) + sum(row.get(name, 0) for row in of.confusion.values()) for name in known}
    both = {name: size for name, size in sizes.items() if size}
    if not both:
        return None
    f1 = {name: 2 * of.confusion.get(name, {}).get(name, 0) / both[name] for name in both}
    value = sum(f1.values()) / len(both)

    def hit(actual: str, predicted: str) -> float:
        return 2 / both[actual] if actual == predicted and actual in both else 0.0

    def miss(name: str) -> float:
        return f1[name] / both[name] if name in both else 0.0

    # By how much a pair of this cell moves the mean, were there one more in a hundred.
    slopes = [
        (count, (hit(actual, predicted) - miss(actual) - miss(predicted)) * n / len(both))
        for actual, row in of.confusion.items()
        for predicted, count in row.items()
    ]
    spread = math.sqrt(max(0.0, sum(count * slope**2 for count, slope in slopes) / n - (sum(c * s for c, s in slopes) / n) ** 2) / n)
    return Estimate(value, max(0.0, value - _Z * spread), min(1.0, value + _Z * spread), n)


def _roc_auc(of: Quality) -> Estimate | None:
    """The Mann-Whitney statistic over buckets, of which ties count half; its interval is Newcombe's fifth method (2006, Stat. Med. 25)."""
    m, n = sum(of.positives.values()), sum(of.negatives.values())
    if not m or not n or not _positive(of):
        return None
    wins, below = 0.0, 0
    for index in sorted({*of.positives, *of.negatives}):
        tied = of.negatives.get(index, 0)
        wins += of.positives.get(index, 0) * (below + tied / 2)
        below += tied
    value = wins / (m * n)

    def beyond(at: float) -> bool:
        """Whether the value lies too far from a true one of ``at``."""
        spread = at * (1 - at) * (1 + ((m + n) / 2 - 1) * ((1 - at) / (2 - at) + at / (1 + at))) / (m * n)
        return (value - at) ** 2 > _Z**2 * spread

    return Estimate(value, _edge(value, 0.0, beyond), _edge(value, 1.0, beyond), m + n)


def _edge(inside: float, outside: float, beyond: Callable[[float], bool]) -> float:
    """Where ``beyond`` begins, between the two, by bisection; neither end of [0, 1] itself is asked, where the spread is 0."""
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if beyond(middle):
            outside = middle
        else:
            inside = middle
    return inside


def _rmse(of: Quality) -> Estimate | None:
    """Root of the mean squared error; the mean is about normal, its interval taken on the scale of logarithms (some tens of pairs)."""
    if of.numeric < _FEWEST:
        return None
    mean = of.squared / of.numeric
    root = math.sqrt(mean)
    if not mean:
        return Estimate(0.0, 0.0, 0.0, of.numeric)
    spread = math.sqrt(max(0.0, of.fourth / of.numeric - mean**2) / of.numeric) / mean
    return Estimate(root, root * math.exp(-_Z * spread / 2), root * math.exp(_Z * spread / 2), of.numeric)


def _mae(of: Quality) -> Estimate | None:
    if of.numeric < _FEWEST:
        return None
    mean = of.absolute / of.numeric
    spread = _Z * math.sqrt(max(0.0, of.squared / of.numeric - mean**2) / of.numeric)
    return Estimate(mean, max(0.0, mean - spread), mean + spread, of.numeric)


def _wilson(hits: int, of: int, n: int) -> Estimate:
    """A share with the interval of Wilson (1927), which holds at any count."""
    share, weight = hits / of, _Z**2 / of
    middle = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * math.sqrt(share * (1 - share) / of + weight / of / 4)
    return Estimate(share, max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < of else 1.0, n)


LIVE_METRICS: Final[Mapping[str, Callable[[Quality], Estimate | None]]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "rmse": _rmse,
    "mae": _mae,
}
"""Figures of live quality by name; alert rules call them ``live.accuracy`` and so on."""
