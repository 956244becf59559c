from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.builtin.json_format import JsonFormat, mlops_format
from mlops_core.exceptions import ArtifactError
from mlops_core.testing.format_suite import FormatSuite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class TestJsonFormatConforms(FormatSuite):
    def format(self) -> JsonFormat:
        return JsonFormat()

    def values(self) -> Sequence[Any]:
        return [{"a": [1, 2.5, None, True], "b": {"ж": "\u2028"}}, [], {}, "", 0, -0.0, 1e308, None, False, 2**200, "x" * 100_000]

    def refused(self) -> Sequence[Any]:
        tied: list[Any] = []
        tied.append(tied)
        return [float("nan"), float("inf"), (1, 2), {1: "a"}, {"a": {2}}, b"bytes", "\ud800", object(), np.zeros(2), tied, 1 << 9000]


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_format() is JsonFormat


@given(value=PLAIN)
def test_every_plain_value_comes_back_equal(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("json") / "value"
    if not JsonFormat().accepts(value):
        assert "\\ud" in json.dumps(value)  # lone surrogates only
        return
    JsonFormat().write(value, path)
    assert JsonFormat().sniff(path)
    assert JsonFormat().read(path) == value


def test_numbers_of_numpy_come_back_plain(tmp_path: Path) -> None:
    JsonFormat().write({"auc": np.float64(0.75)}, tmp_path / "metrics")
    assert type(JsonFormat().read(tmp_path / "metrics")["auc"]) is float


def test_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    JsonFormat().write({"a": 1, "b": 2}, tmp_path / "one")
    JsonFormat().write({"b": 2, "a": 1}, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": 1, "a": 2}', "\ufeff{}", "[" * 5_000, "{'a': 1}", "1 2"])
def test_what_is_nearly_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text, encoding="utf-8")
    assert not JsonFormat().sniff(tmp_path / "file")
    with pytest.raises(ArtifactError, match="no JSON document"):
        JsonFormat().read(tmp_path / "file")


@pytest.mark.parametrize(
    "value",
    [['text with \\ and " and \n'] * 9000, {"k" * 70_000: 1}, {f"{n}": n * 1.5 for n in range(20_000)}, ["ж" * 40_000, "é"]],
    ids=["strings", "long-key", "numbers", "cut-inside-a-character"],
)
def test_a_long_document_is_recognised_by_its_head(value: Any, tmp_path: Path) -> None:
    JsonFormat().write(value, tmp_path / "long")
    assert JsonFormat().sniff(tmp_path / "long")


@pytest.mark.parametrize(
    "content", [b'{"a": 1}\n' + b"x y z " * 20_000, b"1,2\n" * 20_000, b"\xff\xfe" * 40_000, b'["a", oops' + b" b" * 50_000]
)
def test_a_long_file_of_another_kind_is_not(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(content)
    assert not JsonFormat().sniff(tmp_path / "long")
