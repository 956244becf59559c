"""Format ``safetensors``: named arrays in one file that holds nothing but data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core.exceptions import ArtifactError, CapabilityError
from mlops_core.roles import Format
from mlops_format_safetensors.header import check_header, has_header
from mlops_format_safetensors.predictors import predictor_class

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import Schema
    from mlops_core.roles import Predictor

__all__ = ["SafetensorsFormat"]

_KINDS: Final = frozenset(
    {
        "bool",
        "complex64",
        "float16",
        "float32",
        "float64",
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    }
)
_RESERVED: Final = "__metadata__"


@define(eq=False)
class SafetensorsFormat(Format):
    """Mappings of names to numpy arrays. To deploy one, ``predictor`` names the class of yours that predicts with the arrays."""

    name: ClassVar[str] = "safetensors"
    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})

    class_path: str = field(
        default="",
        alias="predictor",
        metadata={"help": "your class that predicts with the arrays, as my_module:MyModel or ./file.py:MyModel", "path": True},
    )

    def check(self) -> None:
        """Import the class that predicts, if one is named."""
        if self.class_path:
            predictor_class(self.class_path)

    def accepts(self, value: Any) -> bool:
        """Whether it is a mapping that is not empty, of names to plain arrays of numbers or truth values."""
        kind = getattr(sys.modules.get("numpy"), "ndarray", None)  # not there yet while a thread is importing numpy
        if kind is None or type(value) is not dict or not value or _RESERVED in value:
            return False
        return all(type(name) is str and type(array) is kind and _is_plain(array) for name, array in value.items())

    def sniff(self, path: Path) -> bool:
        """Whether it begins with a header of safetensors."""
        return has_header(path)

    def write(self, value: Any, path: Path) -> None:
        """Write the arrays."""
        if not self.accepts(value):
            raise ArtifactError(
                f"format safetensors: cannot hold this {type(value).__qualname__} without loss - "
                "give a dict of names to numpy arrays of numbers or truth values"
            )
        import numpy as np
        from safetensors.numpy import save_file

        save_file({name: np.asarray(array, order="C") for name, array in value.items()}, path)  # of others, it mixes up the values

    def read(self, path: Path) -> Any:
        """The arrays by name.

        Raises:
            ArtifactError: The file is damaged, or holds a type that numpy does not have.
        """
        from safetensors.numpy import load_file

        try:
            check_header(path)
            return load_file(path)
        except ArtifactError:
            raise
        except Exception as error:  # the library's own error, or numpy's for a type that it does not have
            cause = " ".join(str(error).split())
            raise ArtifactError(f"format safetensors: {path.name} cannot be read: {cause}") from error

    def predictor(self, value: Any, schema: Schema | None) -> Predictor:
        """An object of the class that the option ``predictor`` names, made of the arrays and the schema.

        Raises:
            CapabilityError: The option is not set, or leads to no such class.
        """
        if not self.class_path:
            raise CapabilityError(
                "format safetensors: these are arrays, which predict nothing by themselves - name the class of yours that does: "
                "formats: [{use: safetensors, predictor: './file.py:MyModel'}]"
            )
        made: Predictor = predictor_class(self.class_path)(value, schema)
        return made


def _is_plain(array: Any) -> bool:
    return array.dtype.name in _KINDS and array.dtype.isnative and array.dtype.metadata is None
