"""What all records share: attribute and item access, and one JSON form."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Self

from mlops_core.records.quick import quick_decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Record", "canonical_json", "digest_of"]


class Record:
    """A frozen value that answers both ``result.p_value`` and ``result["p_value"]``.

    Mix it into a frozen attrs class. ``to_dict`` and ``from_dict`` go to and from plain JSON values: times as ISO 8601 text, durations
    as seconds, enumerations by value, tuples as lists. Fields that a newer release added and this one does not know are refused by
    ``from_dict`` with a ``ValueError``.
    """

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        if key in self:
            return getattr(self, key)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        """Fields first, then public properties (derived figures, such as a rate)."""
        fields = tuple(field.name for field in getattr(cls, "__attrs_attrs__", ()) if not field.name.startswith("_"))
        derived = (
            name
            for base in reversed(cls.__mro__)
            for name, member in vars(base).items()
            if isinstance(member, property) and not name.startswith("_")
        )
        return tuple(dict.fromkeys((*fields, *derived)))

    def keys(self) -> tuple[str, ...]:
        """Names that ``record[name]`` answers."""
        return self._names()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values of the fields (not of derived properties)."""
        from mlops_core.records.codec import encode

        return encode(self)  # type: ignore[no-any-return]  # an attrs class always encodes to a mapping

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build a record from ``to_dict``'s answer.

        Raises:
            ValueError: A field is missing, unknown or of the wrong type.
        """
        quick = quick_decoder(cls)
        try:
            found: Self | None = None if quick is None else quick(data)
        except (TypeError, ValueError):
            found = None
        if found is not None:
            return found
        from mlops_core.records.codec import decode

        return decode(cls, data)


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: sorted keys, no spaces, UTF-8, no NaN. Equal values give equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """sha256 of the canonical JSON of a plain value, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
