from __future__ import annotations

import pytest

from mlops_core.exceptions import ArtifactError, ConfigError, VersioningError
from mlops_core.versioning.guard import guarded


@guarded()
def act(error: BaseException | None) -> str:
    if error is not None:
        raise error
    return "done"


def test_an_answer_passes() -> None:
    assert act(None) == "done"


def test_the_facades_own_error_passes_unchanged() -> None:
    error = VersioningError("no version")
    with pytest.raises(VersioningError) as caught:
        act(error)
    assert caught.value is error


@pytest.mark.parametrize("error", [ArtifactError("no blob"), ConfigError("one", "two"), OSError(5, "gone\naway"), ValueError()])
def test_anything_else_becomes_one_line_and_stays_the_cause(error: Exception) -> None:
    with pytest.raises(VersioningError) as caught:
        act(error)
    assert caught.value.__cause__ is error
    assert "\n" not in caught.value.message


def test_an_interrupt_is_no_error() -> None:
    with pytest.raises(KeyboardInterrupt):
        act(KeyboardInterrupt())
