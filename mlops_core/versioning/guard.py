"""Every error of this facade is a ``VersioningError`` of one line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops_core.exceptions import MLOpsError, VersioningError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["guarded"]


@contextmanager
def guarded() -> Iterator[None]:
    """Wrap and chain what lower floors and backends raise; also a decorator."""
    try:
        yield
    except VersioningError:
        raise
    except MLOpsError as error:
        raise VersioningError(_line(error.message)) from error
    except Exception as error:
        raise VersioningError(f"registry: {type(error).__name__}: {_line(str(error))} - `mlops check --connect` tells more") from error


def _line(text: str) -> str:
    return " ".join(text.split())
