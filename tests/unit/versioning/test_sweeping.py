from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import VersioningError
from mlops_core.records import Leftover
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import put
from mlops_core.versioning import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator


def tenants(found: tuple[Leftover, ...]) -> list[str]:
    return sorted(one.tenant for one in found)


def test_what_was_used_within_the_grace_stays() -> None:
    clock = FakeClock()
    store = MemoryRegistry(clock=clock)
    put(store, b"orphan")
    assert sweep(store) == ()
    clock.advance(25 * 3600)
    assert tenants(sweep(store)) == ["acme"]
    assert sweep(store, timedelta(0)) == ()


def test_a_sweep_is_of_one_tenant_or_of_all(store: MemoryRegistry) -> None:
    for tenant in ("acme", "rival", "third"):
        put(store, b"orphan", tenant)
    assert tenants(sweep(store, timedelta(0), dry_run=True)) == ["acme", "rival", "third"]
    assert tenants(sweep(store, timedelta(0), tenant="rival")) == ["rival"]
    assert tenants(sweep(store, timedelta(0))) == ["acme", "third"]


def test_what_is_nobodys_goes_with_a_sweep_of_all() -> None:
    class WithTemporary(MemoryRegistry):
        def leftovers(self, grace: timedelta) -> Iterator[Leftover]:
            del grace
            yield Leftover("temporary", "half a file", 4)

        def discard(self, leftover: Leftover) -> bool:
            return leftover.kind == "temporary"

    assert sweep(WithTemporary(), tenant="acme") == ()
    assert tenants(sweep(WithTemporary())) == [""]


@pytest.mark.parametrize("grace", [3600, timedelta(seconds=-1), None])
def test_a_grace_is_a_duration(store: MemoryRegistry, grace: Any) -> None:
    with pytest.raises(VersioningError, match="grace is not a duration"):
        sweep(store, grace)
