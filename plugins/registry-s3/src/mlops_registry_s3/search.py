"""Find versions: the logs of the models side by side, in the order in which they grew, read no further than the page asks."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import unquote

from attrs import define, evolve

from mlops_core.records import And, Comparison, ModelVersion, Page, Query
from mlops_registry_s3.keys import part
from mlops_registry_s3.segments import LARGE, SMALL
from mlops_registry_s3.tombstones import Tombstones
from mlops_registry_s3.versions import VersionLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlops_core.records.query import Condition
    from mlops_registry_s3.versions import Added

__all__ = ["Search"]

Order = tuple[int, str, int]


@define(eq=False)
class Search:
    """Reads what the log holds; what it finds was added before it began, or while it ran."""

    log: VersionLog
    tombstones: Tombstones

    def models(self, tenant: str) -> list[str]:
        """Models that have a log, by name."""
        return sorted(unquote(name) for name in self.log.bucket.folders(f"{part(tenant)}/v/"))

    def tenants(self) -> list[str]:
        """Tenants with a version or a journal, by name."""
        bucket = self.log.bucket
        names = bucket.folders("")

        def holds(name: str) -> bool:
            return any(any(True for _ in bucket.listing(f"{name}/{kind}/", limit=1)) for kind in "vj")

        return sorted(unquote(name) for name, kept in zip(names, bucket.client.pool.map(holds, names), strict=True) if kept)

    def living(self, tenant: str, models: Iterable[str]) -> Iterator[str]:
        """Those models that have a living version."""
        for model, newest, hidden in self._heads(tenant, list(models)):
            if any(True for _ in self._walk((tenant, model, newest, hidden), SMALL, retired=False, newest_first=True)):
                yield model

    def find(self, tenant: str, query: Query, *, retired: bool, newest_first: bool) -> Page[ModelVersion]:
        """The cursor is the place of the last version of the page before, or, in a query that orders, the number of versions before."""
        only = _model_of(query.where)
        heads = self._heads(tenant, self.models(tenant) if only is None else [only])
        behind = _order_of(query.cursor) if query.cursor is not None and not query.order_by else None
        size = LARGE if query.limit is None else SMALL
        walks = [self._walk((tenant, *head), size, behind, retired=retired, newest_first=newest_first) for head in heads]
        merged = heapq.merge(*walks, key=lambda found: found[0], reverse=newest_first)
        if query.order_by:
            return query.apply((version for _, version in merged), ModelVersion.fields)
        matches = ((order, version) for order, version in merged if query.matches(version.fields()))
        taken = list(islice(matches, query.limit))
        more = query.limit is not None and bool(taken) and next(matches, None) is not None
        return Page(tuple(version for _, version in taken), _cursor(taken[-1][0]) if more else None)

    def _heads(self, tenant: str, models: Sequence[str]) -> Iterator[tuple[str, int, set[str]]]:
        """How long each log is, and what is hidden of it."""
        return self.log.bucket.client.pool.map(lambda model: self._head(tenant, model), models)

    def _head(self, tenant: str, model: str) -> tuple[str, int, set[str]]:
        newest = self.log.newest(tenant, model)
        return model, newest, self.tombstones.hidden(tenant, model) if newest else set()

    def _walk(
        self, head: tuple[str, str, int, set[str]], size: int, behind: Order | None = None, *, retired: bool, newest_first: bool
    ) -> Iterator[tuple[Order, ModelVersion]]:
        """A model's versions, in chunks that grow: a small page is answered by few requests."""
        tenant, model, newest, hidden = head
        for first, last in _chunks(newest, _seq_of(behind, model), size, newest_first=newest_first):
            places = self.log.places(tenant, model, first, last)
            for added in reversed(places) if newest_first else places:
                order = (added.order, model, added.seq)
                if behind is not None and (order >= behind if newest_first else order <= behind):
                    continue
                version = _as_it_is(added, hidden)
                if retired or not version.retired:
                    yield order, version


def _as_it_is(added: Added, hidden: set[str]) -> ModelVersion:
    gone = not added.version.retired and part(added.version.version) in hidden
    return evolve(added.version, retired=True) if gone else added.version


def _chunks(newest: int, start: int | None, size: int, *, newest_first: bool) -> Iterator[tuple[int, int]]:
    """Ranges of places, as segments are cut: ``size`` at first, then more and more."""
    if newest_first:
        last = newest if start is None else min(newest, start)
        while last > 0:
            first = (last - 1) // size * size + 1
            yield first, last
            last, size = first - 1, min(size * 2, LARGE)
    else:
        first = start or 1
        while first <= newest:
            last = min(newest, (first - 1) // size * size + size)
            yield first, last
            first, size = last + 1, min(size * 2, LARGE)


def _model_of(condition: Condition | None) -> str | None:
    """The one model that can match, where the filter names it."""
    if isinstance(condition, And):
        return next((found for found in map(_model_of, condition.terms) if found is not None), None)
    named = isinstance(condition, Comparison) and (condition.field, condition.operator) == ("model", "=")
    return condition.value if named and isinstance(condition, Comparison) and isinstance(condition.value, str) else None


def _cursor(order: Order) -> str:
    return f"{order[0]}:{order[2]}:{order[1]}"


def _order_of(cursor: str) -> Order:
    order, seq, model = cursor.split(":", 2)
    return int(order), model, int(seq)


def _seq_of(behind: Order | None, model: str) -> int | None:
    return behind[2] if behind is not None and behind[1] == model else None
