from __future__ import annotations

from typing import Any

import pytest

from mlops_core.exceptions import VersioningError
from mlops_core.records import Page
from mlops_core.stack.sealed import SEAL, SEAL_TENANT, SealGuard
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import sample_entry, sample_version
from mlops_core.versioning.sealing import copy_registry, move_registry, seal, unseal


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source(clock: FakeClock) -> SealGuard:
    guard = SealGuard(MemoryRegistry(), clock)
    for tenant in ("acme", "rival"):
        guard.add_version(sample_version(tenant=tenant))
    return guard


def refused(store: SealGuard) -> bool:
    try:
        store.append("acme", "any", len(store.read("acme", "any")), sample_entry())
    except VersioningError:
        return True
    return False


def test_one_tenant_or_all_are_copied(source: SealGuard) -> None:
    assert [one.tenant for one in copy_registry(source, MemoryRegistry())] == ["acme", "rival"]
    target = MemoryRegistry()
    assert [one.tenant for one in copy_registry(source, target, ["rival"])] == ["rival"]
    assert target.tenants().items == ("rival",)
    with pytest.raises(VersioningError, match=r"copy: the source has no tenant 'nobody' \(there are: acme, rival\)"):
        copy_registry(source, target, ["nobody"])
    with pytest.raises(VersioningError, match="is not a name"):
        copy_registry(source, target, ["../etc"])
    assert copy_registry(MemoryRegistry(), target) == ()


def test_tenants_come_page_by_page(source: SealGuard) -> None:
    class Paging(MemoryRegistry):
        def tenants(self, *, cursor: str | None = None) -> Page[str]:
            names = super().tenants(cursor=cursor).items
            return Page(names[:1], names[0] if len(names) > 1 else None)

    target = Paging()
    copy_registry(source, target)
    assert [one.tenant for one in copy_registry(target, MemoryRegistry())] == ["acme", "rival"]


def test_a_sealed_store_can_be_unsealed(source: SealGuard, clock: FakeClock) -> None:
    assert not unseal(source)
    for _ in range(2):
        seal(source, "production", clock=clock)
    clock.advance(1)
    assert refused(source)
    assert [entry.kind for entry in source.read(SEAL_TENANT, SEAL)] == ["seal"]
    assert unseal(source)
    clock.advance(1)
    assert not refused(source)


def test_a_move_seals_the_source_and_takes_what_came_before_writers_knew(source: SealGuard, clock: FakeClock) -> None:
    """A writer that looked at the seal just before it was set may write for a second; those writes are in the copy too."""
    target = MemoryRegistry()
    waits: list[float] = []

    class Writing(FakeClock):
        def sleep(self, seconds: float) -> None:
            if not waits:
                assert not refused(writer)
            waits.append(seconds)
            super().sleep(seconds)
            clock.advance(seconds)

    writer = SealGuard(source.store, clock)
    assert not refused(writer)
    found = move_registry(source, target, "production", clock=Writing())
    assert waits == [2.0]
    assert [one.behind for one in found] == [0, 0]
    assert len(target.read("acme", "any")) == 2
    assert refused(writer)
    assert target.tenants().items == ("acme", "rival"), "the seal stays where it is"


def test_a_move_that_was_cut_short_goes_on(source: SealGuard, clock: FakeClock) -> None:
    target = MemoryRegistry()
    seal(source, "production", clock=clock)
    assert sum(one.versions for one in move_registry(source, target, "production", clock=clock)) == 2


def test_back_again(source: SealGuard, clock: FakeClock) -> None:
    """The old store is a shorter copy of the new one, so it can take the rest once it is unsealed."""
    target = SealGuard(MemoryRegistry(), clock)
    move_registry(source, target, "new", clock=clock)
    target.append("acme", "any", 0, sample_entry())
    with pytest.raises(VersioningError, match="sealed since"):
        copy_registry(target, source)
    unseal(source)
    clock.advance(1)
    move_registry(target, source, "old", clock=clock)
    assert len(source.read("acme", "any")) == 1
    assert (refused(source), refused(target)) == (False, True)


def test_an_error_behind_the_seal_says_that_it_stays(source: SealGuard, clock: FakeClock) -> None:
    target = MemoryRegistry()

    class Spoiling(FakeClock):
        def sleep(self, seconds: float) -> None:
            target.add_version(sample_version("of its own"))
            super().sleep(seconds)

    with pytest.raises(VersioningError, match=r"diverged.*\(the source stays sealed: `mlops registry unseal` opens it again\)"):
        move_registry(source, target, "production", clock=Spoiling())


def test_a_source_that_somebody_writes_past_its_seal(source: SealGuard) -> None:
    """A program of an earlier release does not know of seals."""

    class Writing(MemoryRegistry):
        def find_versions(self, *given: Any, **more: Any) -> Any:
            self.append("acme", "any", len(self.read("acme", "any")), sample_entry())
            return super().find_versions(*given, **more)

    busy = Writing()
    busy.add_version(sample_version())
    with pytest.raises(VersioningError, match="copy: the source does not come to rest although it is sealed"):
        move_registry(busy, MemoryRegistry(), "production", clock=FakeClock())


def test_a_store_is_not_moved_to_itself(source: SealGuard, clock: FakeClock) -> None:
    with pytest.raises(VersioningError, match="copy: source and target are the same store by two names"):
        move_registry(source, SealGuard(source.store, clock), "production", clock=clock)
    clock.advance(1)
    assert not refused(source)


def test_a_store_that_is_sealed_again_tells_where_its_records_went_last(source: SealGuard, clock: FakeClock) -> None:
    seal(source, "first", clock=clock)
    clock.advance(60)
    for _ in range(2):
        seal(source, "second", clock=clock)
    states = [entry.state or {} for entry in source.read(SEAL_TENANT, SEAL)]
    assert [state["to"] for state in states] == ["first", "second"]
    assert states[0]["since"] == states[1]["since"]
