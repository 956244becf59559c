"""Format ``joblib``: any Python object, by pickle. Reading it runs what the file says."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field

from mlops_core.exceptions import ArtifactError
from mlops_core.roles import Format
from mlops_format_sklearn.pickles import is_pickle
from mlops_format_sklearn.predictor import SklearnPredictor

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import Schema

__all__ = ["JoblibFormat"]


@define(eq=False)
class JoblibFormat(Format):
    """What joblib and pickle read. The core reads it only where ``models.trust`` names ``joblib``."""

    name: ClassVar[str] = "joblib"
    contract: ClassVar[int] = 1
    runs_code: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})

    compress: int = field(default=3, metadata={"help": "zlib level of what is written, 0 for none"})

    def accepts(self, value: Any) -> bool:
        """Whether it pickles: tried, and thrown away."""
        try:
            pickle.Pickler(_Nowhere(), protocol=pickle.HIGHEST_PROTOCOL).dump(value)
        except Exception:  # noqa: BLE001  a class's own reduction may raise anything
            return False
        return True

    def sniff(self, path: Path) -> bool:
        """Whether it is a pickle, compressed or not; nothing is unpickled."""
        return is_pickle(path)

    def write(self, value: Any, path: Path) -> None:
        """Write with joblib."""
        import joblib

        if not self.accepts(value):
            raise ArtifactError(f"format joblib: {type(value).__qualname__} does not pickle - define what it holds in a module")
        joblib.dump(value, path, compress=self.compress)

    def read(self, path: Path) -> Any:
        """Unpickle. This runs code from the file."""
        import joblib

        try:
            return joblib.load(path)
        except Exception as error:  # unpickling raises whatever the file's classes raise
            cause = " ".join(str(error).split())
            raise ArtifactError(f"format joblib: {path.name} cannot be read: {type(error).__name__}: {cause}") from error

    def predictor(self, value: Any, schema: Schema | None) -> SklearnPredictor:
        """Predict with anything that has ``predict``."""
        return SklearnPredictor(value, schema)


class _Nowhere(io.RawIOBase):
    """Takes bytes and keeps none."""

    def write(self, data: Any) -> int:
        return len(data)
