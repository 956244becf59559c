"""What may be logged, and the one line for what may not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.exceptions import ExperimentError
from mlops_core.tracking.values import check_artifact, check_key, check_metrics, check_params, check_step, check_tags

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("key", ["a", "loss/val", "f1 score", "x.y-z_0", "x" * 250])
def test_good_names(key: str) -> None:
    assert check_key(key, "metric") == key


@pytest.mark.parametrize("key", ["", " a", "/a", "a/", "a//b", "../a", "a..b", "x" * 251, "a\0", "a\nb", "é" * 3, 3, None, b"a"])
def test_bad_names(key: object) -> None:
    with pytest.raises(ExperimentError, match="does not name a metric - use 1 to 250") as caught:
        check_key(key, "metric")
    assert len(caught.value.message) < 250
    assert "\n" not in caught.value.message


def test_params_become_text() -> None:
    assert check_params({"a": 1, "b": 0.1, "c": None, "d": [1, 2]}) == {"a": "1", "b": "0.1", "c": "None", "d": "[1, 2]"}


@pytest.mark.parametrize(
    ("check", "values", "says"),
    [
        (check_params, ["a"], "params must be a mapping of names to values, got list"),
        (check_params, {"a": os.fsdecode(b"caf\xe9.csv")}, r"param 'a' is 'caf\\udce9.csv', which is no Unicode text - log its repr"),
        (check_tags, {"a": "\ud800"}, "is no Unicode text"),
        (check_params, {"a": "x" * 6001}, "has 6001 characters, the limit is 6000 - log it as an artifact"),
        (check_tags, {"mlflow.user": "x"}, "'mlflow.user' is reserved"),
        (check_tags, {"mlops.x": "x"}, "'mlops.x' is reserved"),
        (check_metrics, {"a": "0.5"}, "metric 'a' must be a number, got str"),
        (check_metrics, {"a": True}, "must be a number, got bool"),
        (check_metrics, {"a": None}, "must be a number, got NoneType"),
        (check_metrics, {"a": np.ones(3)}, "is not one number"),
        (check_metrics, 5, "metrics must be a mapping"),
    ],
)
def test_bad_values(check: Any, values: object, says: str) -> None:
    with pytest.raises(ExperimentError, match=says):
        check(values)


def test_numbers_of_other_libraries_are_numbers() -> None:
    checked = check_metrics({"a": np.float32(0.5), "b": np.int64(3), "c": float("nan"), "d": 1})
    assert checked["a"] == 0.5
    assert checked["b"] == 3.0


def test_a_number_beyond_the_floats_is_refused() -> None:
    with pytest.raises(ExperimentError, match="is not one number"):
        check_metrics({"a": 10**400})


@pytest.mark.parametrize(("step", "number"), [(None, 0), (3, 3), (np.int64(-2), -2), (2**63 - 1, 2**63 - 1)])
def test_steps(step: object, number: int) -> None:
    assert check_step(step) == number


@pytest.mark.parametrize(("step", "says"), [(1.5, "not a whole number"), (True, "not a whole"), ("1", "not a whole"), (2**63, "64 bits")])
def test_bad_steps(step: object, says: str) -> None:
    with pytest.raises(ExperimentError, match=says):
        check_step(step)


def test_artifacts_are_files_and_directories(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert check_artifact("model", str(tmp_path / "a")) == ("model", tmp_path / "a")
    assert check_artifact("model", tmp_path) == ("model", tmp_path)


def test_what_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    latin = tmp_path / "latin"
    latin.mkdir()
    (latin / os.fsdecode(b"caf\xe9")).write_text("x")
    for path, says in [
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "link", "is a symbolic link - give the file itself"),
        (folder, "give a directory without links"),
        (latin / os.fsdecode(b"caf\xe9"), r"the name 'caf\\udce9' is not UTF-8"),
        (latin, "in it is not UTF-8 - rename the file"),
        (tmp_path / "pipe", "neither a file nor a directory"),
        ("a\0b", "NUL"),
        ("a\nb", "line break"),
        (3, "expected a path, got int"),
    ]:
        with pytest.raises(ExperimentError, match=says):
            check_artifact("model", path)
    with pytest.raises(ExperimentError, match="does not name an artifact"):
        check_artifact("../x", tmp_path / "a")
