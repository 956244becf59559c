"""What others' code raises, told in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import DriftDetectionError, MLOpsError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["calling", "cause_of", "name_list", "own_errors"]


def name_list(given: Any) -> tuple[str, ...]:
    """The names that a caller gave, once each, a single one without a list too; none where they are no names."""
    names = (given,) if isinstance(given, str) else given if isinstance(given, Sequence) else ()
    return tuple(dict.fromkeys(names)) if all(isinstance(name, str) for name in names) else ()


def cause_of(error: Exception) -> str:
    """The class and text of an error, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@contextlib.contextmanager
def calling(test: str, columns: str) -> Iterator[None]:
    """Around a call of a drift test, which may be a stranger's and raise anything."""
    try:
        yield
    except Exception as error:
        told = f"{cause_of(error)} - leave the test or the column out"
        raise DriftDetectionError(f"drift: test {test!r} failed on column {columns!r}: {told}") from error


@contextlib.contextmanager
def own_errors() -> Iterator[None]:
    """Around calls of other parts of the core: their errors become this facade's, with the same words."""
    try:
        yield
    except DriftDetectionError:
        raise
    except MLOpsError as error:
        raise DriftDetectionError(error.message) from error
