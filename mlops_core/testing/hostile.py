"""Files that run code when they are unpickled, in every disguise: none of them may run by default.

Each would create a folder as its mark, so a test sees whether one ran.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["hostile_pickles"]


@frozen
class _Call:
    """Unpickles to ``function(*given)``."""

    function: Callable[..., Any]
    given: tuple[Any, ...]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.given


def hostile_pickles(marker: Path) -> dict[str, bytes]:
    """Contents by kind. Reading any with pickle or joblib creates ``marker``."""
    touch = _Call(os.mkdir, (str(marker),))
    files = {f"protocol {protocol}": pickle.dumps(touch, protocol=protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)}
    files |= {f"nested, protocol {protocol}": pickle.dumps({"a": [1.5, touch]}, protocol=protocol) for protocol in (0, 2, 4, 5)}
    files["by eval"] = pickle.dumps(_Call(eval, (f"__import__('os').mkdir({str(marker)!r})",)))
    files["by system"] = pickle.dumps(_Call(os.system, (f"mkdir '{marker}'",)))
    files["followed by noise"] = files["protocol 4"] + b"\x00" * 300
    files["after a large value"] = pickle.dumps([b"\x00" * 200_000, touch])
    whole = files["protocol 4"]
    files |= {
        "zlib": zlib.compress(whole),
        "zlib, fast": zlib.compress(whole, 1),
        "zlib, best": zlib.compress(files["protocol 0"], 9),
        "gzip": gzip.compress(whole),
        "bz2": bz2.compress(whole),
        "xz": lzma.compress(whole),
        "lzma": lzma.compress(whole, format=lzma.FORMAT_ALONE),
        "array of objects": _npy(touch),
        "zip": _zip(whole),
    }
    return files


def _npy(touch: _Call) -> bytes:
    import numpy as np

    target = io.BytesIO()
    np.save(target, np.array([touch, None], dtype=object), allow_pickle=True)
    return target.getvalue()


def _zip(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return target.getvalue()
