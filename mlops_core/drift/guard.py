"""What others' code raises, told in one line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mlops_core.exceptions import DriftDetectionError, MLOpsError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["calling", "cause_of", "own_errors"]


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
