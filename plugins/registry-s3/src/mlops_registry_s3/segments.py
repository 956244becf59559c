"""Many places of a log in one object, so that a whole log is read in few requests.

Segments are caches: whoever finds a range full writes its segment, whoever finds one damaged reads the places themselves. The first line
is the sha256 of the others, each of which is a place.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Final

from attrs import define

from mlops_core.exceptions import MLOpsError
from mlops_registry_s3.bucket import Bucket
from mlops_registry_s3.keys import part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlops_registry_s3.versions import Added

__all__ = ["LARGE", "SMALL", "Segments"]

SMALL: Final = 32
LARGE: Final = 1024
_LARGEST: Final = 16 << 20  # bytes
_WORTH: Final = 128  # places wanted of a large segment, so that it is read rather than its small ones

Range = tuple[int, int]


@define(eq=False)
class Segments:
    """Ranges of ``SMALL`` and of 1024 places, by their first and last place."""

    bucket: Bucket

    def known(self, tenant: str, model: str) -> set[Range]:
        """Those that are there: one listing."""
        names = (found.key.rpartition("/")[2].split("-") for found in self.bucket.listing(_folder(tenant, model)))
        return {(int(first), int(last)) for first, last in names}

    def bodies(self, tenant: str, model: str, wanted: Sequence[int], known: set[Range]) -> Iterator[bytes]:
        """The places of every segment that helps. One that is damaged is dropped from ``known``, so that it is written anew."""
        chosen: list[Range] = []
        for large, block in groupby(wanted, lambda seq: _range(seq, LARGE)):
            inside = list(block)
            if large in known and len(inside) >= _WORTH:
                chosen.append(large)
            else:
                chosen += [small for small, _ in groupby(inside, lambda seq: _range(seq, SMALL)) if small in known]
        for one, lines in zip(chosen, self.bucket.client.pool.map(lambda one: self._read(tenant, model, one), chosen), strict=True):
            if lines:
                yield from lines
            else:
                known.discard(one)

    def _read(self, tenant: str, model: str, one: Range) -> list[bytes]:
        stored = self.bucket.get(_folder(tenant, model) + _name(one))
        digest, _, rest = (b"" if stored is None else stored.body).partition(b"\n")
        whole = hashlib.sha256(rest).hexdigest().encode() == digest
        lines = rest.split(b"\n") if whole else []
        return lines if len(lines) == one[1] - one[0] + 1 else []

    def fill(self, tenant: str, model: str, found: Mapping[int, Added], known: set[Range]) -> None:
        """Write the segments that these places make up. A reader who may not write goes without."""
        full = {
            one
            for size in (SMALL, LARGE)
            for one, inside in groupby(sorted(found), lambda seq, size=size: _range(seq, size))  # type: ignore[misc]  # the default binds the loop's value
            if one not in known and len(list(inside)) == size
        }
        list(self.bucket.client.pool.map(lambda one: self._write(tenant, model, one, found), full))

    def _write(self, tenant: str, model: str, one: Range, found: Mapping[int, Added]) -> None:
        lines = b"\n".join(found[seq].body() for seq in range(one[0], one[1] + 1))
        if len(lines) <= _LARGEST:
            with suppress(MLOpsError):
                self.bucket.put(_folder(tenant, model) + _name(one), hashlib.sha256(lines).hexdigest().encode() + b"\n" + lines)


def _folder(tenant: str, model: str) -> str:
    return f"{part(tenant)}/s/{part(model)}/"


def _name(one: Range) -> str:
    return f"{one[0]:012d}-{one[1]:012d}"


def _range(seq: int, size: int) -> Range:
    first = (seq - 1) // size * size + 1
    return first, first + size - 1
