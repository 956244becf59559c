import copy
import inspect
import pickle
from typing import Any

import pytest

from mlops_core import exceptions
from mlops_core.exceptions import ConfigError, ConflictError, DeploymentError, MLOpsError, MonitoringError, QueryError, checks_input

CLASSES = [getattr(exceptions, name) for name in exceptions.__all__ if name.endswith("Error")]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_a_message(cls: Any) -> None:
    error = cls("tracker: wrong - do this")
    assert error.message == str(error) == "tracker: wrong - do this"
    assert isinstance(error, MLOpsError)
    assert cls.__name__.endswith("Error")
    assert cls.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_crosses_to_another_process(cls: Any) -> None:
    error = pickle.loads(pickle.dumps(cls("wrong")))  # noqa: S301  our own bytes
    assert type(error) is cls
    assert error.message == "wrong"
    assert copy.copy(error).message == "wrong"


def test_a_configuration_error_keeps_its_lines() -> None:
    error = ConfigError("one", "two")
    assert error.problems == ("one", "two")
    assert error.message == "one\ntwo"
    assert pickle.loads(pickle.dumps(error)).problems == ("one", "two")  # noqa: S301  our own bytes


def test_a_conflict_keeps_the_head() -> None:
    error = pickle.loads(pickle.dumps(ConflictError("moved on", head=7)))  # noqa: S301  our own bytes
    assert (error.message, error.head) == ("moved on", 7)
    assert ConflictError("taken").head is None


def test_every_error_class_is_public() -> None:
    defined = {name for name, value in vars(exceptions).items() if inspect.isclass(value) and value.__module__ == exceptions.__name__}
    assert defined == {cls.__name__ for cls in CLASSES}


def test_bad_input_is_told_from_a_failure_also_by_a_facade() -> None:
    @checks_input
    def check(value: int) -> int:
        if value < 0:
            raise MonitoringError("value: it is below zero - give 0 or more")
        return value

    def facade(inner: MLOpsError) -> DeploymentError:
        error = DeploymentError(inner.message)
        error.__cause__ = inner
        return error

    with pytest.raises(MonitoringError) as caught:
        check(-1)
    assert check(1) == 1
    assert caught.value.bad_input
    assert facade(caught.value).bad_input
    assert facade(QueryError("filter: wrong")).bad_input
    assert not facade(MonitoringError("sink: it is down")).bad_input
    assert not MonitoringError("sink: it is down").bad_input
