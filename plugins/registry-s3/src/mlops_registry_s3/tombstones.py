"""Retired versions: a tombstone beside the log hides a version, and its entry follows in the journal, once, whoever brings it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from mlops_core.exceptions import VersioningError
from mlops_core.records import NewEntry
from mlops_registry_s3.bucket import Bucket
from mlops_registry_s3.journals import Journals
from mlops_registry_s3.keys import envelope, log, opened, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_registry_s3.bucket import Found

__all__ = ["Tombstones"]


@define(eq=False)
class Tombstones:
    """The tombstones of all tenants."""

    bucket: Bucket
    journals: Journals

    def hide(self, tenant: str, model: str, version: str) -> bool:
        """Whether the version is retired."""
        return self.bucket.head(log(tenant, model, "r") + part(version)) is not None

    def hidden(self, tenant: str, model: str) -> set[str]:
        """Retired versions, as parts of keys."""
        return {found.key.rpartition("/")[2] for found in self.bucket.listing(log(tenant, model, "r"))}

    def retire(self, tenant: str, model: str, version: str, new: NewEntry) -> None:
        """Hide the version. Where a tombstone is already, see that its entry is in the journal, and leave this one."""
        try:
            entry = new.to_dict()
        except ValueError as error:
            raise VersioningError(f"registry.s3: the tombstone of {model} {version} holds what JSON cannot: {error}") from error
        after = self.journals.head(tenant, f"versions/{model}")
        body = envelope(f"the tombstone of {model} {version}", after=after, entry=entry)
        there = self.bucket.create(log(tenant, model, "r") + part(version), body)
        self._complete(tenant, model, part(version), body if there is None else there)

    def pending(self, tenant: str, model: str) -> Iterator[Found]:
        """Tombstones whose entry may be missing in the journal: their retirement was cut off."""
        done = {found.key.rpartition("/")[2] for found in self.bucket.listing(log(tenant, model, "d"))}
        return (found for found in self.bucket.listing(log(tenant, model, "r")) if found.key.rpartition("/")[2] not in done)

    def complete(self, tenant: str, model: str, name: str) -> bool:
        """Bring a tombstone's entry to its journal; False if there is no such tombstone. ``name`` is the version as a part of a key."""
        if (stored := self.bucket.get(log(tenant, model, "r") + name)) is None:
            return False
        self._complete(tenant, model, name, stored.body)
        return True

    def _complete(self, tenant: str, model: str, name: str, body: bytes) -> None:
        done = log(tenant, model, "d") + name
        if self.bucket.head(done) is None:
            content = opened(body, f"the tombstone of {model} {name}")
            new = NewEntry.from_dict(content["entry"])
            self.journals.complete(tenant, f"versions/{model}", content["after"], new, content["nonce"])
            self.bucket.put(done, b"")
