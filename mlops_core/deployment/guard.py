"""Every error of this facade is a ``DeploymentError`` of one line, but for what a deployer cannot do: a ``CapabilityError``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops_core.exceptions import CapabilityError, DeploymentError, MLOpsError
from mlops_core.secrecy import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["guarded", "one_line"]

_LONGEST = 400


@contextmanager
def guarded() -> Iterator[None]:
    """Wrap and chain what lower floors and backends raise; also a decorator."""
    try:
        yield
    except (DeploymentError, CapabilityError):
        raise
    except Exception as error:
        raise DeploymentError(one_line(error)) from error


def one_line(error: Exception) -> str:
    """The message of one of our own errors; of another the class as well."""
    if isinstance(error, MLOpsError):
        return " ".join(error.message.split())
    text = " ".join(mask(str(error)).split())
    return f"deployment: {type(error).__name__}: {text[:_LONGEST]} - `mlops check --connect` tells more"
