import enum
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Protocol

import pytest
from attrs import define

from mlops_core.structure import SHARE, Check, Deferred, Misfit, Secret, Structurer, key_text, named, type_text
from mlops_core.structure.scalars import value_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Word(enum.StrEnum):
    YES = "yes"


class Level(enum.IntEnum):
    LOW = 1


class Clock(Protocol):
    def now(self) -> float: ...


@define
class Point:
    x: int = 0
    y: int = 0


class Engine:
    """Of somebody else; no hook knows how to make one."""


ENGINE = Engine()
Metres = NewType("Metres", int)


def refuse_odd(value: int) -> int:
    if value % 2:
        raise Misfit.of(f"{value} is odd")
    return value


Even = Annotated[int, Check(refuse_odd)]

FITS = [
    (3, int, 3),
    (3, float, 3.0),
    (value_of("0x10"), int, 16),
    ("5%", float, 0.05),
    (True, bool, True),
    ("x", str, "x"),
    (8801, str, "8801"),
    (value_of("1.10"), str, "1.10"),
    (None, type(None), None),
    ("a/b", Path, Path("a/b")),
    (Path("a"), Path, Path("a")),
    ("5m", timedelta, timedelta(minutes=5)),
    ("a", Literal["a", "b"], "a"),
    (1, Literal[1, "1"], 1),
    (value_of("1.10"), Literal["1.10"], "1.10"),
    (True, Literal[True], True),
    ("red", Colour, Colour.RED),
    (2, Colour, Colour.BLUE),
    (Colour.RED, Colour, Colour.RED),
    ("yes", Word, Word.YES),
    (1, Level, Level.LOW),
    (None, int | None, None),
    (3, int | None, 3),
    (3, int | str, 3),
    (3, float | int, 3),
    ("x", Path | str, "x"),
    ("3", int | str, "3"),
    ({"x": 1}, Point | str, Point(1)),
    ("name", Point | str, "name"),
    ([1, 2], tuple[int, ...], (1, 2)),
    ([1, "a"], tuple[int, str], (1, "a")),
    ([1, 2], list[int], [1, 2]),
    ([1, 2], Sequence[int], (1, 2)),
    ([1, 2, 1], set[int], {1, 2}),
    ([1, 2, 1], frozenset[int], frozenset({1, 2})),
    (["a", 1], list, ["a", 1]),
    ({"a": 1}, dict[str, int], {"a": 1}),
    ({"a": 1}, Mapping[str, Any], {"a": 1}),
    ({"a": 1}, dict, {"a": 1}),
    ({"x": 1}, Point, Point(1)),
    (Point(3), Point, Point(3)),
    ("5%", Annotated[float, SHARE], 0.05),
    (4, Even, 4),
    ([2, 4], tuple[Even, ...], (2, 4)),
    (3, Metres, 3),
    (object, Any, object),
    (ENGINE, Engine, ENGINE),
]


@pytest.mark.parametrize(("value", "kind", "wanted"), FITS, ids=[f"{named(value)} as {type_text(kind)}" for value, kind, _ in FITS])
def test_a_value_that_fits(value: Any, kind: Any, wanted: Any) -> None:
    found = Structurer().one(value, kind)
    assert found == wanted
    assert type(found) is type(wanted)


MISFITS = [
    (3.9, int, "expected a whole number, got 3.9"),
    (3.0, int, "expected a whole number, got 3.0"),
    ("3", int, "expected a whole number, got '3' - remove the quotes"),
    ("three", int, "expected a whole number, got 'three'"),
    (True, int, "expected a whole number, got true"),
    (None, int, "expected a whole number, got nothing"),
    ("0.5", float, "expected a number, got '0.5' - remove the quotes"),
    (True, float, "expected a number, got true"),
    ("150%", float, "expected a share between 0% and 100%"),
    ("false", bool, "expected true or false, got 'false' - remove the quotes"),
    ("yes", bool, "expected true or false, got 'yes'"),
    (0, bool, "expected true or false, got 0"),
    (True, str, "expected text, got true - put it in quotes"),
    (None, str, "expected text, got nothing"),
    ([1], str, "expected text, got a list"),
    (0, type(None), "expected nothing, got 0"),
    ("", Path, "expected a path, got ''"),
    ("a\0b", Path, "expected a path"),
    (5, Path, "expected a path, got 5"),
    (5, timedelta, "expected a duration, got 5 - give it a unit: 5s or 5m"),
    ("aa", Literal["aaa", "b"], "expected \"aaa\" | \"b\", got 'aa' - did you mean 'aaa'?"),
    (True, Literal[1, "x"], 'expected 1 | "x", got true'),
    ("green", Colour, "expected one of red, 2, got 'green'"),
    ([], int | str, "expected a whole number or text, got a list"),
    (None, int | str, "expected a whole number or text, got nothing"),
    ("a", list[str], "expected a list, got 'a' - write [a]"),
    ({"a": 1}, list[str], "expected a list, got a mapping"),
    ([1], tuple[int, str], "expected a list of 2, got one of 1"),
    ([1], dict[str, int], "expected a mapping, got a list"),
    ("x", Point, "expected a mapping, got 'x'"),
    (5, Annotated[float, SHARE], "expected a share between 0% and 100%, got 5"),
    (3, Even, "3 is odd"),
    ("no", Word, "expected one of yes, got 'no'"),
    (2, Level, "expected one of 1, got 2"),
    (5, Clock, "a value of type Clock cannot be written in a configuration - leave it out"),
]


