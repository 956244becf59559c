"""What a stored reference may hold: names of categories are told by keyed hashes, but for columns that the configuration names.

The hash is BLAKE2b with a key (RFC 7693), drawn from ``drift.hash_key`` and the tenant, so that equal data gives equal references. With a
key that only the tenant holds nobody else can try names; without one a reader can try those that he can think of.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from attrs import evolve, field, frozen

from mlops_core.drift.column import MISSING_CODE
from mlops_core.drift.guard import name_list, own_errors
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.drift.column import Column
    from mlops_core.stack import Stack

__all__ = ["EVERY", "Hashing", "kept_columns"]

EVERY: Final = "*"
"""In ``drift.keep``: every column."""

_NAME_BYTES: Final = 8  # two of 10,000 names meet with a probability of 3e-12
_PROBE: Final = "\0mark"  # a category can be called so, which does no harm


def kept_columns(keep: Sequence[str] | None, stack: Stack | None) -> frozenset[str] | None:
    """The columns of which everything may be stored; None: all of them.

    Raises:
        DriftDetectionError: ``keep`` is no list of names.
    """
    if keep is None and stack is None:
        return None
    names = name_list(keep) if keep is not None else stack.settings.drift.keep if stack is not None else ()
    if keep is not None and not names and keep != []:
        raise DriftDetectionError(f"drift: keep: expected names of columns, got {keep!r:.60} - give some, or '*' for all")
    return None if EVERY in names else frozenset(names)


@frozen(eq=False)
class Hashing:
    """Hashes names of categories for a tenant."""

    _key: bytes = field(repr=False)

    @classmethod
    def of(cls, stack: Stack, mark: str | None = None) -> Self:
        """That of the stack's tenant; ``mark`` is that of a stored reference.

        Raises:
            DriftDetectionError: ``drift.hash_key`` cannot be resolved; or it, or the tenant, is not that of the reference.
        """
        with own_errors():
            secret = "" if stack.settings.drift.hash_key is None else stack.resolve(stack.settings.drift.hash_key)
        made = cls(blake2b(stack.tenant.encode(), key=blake2b(secret.encode()).digest()).digest())
        if mark is not None and made.mark != mark:
            told = f"its categories are hashed with another key, or for another tenant than {stack.tenant!r}"
            raise DriftDetectionError(f"drift: reference: {told} - set drift.hash_key as it was when the reference was fitted")
        return made

    @property
    def mark(self) -> str:
        """What tells whether another hashes alike."""
        return self.name(_PROBE)

    def name(self, category: str) -> str:
        """What is kept of a category's name."""
        return f"#{blake2b(category.encode(errors='surrogatepass'), key=self._key, digest_size=_NAME_BYTES).hexdigest()}"

    def names(self, categories: Sequence[str]) -> tuple[str, ...]:
        """What is kept of each."""
        return tuple(map(self.name, categories))

    def column(self, column: Column) -> Column:
        """The column with its categories hashed, in the order of the hashes: that of the names would tell of them."""
        hashed = self.names(column.categories)
        order = sorted(range(len(hashed)), key=hashed.__getitem__)
        place = np.full(len(hashed) + 1, MISSING_CODE, dtype=np.int64)  # the last one, which -1 finds, is that of a missing value
        place[order] = np.arange(len(hashed))
        return evolve(column, data=place[column.data], categories=tuple(hashed[code] for code in order))
