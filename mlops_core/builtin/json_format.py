"""Format ``json``: plain values as one JSON document."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define

from mlops_core.exceptions import ArtifactError
from mlops_core.hookspecs import hookimpl
from mlops_core.roles import Format

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["JsonFormat"]

_HEAD: Final = 64 * 1024
_DEPTH: Final = 100
_BITS: Final = 4096
_TOKEN: Final = re.compile(r'[ \t\r\n]*(?:[{}\[\],:]|"(?:[^"\\\x00-\x1f]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)')
_CUT: Final = re.compile(r'[ \t\r\n]*(?:"(?:[^"\\\x00-\x1f]|\\.)*\\?|[-+.\w]{0,400})\Z')


@define(eq=False)
class JsonFormat(Format):
    """Text, numbers, booleans, None, and lists and mappings of these.

    NaN and infinities are refused: JSON has none. So are tuples and keys that are not text, which would come back as something else.
    Subclasses of text and numbers, such as ``numpy.float64``, come back as the plain type.
    """

    name: ClassVar[str] = "json"
    contract: ClassVar[int] = 1

    def accepts(self, value: Any) -> bool:
        """Whether JSON holds the value without loss, to a depth of 100."""
        return _holds(value, _DEPTH)

    def sniff(self, path: Path) -> bool:
        """Whether the first 64 KiB are JSON: parsed if they are all, else read token by token."""
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            head = stream.read(_HEAD + 1)
        if len(head) > _HEAD:
            return _is_head(head[:_HEAD])
        try:
            _parse(head)
        except (ValueError, RecursionError):
            return False
        return True

    def write(self, value: Any, path: Path) -> None:
        """Write UTF-8 with sorted keys, so that equal values have equal digests."""
        if not self.accepts(value):
            raise ArtifactError(f"format json: cannot hold {type(value).__name__} without loss - see the formats that can")
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            json.dump(value, stream, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1)

    def read(self, path: Path) -> Any:
        """The value; a repeated key or NaN is refused."""
        try:
            return _parse(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise ArtifactError(f"format json: {path.name} is no JSON document: {error}") from error


def _holds(value: Any, depth: int) -> bool:
    if isinstance(value, list | dict):
        if depth == 0 or type(value) not in {list, dict}:
            return False
        if isinstance(value, dict) and not all(type(key) is str and _is_plain(key) for key in value):
            return False
        return all(_holds(item, depth - 1) for item in (value.values() if isinstance(value, dict) else value))
    return _is_plain(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, int):
        return value.bit_length() <= _BITS
    return value is None or (isinstance(value, float) and math.isfinite(value))


def _parse(data: bytes) -> Any:
    return json.loads(data.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _is_head(head: bytes) -> bool:
    """Whether the beginning of a longer file reads as JSON; the last token may be cut off."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end < len(head):
            return False
        text = head[: error.start].decode("utf-8")
    if text.lstrip(" \t\r\n")[:1] not in {"{", "[", '"'}:
        return False
    at = 0
    while match := _TOKEN.match(text, at):
        at = match.end()
    return _CUT.match(text, at) is not None


@hookimpl
def mlops_format() -> type[Format]:
    """Hand over the class."""
    return JsonFormat
