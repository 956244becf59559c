"""States whose attributes are numbers, as named arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from attrs import asdict, fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attrs import AttrsInstance
    from numpy.typing import NDArray

    State = TypeVar("State", bound=AttrsInstance)

__all__ = ["from_arrays", "to_arrays"]


def to_arrays(state: AttrsInstance) -> dict[str, NDArray[Any]]:
    """One array of no dimensions for each attribute."""
    return {name: np.array(value) for name, value in asdict(state).items()}


def from_arrays(kind: type[State], arrays: Mapping[str, NDArray[Any]]) -> State:
    """What ``to_arrays`` answered, back again."""
    return kind(**{one.name: arrays[one.name].item() for one in fields(kind)})
