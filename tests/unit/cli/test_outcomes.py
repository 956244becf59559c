"""``mlops monitor outcomes``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Answer


@pytest.fixture
def logged(project: Project, tmp_path: Path) -> Iterator[Project]:
    """A project that logs predictions, with five of them."""
    text = (tmp_path / "mlops.yaml").read_text()
    (tmp_path / "mlops.yaml").write_text(text.replace("  alerts:", "  ground_truth: {rate: 100%}\n  alerts:"))
    with Project.open(tmp_path) as opened:
        for number, prediction in enumerate([1, 0, 1, "007", 2.5]):
            opened.monitoring.track_prediction("line", 0.1, success=True, prediction_id=f"p{number}", prediction=prediction)
        opened.monitoring.flush()
        yield opened


@pytest.mark.parametrize(
    "text",
    [
        "prediction_id,label\np0,1\np1,True\np2,1\np3,007\np4,2.75\np0,0\n",
        '\ufeffprediction_id,label,row\n"p0",1,0\np1,1.0,\np2,1,\np3,007,\np4,2.75,0\n',
        (
            '{"prediction_id": "p0", "label": 1}\n\n{"prediction_id": "p1", "label": true}\n{"prediction_id": "p2", "label": 1, "row": 0}\n'
            '{"prediction_id": "p3", "label": "007"}\n{"prediction_id": "p4", "label": 2.75}\n'
        ),
    ],
)
def test_a_file_of_outcomes(logged: Project, tmp_path: Path, mlops: Callable[..., Answer], text: str) -> None:
    (tmp_path / "labels").write_text(text, encoding="utf-8")
    assert mlops("monitor", "outcomes", str(tmp_path / "labels")).out == "5 outcomes, 5 of the share of predictions that is logged\n"
    live = logged.monitoring.get_metrics("line").live
    assert (live["accuracy"].value, live["accuracy"].n) == (0.75, 4)


def test_columns_and_model_are_named(logged: Project, tmp_path: Path, mlops: Callable[..., Answer]) -> None:
    (tmp_path / "labels.csv").write_text("flight,late,at\np0,1,3\np0,1,0\n")
    named = ("--id", "flight", "--label", "late", "--row", "at", "--model", "line")
    assert mlops("monitor", "outcomes", str(tmp_path / "labels.csv"), *named, "--json").json == {
        "outcomes": 2,
        "accepted": 2,
        "without_label": 0,
    }
    assert logged.monitoring.get_metrics("line").live["accuracy"].n == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,label\np0,1\n", "labels:2: there is no column 'prediction_id' - name the columns with --id and --label"),
        ("", "labels: there is no outcome in it - write CSV with a header"),
        ("[]", "labels:1: it is no JSON object"),
        ('{"prediction_id": 5, "label": 1}', "labels:1: 'prediction_id' is 5 - write the id of a prediction as text"),
        ('{"prediction_id": "p0", "label": NaN}', "labels:1: 'label' is nan - write a class or a number"),
        (f"prediction_id,label\np0,{'x' * 200_000}\n", "field larger than field limit"),
        ("prediction_id,label,row\np0,1,x\n", "labels:2: 'row': 'x' is no row of a request"),
        ('{"prediction_id": "p0", "label": 1}\n[1]\n', "labels:2: it is no JSON object - write one a line"),
        ('{"prediction_id": "p0", "label": 1}\n{"a"\n', "labels:2: Expecting ':' delimiter"),
        ('{"prediction_id": "p0", "label": [1]}\n', "labels:1: 'label' is [1] - write a class or a number"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_recorded(
    logged: Project, tmp_path: Path, mlops: Callable[..., Answer], text: str, told: str
) -> None:
    (tmp_path / "labels").write_text(text)
    answer = mlops("monitor", "outcomes", str(tmp_path / "labels"))
    assert answer.code in {1, 2}
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert logged.monitoring.get_metrics("line").live == {}


def test_without_a_log_it_is_one_line(mlops: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("prediction_id,label\np0,1\n")
    answer = mlops("monitor", "outcomes", str(tmp_path / "labels"))
    assert answer.code != 0
    assert "monitoring.ground_truth: no prediction is logged" in answer.err


def test_ids_and_classes_are_taken_as_they_are_written(logged: Project, tmp_path: Path, mlops: Callable[..., Answer]) -> None:
    for name, prediction in (("12e45678", "1.10"), ("99e45678", "1.1"), ("3e5", 2.5)):
        logged.monitoring.track_prediction("line", 0.1, success=True, prediction_id=name, prediction=prediction)
    (tmp_path / "labels").write_text("prediction_id,label\n12e45678,1.10\n99e45678,1.1\n3e5,2.50\nlater,\n")
    answer = mlops("monitor", "outcomes", str(tmp_path / "labels"))
    assert answer.out == "3 outcomes, 3 of the share of predictions that is logged; 1 rows have no label yet\n"
    live = logged.monitoring.get_metrics("line").live
    assert (live["accuracy"].value, live["accuracy"].n) == (1.0, 2)


def test_another_encoding_is_one_line(tmp_path: Path, mlops: Callable[..., Answer]) -> None:
    (tmp_path / "labels").write_bytes("prediction_id,label\nä,1\n".encode("latin-1"))
    assert "labels: it is not UTF-8" in mlops("monitor", "outcomes", str(tmp_path / "labels")).err
