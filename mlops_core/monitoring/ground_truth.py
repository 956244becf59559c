"""The prediction log, and what outcomes say of the predictions in it."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import define, field, frozen

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.sampling import UNKNOWN, plain
from mlops_core.records import Logged, Quality, Segment, SeriesKey
from mlops_core.records.quality import class_name, confusion_of, score_bucket
from mlops_core.records.sampling import place_of, places, seed_of

if TYPE_CHECKING:
    from mlops_core.records import Joined

__all__ = ["GroundTruth", "PredictionLog", "checked_label"]

_MOST: Final = 10_000  # rows of a series between two drains
_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_LARGEST: Final = 1e60  # errors beyond are counted as this one: their fourth powers stay finite
_HALF: Final = 0.5
_SCORES: Final = ("score", "probability", "probabilities", "output_probability")
_TWO: Final = 2


@frozen
class GroundTruth:
    """``monitoring.ground_truth``: the share of predictions that is logged, and how a pair with its label is read.

    ``positive`` is the class whose score is given and whose F1 is meant; empty: ``1`` where there are no other classes than 0 and 1, or
    false and true.
    """

    rate: float
    task: Literal["classification", "regression"] | None = None
    positive: str = ""

    def logs(self, prediction_id: str, row: int = 0) -> bool:
        """Whether a prediction is logged; every process answers alike."""
        return place_of(seed_of(prediction_id), row) < self.rate

    def wants(self, prediction_id: str, rows: int) -> bool:
        """Whether any row of a request is."""
        return any(place < self.rate for place in places(seed_of(prediction_id), rows))

    def tally(self, joined: Sequence[Joined]) -> list[Segment]:
        """Sums by series and second (s, s + 1] of the prediction."""
        sums: dict[tuple[SeriesKey, datetime], _Sums] = {}
        for one in joined:
            at = (one.prediction.at.astimezone(UTC) - _MICROSECOND).replace(microsecond=0)
            sums.setdefault((one.prediction.series, at), _Sums()).add(self, one.prediction.value, one.label)
        return [
            Segment(series, at, at + _SECOND, "", 0, quality=quality)
            for (series, at), found in sums.items()
            if (quality := found.quality(self.positive)).n
        ]


@define(eq=False)
class PredictionLog:
    """Predictions of a series that wait for the next drain, in bounded memory. Safe from many threads."""

    series: SeriesKey
    truth: GroundTruth
    _rows: list[Logged] = field(factory=list, init=False, repr=False)
    _dropped: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def add(self, prediction_id: str, rows: int, outputs: Mapping[str, Any], at: datetime) -> None:
        """Log what is to be logged of a request: outputs by name, one value per row."""
        answer = outputs["prediction"] if "prediction" in outputs else next(iter(outputs.values()), None)
        if answer is None or len(answer) != rows:
            return
        scores = next((outputs[name] for name in _SCORES if name in outputs and len(outputs[name]) == rows), None)
        found = [
            Logged(self.series, "prediction", prediction_id, at, value, row)
            for row, place in enumerate(places(seed_of(prediction_id), rows))
            if place < self.truth.rate and (value := _logged(answer[row], None if scores is None else scores[row]))
        ]
        with self._lock:
            room = _MOST - len(self._rows)
            self._dropped += max(0, len(found) - room)
            self._rows += found[:room]

    def drain(self) -> tuple[tuple[Logged, ...], int]:
        """Take the rows, and how many more there would be."""
        with self._lock:
            rows, dropped = self._rows, self._dropped
            self._rows, self._dropped = [], 0
        return tuple(rows), dropped

    def reset(self) -> None:
        """Forget everything: for a forked child."""
        self._lock = threading.Lock()
        self._rows, self._dropped = [], 0


def checked_label(label: Any) -> Any:
    """A label as a plain value.

    Raises:
        MonitoringError: It is none: a missing one, a number that is none, or a structure.
    """
    found = plain(label)
    if found is None or found is UNKNOWN:
        said = "missing" if found is None else type(label).__name__
        raise MonitoringError(f"label: expected a class or a finite number, got {said} - give what turned out to be right")
    return found


def _logged(answer: Any, score: Any) -> dict[str, Any]:
    """The value of a row of the log; empty if nothing in it can be compared."""
    found = {"prediction": plain(answer), "score": _score(score)}
    return {name: value for name, value in found.items() if value is not None and value is not UNKNOWN}


def _score(score: Any) -> float | None:
    """The score of the positive class: a number, or the second of two probabilities."""
    if getattr(score, "shape", None) == (_TWO,) or (isinstance(score, list | tuple) and len(score) == _TWO):
        score = score[1]
    value = plain(score)
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


# -- pairs


@define
class _Sums:
    """What ``Quality`` holds, while it is added up."""

    pairs: Counter[tuple[str, str]] = field(factory=Counter)
    scores: tuple[Counter[int], Counter[int]] = field(factory=lambda: (Counter(), Counter()))
    errors: list[float] = field(factory=list)

    def add(self, truth: GroundTruth, value: Any, label: Any) -> None:
        """One pair; what cannot be compared is left out."""
        answer: Any
        answer, score = (value.get("prediction"), value.get("score")) if isinstance(value, Mapping) else (value, None)
        label = label if isinstance(answer, str) else _number(label)
        if _is_numeric(truth.task, answer, label):
            self.errors.append(_error(answer, label))
            return
        actual, positive = class_name(label), class_name(truth.positive) if truth.positive else "1"
        binary = bool(truth.positive) or actual in {"0", "1"}
        if answer is None and score is not None and binary:
            answer = truth.positive or 1 if score >= _HALF else _negative(truth.positive, label)
        if answer is not None:
            self.pairs[actual, class_name(answer)] += 1
        if score is not None and binary:
            self.scores[actual == positive][score_bucket(score)] += 1

    def quality(self, positive: str) -> Quality:
        """The sums."""
        named = class_name(positive) if positive else ""
        return Quality(
            labelled=self.pairs.total(),
            correct=sum(count for (actual, predicted), count in self.pairs.items() if actual == predicted),
            confusion=confusion_of(self.pairs, named),
            positive=named,
            positives=dict(sorted(self.scores[1].items())),
            negatives=dict(sorted(self.scores[0].items())),
            numeric=len(self.errors),
            absolute=math.fsum(map(abs, self.errors)),
            squared=math.fsum(error**2 for error in self.errors),
            fourth=math.fsum(error**4 for error in self.errors),
        )


def _is_numeric(task: str | None, answer: Any, label: Any) -> bool:
    """Whether the pair is one of numbers. Without a task the kind of the answer decides, which is the same for all answers of a model."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (answer, label))
    return numbers and (task == "regression" or (task is None and isinstance(answer, float)))


def _number(label: Any) -> Any:
    """A label that came as text, from a file, as what it says beside an answer that is no text."""
    if not isinstance(label, str):
        return label
    if label.lower() in {"true", "false"}:
        return label.lower() == "true"
    for kind in (int, float):
        try:
            found = kind(label)
        except ValueError:
            continue
        return found if math.isfinite(found) else label
    return label


def _error(answer: float, label: float) -> float:
    try:
        return max(-_LARGEST, min(float(answer) - float(label), _LARGEST))
    except OverflowError:  # a whole number beyond every float
        return _LARGEST


def _negative(positive: str, label: Any) -> Any:
    """The class that a low score alone stands for: of two classes the other one is known only where it is the label, or 0."""
    if not positive:
        return 0
    return label if class_name(label) != class_name(positive) else f"not {positive}"
