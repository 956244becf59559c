"""Format ``npy``: one numpy array, in numpy's own file format."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define

from mlops_core.exceptions import ArtifactError
from mlops_core.hookspecs import hookimpl
from mlops_core.roles import Format

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    import numpy as np

__all__ = ["NpyFormat"]

_MAGIC: Final = b"\x93NUMPY"


@define(eq=False)
class NpyFormat(Format):
    """Arrays of any shape and dtype but ``object``, which numpy would pickle. Masked arrays and matrices are refused."""

    name: ClassVar[str] = "npy"
    contract: ClassVar[int] = 1

    def accepts(self, value: Any) -> bool:
        """Whether the value is a plain array without Python objects in it."""
        array = getattr(sys.modules.get("numpy"), "ndarray", None)  # not there yet while a thread is importing numpy
        return array is not None and type(value) is array and _is_plain(value.dtype)

    def sniff(self, path: Path) -> bool:
        """Whether the file begins with numpy's magic bytes."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC

    def write(self, value: Any, path: Path) -> None:
        """Write the array; Fortran order is kept."""
        import numpy as np

        if not self.accepts(value):
            raise ArtifactError(f"format npy: cannot hold {type(value).__name__} without loss - give an array whose dtype is not object")
        with path.open("xb") as stream:
            np.save(stream, value, allow_pickle=False)

    def read(self, path: Path) -> Any:
        """The array; a file with Python objects, or of another length than its header says, is refused."""
        import numpy as np

        try:
            with path.open("rb") as stream:
                _check_size(stream, path.stat().st_size)
                stream.seek(0)
                return np.load(stream, allow_pickle=False)
        except Exception as error:  # what a damaged header raises depends on where it is damaged
            cause = str(error).partition("\n")[0]
            raise ArtifactError(f"format npy: {path.name} is no array of plain values: {cause}") from error


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """No objects; and nothing that numpy's usual file version drops (notes on a dtype) or cannot spell (names outside Latin-1)."""
    spelled = str(dtype.descr) if dtype.names else ""
    return not dtype.hasobject and dtype.metadata is None and spelled.isascii()


def _check_size(stream: BinaryIO, size: int) -> None:
    """A header may promise any shape: compare it with the file before memory is taken for it."""
    from numpy.lib import format as npy

    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stream)
    if version not in readers:
        return  # 3.0 holds field names in UTF-8; numpy reads it, and its data ends with the file all the same
    shape, _, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{size} bytes do not fit shape {shape} of {dtype}")


@hookimpl
def mlops_format() -> type[Format]:
    """Hand over the class."""
    return NpyFormat
