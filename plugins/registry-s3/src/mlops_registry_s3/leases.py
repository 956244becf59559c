"""Leases: one object a name, swapped by its tag, in the server's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define

from mlops_core.exceptions import VersioningError
from mlops_registry_s3.bucket import Bucket
from mlops_registry_s3.keys import envelope, opened, part

if TYPE_CHECKING:
    from datetime import timedelta

    from mlops_registry_s3.bucket import Stored

__all__ = ["Leases"]

_SECOND: Final = 1.0  # the server tells whole seconds: a lease may last this much longer, and never shorter
_TRIES: Final = 100


@define(eq=False)
class Leases:
    """The leases of all tenants."""

    bucket: Bucket

    def lease(self, tenant: str, name: str, owner: str, ttl: timedelta) -> bool:
        """Take, renew or (with a ``ttl`` of zero) release; False while another holds it."""
        key = f"{part(tenant)}/l/{part(name)}"
        for _ in range(_TRIES):
            stored = self.bucket.get(key)
            now = self.bucket.client.now()
            holder, until = _holder(stored, name)
            if holder not in (None, owner) and until > now:
                return False
            seconds = ttl.total_seconds()
            if seconds <= 0 and (stored is None or until <= now):
                return True
            end = now + _SECOND + seconds if seconds > 0 else 0.0
            body = envelope(f"lease {name}", owner=owner, until=end)
            if stored is None and self.bucket.create(key, body) is None:
                return True
            if stored is not None and self.bucket.replace(key, body, stored.tag):
                return True
        raise VersioningError(f"registry.s3: lease {name}: changed {_TRIES} times while it was read - ask again")


def _holder(stored: Stored | None, name: str) -> tuple[str | None, float]:
    if stored is None:
        return None, 0.0
    content = opened(stored.body, f"lease {name}")
    return content["owner"], float(content["until"])
