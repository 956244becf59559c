"""What goes through a spool to the sinks: a segment, and rows of the prediction log that came with it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import evolve, frozen

from mlops_core.records import Logged, Segment, merge_segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Parcel", "merge_parcels"]

_ROWS: Final = "rows"
_REPEATED: Final = "repeated_errors"
_UNKNOWN: Final = (_ROWS, "unit_errors")  # the second in lines of earlier releases, and 0
_MOST_ROWS: Final = 100_000


@frozen
class Parcel:
    """One line of a spool: the spool's writer and the line's number make the segment idempotent, their own names the rows."""

    segment: Segment
    rows: tuple[Logged, ...] = ()

    def record(self) -> dict[str, Any]:
        """The line. Without rows it is the segment's own form; what an earlier release does not know is there where it says something."""
        record = self.segment.to_dict()
        if not self.segment.repeated_errors:
            del record[_REPEATED]
        return {**record, _ROWS: [row.to_dict() for row in self.rows]} if self.rows else record

    @classmethod
    def of(cls, writer: str, sequence: int, record: Mapping[str, Any]) -> Self:
        """Read a line."""
        segment = Segment.from_dict({name: value for name, value in record.items() if name not in _UNKNOWN})
        return cls(evolve(segment, writer=writer, sequence=sequence), tuple(map(Logged.from_dict, record.get(_ROWS, ()))))


def merge_parcels(parcels: Sequence[Parcel]) -> list[Parcel]:
    """Fewer parcels of the same counts; of their rows the first 100,000, in the first of them."""
    segments = merge_segments([one.segment for one in parcels])
    rows = tuple(islice((row for one in parcels for row in one.rows), _MOST_ROWS))
    return [Parcel(segment, () if place else rows) for place, segment in enumerate(segments)]
