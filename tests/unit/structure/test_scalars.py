import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.structure import Misfit, Secret, duration, duration_text, named, plain, share
from mlops_core.structure.scalars import WrittenFloat, WrittenInt, text_of, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("8801", 8801),
        ("-3", -3),
        ("+3", 3),
        ("007", 7),
        ("0x10", 16),
        ("0o17", 15),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        (".inf", math.inf),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2024-01-15", "2024-01-15"),
        ("5%", "5%"),
        ("0b11", "0b11"),
        ("-0x10", "-0x10"),
        ("1.2.3", "1.2.3"),
        ("nUll", "nUll"),
        ("\u0661", "\u0661"),
    ],
)
def test_an_unquoted_scalar_means_what_the_core_schema_of_yaml_1_2_says(text: str, value: Any) -> None:
    found = value_of(text)
    assert found == value
    assert isinstance(found, type(value))


def test_not_a_number_is_one() -> None:
    assert math.isnan(value_of(".nan"))


@pytest.mark.parametrize("text", ["1.10", "007", "1e3", "0x10", "+3", ".inf", "3", "2.5"])
def test_a_number_keeps_its_text(text: str) -> None:
    assert text_of(value_of(text)) == text


def test_only_a_number_that_python_writes_otherwise_remembers_its_text() -> None:
    assert type(value_of("8801")) is int
    assert type(value_of("2.5")) is float
    assert isinstance(value_of("0x10"), WrittenInt)
    assert isinstance(value_of("1.10"), WrittenFloat)


def test_an_integer_of_many_digits_is_no_work_for_the_machine() -> None:
    assert value_of("9" * 5000) == math.inf or isinstance(value_of("9" * 5000), str)


def test_values_for_others_are_plain() -> None:
    found = plain({"a": [value_of("1.10"), value_of("0x10")], "b": "x"})
    assert found == {"a": [1.1, 16], "b": "x"}
    assert [type(one) for one in found["a"]] == [float, int]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("30d", 2_592_000), ("250ms", 0.25), ("0s", 0), ("1.5h", 5400), (" 2w ", 1_209_600), ("1y", 31_536_000)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "got 5 - give it a unit: 5s or 5m"),
        (2.5, "got 2.5 - give it a unit: 2.5s or 2.5m"),
        ("5", "got '5' - write 30s, 5m, 1h30m or 30d"),
        ("5 minutes", "got '5 minutes'"),
        ("-5m", "got '-5m'"),
        ("", "got ''"),
        (True, "got true"),
        (None, "got nothing"),
        ([1], "got a list"),
        ("9999999999y", "longer than any that can be kept"),
        ("5M", "got '5M'"),
    ],
)
def test_what_is_no_duration_is_told_how_to_write_one(value: Any, said: str) -> None:
    with pytest.raises(Misfit, match="expected a duration") as caught:
        duration(value)
    assert said in str(caught.value)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_a_duration_is_read_back_as_it_was_written(span: timedelta) -> None:
    exact = timedelta(milliseconds=span // timedelta(milliseconds=1))
    assert duration(duration_text(exact)) == exact


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_parts_of_a_duration_add_up(hours: int, minutes: int) -> None:
    assert duration(f"{hours}h{minutes}m") == duration(f"{hours}h") + duration(f"{minutes}m")


def test_a_duration_stays_one() -> None:
    assert duration(timedelta(1)) == timedelta(1)
    assert duration_text(timedelta(0)) == "0s"
    assert duration_text(timedelta(hours=1, minutes=30)) == "1h30m"


@pytest.mark.parametrize(("value", "fraction"), [("5%", 0.05), (0.05, 0.05), ("100%", 1.0), (1, 1.0), (0, 0.0), (" 2.5 % ", 0.025)])
def test_shares_are_fractions(value: Any, fraction: float) -> None:
    assert share(value) == fraction


@pytest.mark.parametrize("value", [5, 1.01, -0.1, "150%", math.nan, math.inf])
def test_a_bare_number_beyond_one_is_no_share(value: Any) -> None:
    with pytest.raises(Misfit, match=r"expected a share between 0% and 100%, .* 5% or 0\.05"):
        share(value)


@pytest.mark.parametrize("value", ["5", "five", "-5%", True, None, [0.5], ""])
def test_what_is_no_share_is_told_how_to_write_one(value: Any) -> None:
    with pytest.raises(Misfit, match=r"expected a share, got .* - write 5% or 0\.05"):
        share(value)


@given(st.floats(0, 100, allow_nan=False))
def test_a_percentage_is_a_hundredth(number: float) -> None:
    assert share(f"{number:f}%") == float(f"{number:f}") / 100


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "nothing"),
        (True, "true"),
        (False, "false"),
        (value_of("1.10"), "1.10"),
        ("text", "'text'"),
        ("x" * 80, f"'{'x' * 60}...'"),
        ({}, "a mapping"),
        ([], "a list"),
        (object(), "a value of type object"),
        (Secret("hunter2"), "***"),
    ],
)
def test_a_value_is_named_for_a_message(value: Any, shown: str) -> None:
    assert named(value) == shown


def test_a_secret_is_text_that_does_not_show() -> None:
    secret = Secret("hunter2")
    assert secret == "hunter2"
    assert f"{secret}@host" == "hunter2@host"
    assert repr(secret) == "***"
    assert repr([secret]) == "[***]"
