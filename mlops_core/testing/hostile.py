"""Files that run code when they are unpickled, in every disguise: none of them may run by default.

Each would create a folder as its mark, so a test sees whether one ran.
"""

from __future__ import annotations

import bz2
import collections
import functools
import gzip
import io
import lzma
import operator
import os
import pickle
import subprocess
import tarfile
import timeit
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

__all__ = ["hostile_pickles"]


@frozen
class _Call:
    """Unpickles to ``function(*given)``."""

    function: Callable[..., Any]
    given: tuple[Any, ...]

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.given


@frozen
class _Holder:
    """An object with a state."""

    held: Any


def hostile_pickles(marker: Path) -> dict[str, bytes]:
    """Contents by kind, some sixty. Unpickling them, or what is packed into them (``packed ...``), creates ``marker``."""
    touch = _Call(os.mkdir, (str(marker),))
    files = {f"protocol {protocol}": pickle.dumps(touch, protocol=protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)}
    files |= {f"nested, protocol {protocol}": pickle.dumps({"a": [1.5, touch]}, protocol=protocol) for protocol in (0, 2, 4, 5)}
    files |= {f"by {name}": pickle.dumps(call) for name, call in _calls(marker).items()}
    files |= {f"by opcode {name}": content for name, content in _opcodes(str(marker).encode()).items()}
    files |= {f"in a {type(one).__name__}": pickle.dumps(one) for one in _holders(touch)}
    files["followed by noise"] = files["protocol 4"] + b"\x00" * 300
    files["followed by another"] = files["protocol 2"] + files["protocol 4"]
    files["after a large value"] = pickle.dumps([b"\x00" * 200_000, touch])
    return {**files, **{f"packed {name}": content for name, content in _packed(files["protocol 0"], files["protocol 4"], touch).items()}}


def _calls(marker: Path) -> dict[str, _Call]:
    """The same mark by functions that a list of forbidden names may lack."""
    name = str(marker)
    code = f"__import__('os').mkdir({name!r})"
    return {
        "eval": _Call(eval, (code,)),
        "exec": _Call(exec, (code,)),
        "system": _Call(os.system, (f"mkdir '{name}'",)),
        "a process": _Call(subprocess.call, (["mkdir", name],)),
        "makedirs": _Call(os.makedirs, (name,)),
        "a method of a path": _Call(Path.mkdir, (marker,)),
        "timing it": _Call(timeit.timeit, (code, "pass", timeit.default_timer, 1)),
        "calling it": _Call(operator.call, (os.mkdir, name)),
        "folding": _Call(functools.reduce, (operator.call, [os.mkdir, name])),
        "mapping": _Call(list, (map(os.mkdir, [name]),)),
        "filtering": _Call(tuple, (filter(os.mkdir, [name]),)),
    }


def _opcodes(name: bytes) -> dict[str, bytes]:
    """What no pickler writes, and every unpickler obeys."""
    given = b"(V" + name + b"\nt"
    plain = b"ctypes\nSimpleNamespace\n)R}V%s\ncos\nmkdir\nsb"  # an object whose attribute of that name is the function
    return {
        "GLOBAL": b"cos\nmkdir\n" + given + b"R.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93" + given + b"R.",
        "INST": b"(V" + name + b"\nios\nmkdir\n.",
        "OBJ": b"(cos\nmkdir\nV" + name + b"\no.",
        "GET": b"cos\nmkdir\np0\n0g0\n" + given + b"R.",
        "BUILD": plain % b"__setstate__" + b"V" + name + b"\nb.",
        "APPENDS": plain % b"append" + b"(V" + name + b"\ne.",
        "ADDITEMS": b"\x80\x04" + plain % b"add" + b"(V" + name + b"\n\x90.",
        "REDUCE of what it looked up": b"cbuiltins\ngetattr\n(cimportlib\nimport_module\n(Vos\ntRVmkdir\ntR" + given + b"R.",
    }


def _holders(touch: _Call) -> list[Any]:
    """Values that hold the call."""
    import numpy as np

    return [
        [touch],
        (touch,),
        frozenset([touch]),
        collections.OrderedDict(a=touch),
        collections.defaultdict(list, {touch: 1}),
        collections.deque([touch]),
        ValueError(touch),
        _Holder(touch),
        np.array([touch, None], dtype=object),
    ]


def _packed(oldest: bytes, newer: bytes, touch: _Call) -> dict[str, bytes]:
    """The pickles of the two protocols, compressed, in archives and as arrays."""
    archives = {"in a zip": {"archive/data.pkl": newer}, "as skops": {"schema.json": _SCHEMA, "data.pkl": newer}}
    return {
        "by zlib": zlib.compress(newer),
        "by zlib, fast": zlib.compress(newer, 1),
        "by zlib, best": zlib.compress(oldest, 9),
        "by gzip": gzip.compress(newer),
        "by gzip, protocol 0": gzip.compress(oldest),
        "by bz2": bz2.compress(newer),
        "by bz2, protocol 0": bz2.compress(oldest),
        "by xz": lzma.compress(newer),
        "by xz, protocol 0": lzma.compress(oldest),
        "by lzma": lzma.compress(newer, format=lzma.FORMAT_ALONE),
        **{f"in an array, version {version}": _npy(touch, (version, 0)) for version in (1, 2, 3)},
        "in arrays of a zip": _zip({"a.npy": _npy(touch, (1, 0))}),
        "in a tar": _tar(newer, "w"),
        "in a tar, by gzip": _tar(newer, "w:gz"),
        **{name: _zip(files) for name, files in archives.items()},
    }


_SCHEMA = b"""{"__class__": "mkdir", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1, "protocol": 2, "_skops_version": "0.13",
 "content": {"module_path": "os", "function": "mkdir"}}"""


def _npy(touch: _Call, version: tuple[int, int]) -> bytes:
    import numpy as np

    target = io.BytesIO()
    np.lib.format.write_array(target, np.array([touch, None], dtype=object), version=version, allow_pickle=True)
    return target.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def _tar(content: bytes, mode: Any) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        entry = tarfile.TarInfo("data.pkl")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()
