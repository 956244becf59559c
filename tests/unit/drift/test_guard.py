"""What others raise becomes one line of this facade's error."""

from __future__ import annotations

import pytest

from mlops_core.drift.guard import calling, cause_of, name_list, own_errors
from mlops_core.exceptions import ConfigError, DriftDetectionError


def test_a_strangers_error_names_test_and_column() -> None:
    with pytest.raises(DriftDetectionError) as found, calling("energy", "delay"):
        raise ZeroDivisionError("division\n  by zero")
    told = "drift: test 'energy' failed on column 'delay': ZeroDivisionError: division by zero - leave the test or the column out"
    assert found.value.message == told
    assert isinstance(found.value.__cause__, ZeroDivisionError)


def test_errors_of_the_core_keep_their_words() -> None:
    with pytest.raises(DriftDetectionError, match=r"^registry: none$") as found, own_errors():
        raise ConfigError("registry: none")
    assert isinstance(found.value.__cause__, ConfigError)


def test_ones_own_and_foreign_errors_pass() -> None:
    own = DriftDetectionError("x")
    with pytest.raises(DriftDetectionError) as found, own_errors():
        raise own
    assert found.value is own
    with pytest.raises(KeyError), own_errors():
        raise KeyError("y")


def test_a_cause_is_one_line() -> None:
    assert cause_of(ValueError("a\n b")) == "ValueError: a b"


def test_names_are_a_list_or_one() -> None:
    assert name_list("ks") == ("ks",)
    assert name_list(["b", "a", "b"]) == ("b", "a")
    assert [name_list(wrong) for wrong in (5, None, b"ks", [1], ["a", None], {"a"}, [])] == [()] * 7
