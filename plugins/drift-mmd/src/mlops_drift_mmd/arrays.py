"""The array library that computes kernels: numpy, or another one by the functions that the array API standard gives both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen

from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NAMES", "NUMPY", "Library", "library"]

NAMES: Final = r"numpy|torch(:\w+)*"


@frozen
class Library:
    """A namespace of the standard (https://data-apis.org/array-api), the device its arrays are put on, and the rows of a kernel's tile."""

    xp: Any
    device: str | None = None
    tile: int = 512  # of numpy: 2 MB of exponents, 1 MB of kernel values

    def put(self, values: Any, dtype: str) -> Any:
        """An array of this library, copied only where it must be."""
        where = {} if self.device is None else {"device": self.device}
        return self.xp.asarray(values, dtype=getattr(self.xp, dtype), **where)

    def get(self, values: Any) -> NDArray[Any]:
        """The same in numpy."""
        return np.asarray(values if self.device is None else values.to("cpu"))


NUMPY: Final = Library(np)


def library(array: str) -> Library:
    """The library that an option ``array`` names, as ``torch:cuda``, imported now.

    Raises:
        DriftDetectionError: it is not installed, or has no such device.
    """
    name, _, device = array.partition(":")
    if name == "numpy":
        return NUMPY
    try:
        from array_api_compat import torch
    except ImportError as error:
        told = f"array: {array} needs {error.name} - run: pip install torch 'motadata-mlops-drift-mmd[array]'"
        raise DriftDetectionError(told) from error
    try:
        torch.empty(1, device=device or "cpu").to("cpu")
    except (AssertionError, NotImplementedError, RuntimeError) as error:  # it was not built for the device, or does not find it
        reason = str(error).partition("\n")[0]
        raise DriftDetectionError(f"array: {array}: torch has no such device here - {reason}") from error
    return Library(torch, device or "cpu", 512 if device in {"", "cpu"} else 2048)
