"""Format ``skops``: scikit-learn models without pickle."""

from __future__ import annotations

import io
import sys
import zipfile
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core.exceptions import ArtifactError, MLOpsError, UntrustedFormatError
from mlops_core.roles import Format
from mlops_format_sklearn.predictor import SklearnPredictor
from mlops_format_sklearn.trusted import TRUSTED

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import Schema

__all__ = ["SkopsFormat"]

_REMEDY: Final = "store the model as joblib and trust that, or name the types in option 'trusted'"
_SCHEMA: Final = "schema.json"
_END: Final = b"PK\x05\x06"
_TAIL: Final = 66 * 1024  # the end record of a zip, with the longest comment it may have
_DIRECTORY: Final = 8 << 20


@define(eq=False)
class SkopsFormat(Format):
    """Fitted or plain scikit-learn estimators whose parts are types of scikit-learn, numpy and scipy.

    The file names types and holds data, no code. Types that are not known to be harmless are refused, both when a model is written and when
    one is read; node arrays of trees, which scikit-learn follows without checking them, are checked here.
    """

    name: ClassVar[str] = "skops"
    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})

    trusted: tuple[str, ...] = field(
        default=(), metadata={"help": "further types that files may hold, as module.Class; reading one imports its module"}
    )

    def accepts(self, value: Any) -> bool:
        """Whether it is an estimator made of trusted types only: tried in memory."""
        if not _is_estimator(value):
            return False
        import skops.io as sio

        try:
            return not set(sio.get_untrusted_types(data=sio.dumps(value))) - self._trusted()
        except Exception:  # noqa: BLE001  a type that skops cannot hold raises one of several classes
            return False

    def sniff(self, path: Path) -> bool:
        """Whether it is a zip file with the schema that skops writes."""
        if not path.is_file() or not _is_small_zip(path):
            return False
        try:
            with zipfile.ZipFile(path) as archive, archive.open(_SCHEMA) as stream:
                return b'"__loader__"' in stream.read(_TAIL)
        except (KeyError, OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
            return False

    def write(self, value: Any, path: Path) -> None:
        """Write the estimator; one with a type that is not trusted is refused, naming the types."""
        if not _is_estimator(value):
            raise ArtifactError(f"format skops: a {type(value).__qualname__} is no estimator of scikit-learn - give one, or another format")
        import skops.io as sio

        try:
            content = sio.dumps(value, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
            unknown = set(sio.get_untrusted_types(data=content)) - self._trusted()
        except Exception as error:
            cause = " ".join(str(error).split())
            raise ArtifactError(f"format skops: cannot hold {type(value).__qualname__}: {cause}") from error
        if unknown:
            what = ", ".join(sorted(unknown))
            raise ArtifactError(f"format skops: {type(value).__qualname__} holds {what}, not known to be harmless - {_REMEDY}")
        path.write_bytes(content)

    def read(self, path: Path) -> Any:
        """The estimator.

        Raises:
            UntrustedFormatError: It holds types that are not trusted.
            ArtifactError: It is damaged, or its trees would be followed out of their arrays.
        """
        import skops.io as sio

        from mlops_format_sklearn.audit import audit

        try:
            self._refuse_unknown(path)
            value = sio.load(path, trusted=sorted(self._trusted()))
            audit(value)
        except MLOpsError:
            raise
        except Exception as error:  # a damaged file raises whatever the part of skops does that meets the damage
            cause = " ".join(str(error).split())
            raise ArtifactError(f"format skops: {path.name} cannot be read: {type(error).__name__}: {cause}") from error
        return value

    def predictor(self, value: Any, schema: Schema | None) -> SklearnPredictor:
        """Predict with the estimator."""
        return SklearnPredictor(value, schema)

    def _refuse_unknown(self, path: Path) -> None:
        import skops.io as sio

        if unknown := set(sio.get_untrusted_types(file=path)) - self._trusted():
            what = ", ".join(sorted(unknown))
            raise UntrustedFormatError(f"format skops: {path.name} holds {what}, not known to be harmless - {_REMEDY}")

    def _trusted(self) -> set[str]:
        return {*TRUSTED, *self.trusted}


def _is_estimator(value: Any) -> bool:
    base = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", None)
    return base is not None and isinstance(value, base)


def _is_small_zip(path: Path) -> bool:
    """Whether the list of a zip's files is of a size that may be read."""
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return False
        size = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    end = tail.rfind(_END)
    return end >= 0 and int.from_bytes(tail[end + 12 : end + 16], "little") <= _DIRECTORY
