import dataclasses
import enum
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from attrs import define, frozen
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.fingerprint import option_digests
from mlops_core.roles import Stage, StageContext


@define(eq=False)
class Holding(Stage):
    """Has one option of any kind."""

    contract = 1
    option: Any

    def run(self, context: StageContext) -> Any:
        return 1


class Color(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@frozen
class Bound:
    low: float
    high: Any = None


@dataclasses.dataclass
class Point:
    x: Any


def digest(value: Any, root: Path | None = None) -> str:
    return option_digests(Holding(value), root)["option"]


NOW = datetime(2013, 1, 1, tzinfo=UTC)
DIFFERENT = [
    None, True, False, 0, 1, 1.0, math.nan, math.inf, -math.inf, "", "1", "red", Color.RED, Color.BLUE, b"", b"1", [], [1], (), (1,), [[1]],
    {}, {"a": 1}, {1: "a"}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"list": [1]}, {"float": "nan"}, set(), {1}, {1, 2}, NOW, NOW.date(),
    date(2013, 1, 2), time(1), timedelta(1), timedelta(seconds=1), Bound(1), Bound(2), Bound(1, [2]), Point(1), Point([1]), Path("a"),
    Path("b"), np.zeros(3), np.zeros((3, 1)), np.zeros(3, np.float32), np.array([0, 0, 1.0]), np.array(["a"], object),
    np.array([1], object), np.float32(1), np.datetime64("2013-01-01"),
]  # fmt: skip


def test_no_two_values_share_a_digest() -> None:
    assert [count for count in Counter(map(digest, DIFFERENT)).values() if count > 1] == []


def test_while_a_thread_is_importing_numpy_nothing_is_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(Point(1))
    monkeypatch.setitem(sys.modules, "numpy", ModuleType("numpy"))
    assert digest(Point(1)) == before


def test_one_value_of_a_long_array_counts() -> None:
    first, second = np.arange(2000.0), np.arange(2000.0)
    assert digest(first) == digest(second)
    assert digest(first[::-1][::-1]) == digest(first)
    second[1000] = 1e6
    assert digest(first) != digest(second)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner) | st.sets(st.text("abc")),
)


@given(first=VALUES, second=VALUES)
def test_equal_values_have_equal_digests(first: Any, second: Any) -> None:
    if repr(first) == repr(second):
        assert digest(first) == digest(second)
    elif digest(first) == digest(second):
        assert first == second, "a set is written in any order"


def test_a_set_has_one_digest_in_every_process() -> None:
    code = (
        "from types import SimpleNamespace; from mlops_core.pipeline.fingerprint import option_digests; "
        "print(option_digests(SimpleNamespace(option=set('abcdefgh'))))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_a_path_counts_with_what_lies_there(tmp_path: Path) -> None:
    def seen() -> str:
        return digest(Path("data"), tmp_path)

    nothing = seen()
    (tmp_path / "data").write_text("a")
    file = seen()
    (tmp_path / "data").write_text("b")
    changed = seen()
    assert digest(tmp_path / "data", tmp_path) == changed, "absolute or not, it is the same file"
    (tmp_path / "data").unlink()
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "one").write_text("b")
    folder = seen()
    (tmp_path / "elsewhere").write_text("c")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    linked = seen()
    (tmp_path / "elsewhere").write_text("d")
    assert len({nothing, file, changed, folder, linked, seen()}) == 6
    assert digest(Path("data"), tmp_path / "data") != seen()


def endless() -> list[Any]:
    held: list[Any] = []
    held.append(held)
    return held


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "a object has no digest"),
        ([len], "a builtin_function_or_method has no digest"),
        ({"a": Bound}, "a type has no digest"),
        (np.ma.array([1], mask=[True]), "a MaskedArray has no digest"),
        ("\udce9", "a str has no digest"),
        (endless(), "a list has no digest"),
        (Path("/dev/null"), "/dev/null is neither a file nor a folder"),
        (Path("folder"), "link is a link to a folder"),
        (Path("locked"), "locked cannot be read (Permission denied)"),
    ],
)
def test_what_has_no_digest_is_one_line_that_names_the_option(value: Any, said: str, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path)
    (tmp_path / "locked").touch()
    opened = Path.open

    def refusing(path: Path, *arguments: Any) -> Any:
        if path.name == "locked":  # the tests may run as root, whom no mode stops
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(PipelineError) as caught:
        digest(value, tmp_path)
    assert caught.value.message.startswith("cache: option 'option': ")
    assert said in caught.value.message
    assert caught.value.message.endswith("or remove 'cache'")
    assert "\n" not in caught.value.message


def test_a_stage_that_is_no_attrs_class_shows_what_it_holds() -> None:
    class Plain(Stage):
        contract = 1

        def __init__(self, depth: int) -> None:
            self.depth = depth

        def run(self, context: StageContext) -> Any:
            return 1

    assert option_digests(Plain(1)) == option_digests(Plain(1)) != option_digests(Plain(2))
