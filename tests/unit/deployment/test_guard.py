"""Every error of the facade is its own."""

import pytest

from mlops_core.deployment.guard import guarded, one_line
from mlops_core.exceptions import ConfigError, DeploymentError


def test_errors_of_lower_floors_and_backends_are_wrapped_and_chained() -> None:
    with pytest.raises(DeploymentError, match=r"^first second$") as raised, guarded():
        raise ConfigError("first", "second")
    assert isinstance(raised.value.__cause__, ConfigError)

    with pytest.raises(DeploymentError, match=r"^deployment: KeyError: 'x' - `mlops check --connect` tells more$") as raised, guarded():
        raise KeyError("x")
    assert isinstance(raised.value.__cause__, KeyError)


def test_its_own_pass_as_they_are() -> None:
    error = DeploymentError("refused")
    with pytest.raises(DeploymentError) as raised, guarded():
        raise error
    assert raised.value is error


def test_a_message_is_one_line_of_bounded_length() -> None:
    assert one_line(ValueError("a\nb " * 1000)).count("\n") == 0
    assert len(one_line(ValueError("x" * 9999))) < 500
