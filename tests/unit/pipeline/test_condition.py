import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.condition import When, metrics_of
from mlops_core.records import StageResult, StageStatus


def stage(name: str, status: StageStatus = StageStatus.SUCCEEDED, **metrics: float) -> StageResult:
    return StageResult(name, status, metrics=metrics)


TRAINED = (stage("training", roc_auc=0.8, rows=900.0), stage("validation", roc_auc=0.7))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("roc_auc >= 0.7", True),
        ("roc_auc > 0.7", False),
        ("training.roc_auc > 0.7", True),
        ("metrics.training.roc_auc > 0.7", True),
        ("`training.roc_auc` = 0.8", True),
        ("not rows < 1000", False),
        ("rows < 1000 and (roc_auc > 0.9 or training.roc_auc > 0.75)", True),
        ("metrics.rows in (900, 1000)", True),
    ],
)
def test_a_condition_compares_what_earlier_stages_logged(text: str, *, expected: bool) -> None:
    assert When.parse(text, ["training", "validation"]).holds(TRAINED) is expected


@given(st.floats(allow_nan=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_comparison_is_that_of_python(value: float, bound: float) -> None:
    assert When.parse(f"loss < {bound!r}").holds([stage("training", loss=value)]) is (value < bound)


def test_nan_holds_for_nothing() -> None:
    assert not When.parse("loss < 1").holds([stage("training", loss=math.nan)])


def test_a_metric_that_nobody_logged_is_an_error_and_not_a_skip() -> None:
    with pytest.raises(PipelineError, match=r"^when: no earlier stage logged the metric 'roc_acu' - did you mean 'roc_auc'\?$"):
        When.parse("roc_acu > 0.5").holds(TRAINED)


def test_a_stage_that_failed_logged_nothing() -> None:
    with pytest.raises(PipelineError, match="they logged: none"):
        When.parse("rows > 1").holds([stage("training", StageStatus.FAILED, rows=2.0)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roc_auc >", "when: column 10: found the end"),
        ("", "is no condition"),
        ("order by rows", "is no condition"),
        ("rows > 1 order by rows", "is no condition"),
        ("tags.team = 'a'", "tags.team is no metric"),
        ("__import__('os')", "when: column"),
    ],
)
def test_what_is_no_condition_is_one_line(text: str, said: str) -> None:
    with pytest.raises(PipelineError, match=said) as caught:
        When.parse(text)
    assert "\n" not in str(caught.value)


def test_a_condition_that_is_no_text_is_one_line() -> None:
    with pytest.raises(PipelineError, match="expected text, got int"):
        When.parse(3)  # type: ignore[arg-type]  # as a configuration might


def test_quoted_text_is_left_alone() -> None:
    assert When.parse("training.rows > 1 and not rows = 'training.rows'", ["training"]).names == ("training.rows", "rows")


def test_the_later_stage_has_the_plain_name() -> None:
    assert metrics_of(TRAINED) == {
        "roc_auc": 0.7,
        "rows": 900.0,
        "training.roc_auc": 0.8,
        "training.rows": 900.0,
        "validation.roc_auc": 0.7,
    }
