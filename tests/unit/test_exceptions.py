"""Errors carry one message, survive a process boundary, and form one tree."""

from __future__ import annotations

import pickle

import pytest

from mlops_core import exceptions
from mlops_core.exceptions import ConfigError, ConflictError, MLOpsError, StageTimeoutError

EVERY = [getattr(exceptions, name) for name in exceptions.__all__]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_has_its_message_and_survives_pickling(kind: type[MLOpsError]) -> None:
    error = kind("registry: no such thing - make one")
    assert isinstance(error, MLOpsError)
    assert str(error) == error.message == "registry: no such thing - make one"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  what was just dumped
    assert (type(again), again.message) == (kind, error.message)


def test_a_configuration_error_holds_every_problem() -> None:
    error = ConfigError("a:1:1: one", "a:2:1: two")
    assert error.message == "a:1:1: one\na:2:1: two"
    assert pickle.loads(pickle.dumps(error)).problems == ("a:1:1: one", "a:2:1: two")  # noqa: S301  as above


def test_a_conflict_tells_the_head() -> None:
    error = pickle.loads(pickle.dumps(ConflictError("taken", head=7)))  # noqa: S301  as above
    assert (error.message, error.head) == ("taken", 7)
    assert ConflictError("taken").head is None


def test_a_timeout_is_a_pipeline_error() -> None:
    assert issubclass(StageTimeoutError, exceptions.PipelineError)
