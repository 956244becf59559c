"""``mlops predict``."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Answer


@pytest.fixture
def live(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    mlops("deploy", "line", "2", "--to", "production")


@pytest.mark.usefixtures("live")
def test_columns_rows_files_and_standard_input(mlops: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("x\n1\n2\n")
    (tmp_path / "x.json").write_text('{"x": [1, 2]}')
    monkeypatch.setattr("sys.stdin", io.StringIO('[{"x": 1}, {"x": 2}]'))
    for data in ('{"x": [1, 2]}', '[{"x": 1}, {"x": 2}]', str(tmp_path / "x.csv"), str(tmp_path / "x.json"), "-"):
        answer = mlops("predict", "line", data, "--json")
        assert answer.json["outputs"]["y"] == [3, 6], data
        assert answer.json["version"] == "2"
    assert mlops("predict", "line", '{"x": [1]}').out.startswith("line 2 (")


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        ("{", 2, "DATA: not JSON"),
        ("[]", 2, "expected columns"),
        ('{"x": 1}', 2, "expected columns"),
        ("missing.csv", 2, "there is no such file"),
    ],
)
def test_mistakes(mlops: Callable[..., Answer], data: str, code: int, says: str) -> None:
    answer = mlops("predict", "line", data)
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert says in answer.err


@pytest.mark.usefixtures("live")
def test_it_waits_as_long_as_it_is_told(mlops: Callable[..., Answer]) -> None:
    answer = mlops("predict", "line", '{"x": [1]}', "--timeout", "0s")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "timeout" in answer.err
    assert mlops("predict", "line", '{"x": [1]}', "--timeout", "1m").code == 0


def test_nothing_is_deployed(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    assert mlops("predict", "line", '{"x": [1]}').code == 1