@pytest.mark.parametrize(("value", "kind", "said"), MISFITS, ids=[f"{value!r} as {type_text(kind)}" for value, kind, _ in MISFITS])
def test_a_value_that_does_not_fit_is_not_bent(value: Any, kind: Any, said: str) -> None:
    with pytest.raises(Misfit) as caught:
        Structurer().one(value, kind)
    assert said in str(caught.value)


def test_every_problem_inside_a_value_is_found() -> None:
    with pytest.raises(Misfit) as caught:
        Structurer().one({"a": [1, "x"], "b": {"x": 1.5, "z": 0}, "c": [2]}, dict[str, list[int] | Point])
    found = {key_text(problem.path): problem.on_key for problem in caught.value.problems}
    assert found == {"a": False, "b.z": True, "b.x": False}


def test_problems_in_a_list_have_their_index() -> None:
    with pytest.raises(Misfit) as caught:
        Structurer().one([1, "x", 2, 2.5], list[int])
    assert [key_text(problem.path) for problem in caught.value.problems] == ["[1]", "[3]"]


def test_a_key_that_does_not_fit_is_a_problem_of_the_key() -> None:
    with pytest.raises(Misfit) as caught:
        Structurer().one({"red": 1.5}, dict[Literal["blue"], int])
    assert [(one.path, one.on_key) for one in caught.value.problems] == [(("red",), True), (("red",), False)]


def test_the_problem_of_a_nested_class_is_its_own_and_not_of_the_union() -> None:
    with pytest.raises(Misfit) as caught:
        Structurer().one({"q": 1}, str | Point)
    assert "unknown key 'q'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("8801", int, 8801),
        ("0.5", float, 0.5),
        ("5%", float, 0.05),
        ("true", bool, True),
        ("5m", timedelta, timedelta(minutes=5)),
        ("red", Colour, Colour.RED),
    ],
)
def test_a_resolved_reference_is_read_as_the_type_that_is_wanted(text: str, kind: Any, wanted: Any) -> None:
    assert Structurer().one(Secret(text), kind) == wanted


def test_a_resolved_reference_stays_secret() -> None:
    assert repr(Structurer().one(Secret("hunter2"), str)) == "***"
    with pytest.raises(Misfit) as caught:
        Structurer().one(Secret("hunter2"), int)
    assert str(caught.value) == "expected a whole number, got ***"
    with pytest.raises(Misfit) as caught:
        Structurer().one(Secret("hunter2"), list[str])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("kind", [int, bool, str, Path, timedelta, Literal["a"], list[int], int | None, Point, Annotated[float, SHARE]])
def test_a_reference_that_is_resolved_later_fits_everything(kind: Any) -> None:
    waiting = Deferred("${X}")
    assert Structurer().one(waiting, kind) is waiting


def test_untyped_values_are_plain() -> None:
    found = Structurer().one({"depth": value_of("1.10")}, Any)
    assert type(found["depth"]) is float


def test_not_a_number_and_infinity_are_numbers() -> None:
    assert math.isnan(Structurer().one(value_of(".nan"), float))
    assert Structurer().one(value_of(".inf"), float) == math.inf


def test_a_form_of_its_own_comes_first() -> None:
    structurer = Structurer()
    structurer.add(lambda kind: kind is Point, lambda value, _: Point(*value))
    assert structurer.one([1, 2], Point) == Point(1, 2)
    assert structurer.one([[1, 2]], tuple[Point, ...]) == (Point(1, 2),)


def test_paths_begin_at_the_root() -> None:
    assert Structurer(Path("/p")).path(Path("a")) == Path("/p/a")
    assert Structurer(Path("/p")).path(Path("/a")) == Path("/a")
    assert Structurer(Path("/p")).path(Path("~")) == Path.home()
    assert Structurer().path(Path("a")) == Path("a")
