from __future__ import annotations

import inspect
import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from mlops_core.exceptions import CorruptArtifactError, VersioningError
from mlops_core.records import Leftover, ModelVersion, Page, Query
from mlops_core.roles import RegistryStore
from mlops_core.stack.sealed import SEAL, SEAL_LOOK, SEAL_TENANT, SealGuard, is_seal
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import AT, put, sample_entry, sample_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlops_core.records import Entry

SEALED = {"sealed": True, "to": "production", "since": "2024-05-01T12:00:00+00:00"}
WRITES: dict[str, Callable[[RegistryStore], object]] = {
    "add_version": lambda store: store.add_version(sample_version("9")),
    "add_next_version": lambda store: store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n)),
    "retire_version": lambda store: store.retire_version("acme", "m", "1.0.0", sample_entry("retired")),
    "append": lambda store: store.append("acme", "j", 0, sample_entry()),
    "put_artifact": lambda store: store.put_artifact("acme", io.BytesIO(b"x"), size=1),
}


def public(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")} - {"capabilities", "contract"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def guard(clock: FakeClock) -> SealGuard:
    guard = SealGuard(MemoryRegistry(), clock)
    guard.add_version(sample_version())
    return guard


def test_no_call_of_the_role_is_left_to_a_default() -> None:
    """A store with an index of its own must be asked, not the role's slow default."""
    assert public(RegistryStore) <= set(vars(SealGuard))


@pytest.mark.parametrize("name", WRITES)
def test_a_sealed_store_refuses_writes_within_a_second_and_takes_them_again(name: str, guard: SealGuard, clock: FakeClock) -> None:
    guard.append(SEAL_TENANT, SEAL, 0, sample_entry("seal", state=SEALED))
    clock.advance(SEAL_LOOK)
    with pytest.raises(VersioningError, match=r"sealed since 2024-05-01T12:00:00.00:00: its records were copied to production - use that"):
        WRITES[name](guard)
    assert [one.version for one in guard.find_versions("acme", Query()).items] == ["1.0.0"]
    guard.append(SEAL_TENANT, SEAL, 1, sample_entry("unseal", state={"sealed": False}))
    clock.advance(SEAL_LOOK)
    WRITES[name](guard)


def test_the_seal_is_read_once_a_second(clock: FakeClock) -> None:
    looked = []

    class Counting(MemoryRegistry):
        def read(self, tenant: str, journal: str, **how: Any) -> Sequence[Entry]:
            looked.append(journal)
            return super().read(tenant, journal, **how)

    guard = SealGuard(Counting(), clock)
    for position in range(3):
        guard.append("acme", "j", position, sample_entry())
    assert looked == [SEAL]
    clock.advance(SEAL_LOOK)
    guard.append("acme", "j", 3, sample_entry())
    assert looked == [SEAL, SEAL]


def test_everything_else_of_a_sealed_store_works(guard: SealGuard, clock: FakeClock) -> None:
    blob = put(guard, b"data")
    guard.append(SEAL_TENANT, SEAL, 0, sample_entry("seal", state=SEALED))
    clock.advance(SEAL_LOOK)
    guard.check()
    assert guard.migrate(dry_run=True) == ()
    assert guard.lease("acme", "l", "me", timedelta(seconds=1))
    assert guard.open_artifact("acme", blob).read() == b"data"
    assert guard.models("acme").items == ("m",)
    assert guard.get_version("acme", "m", "1.0.0") is not None
    assert [head.name for head in guard.journals(SEAL_TENANT, "").items] == [SEAL]
    assert guard.entry_of("acme", "j", "k") is None
    assert guard.tenants().items == ("acme", SEAL_TENANT)
    assert [one.kind for one in guard.leftovers(timedelta(0))] == ["blob"]
    assert not guard.discard(Leftover("blob", "acme/none"))
    assert guard.read(SEAL_TENANT, SEAL)[0].at == AT
    guard.close()


def test_what_only_this_store_has_is_asked_of_it(guard: SealGuard) -> None:
    assert guard.capabilities == MemoryRegistry.capabilities
    assert guard.clock is not guard.store.clock  # type: ignore[attr-defined]  # both have one
    assert SealGuard(guard).store.store is guard.store  # type: ignore[attr-defined]  # a guard's is a store too
    with pytest.raises(AttributeError):
        _ = guard.nothing


@pytest.mark.parametrize("other", [{"version": "2.0.0"}, {"model": "evil"}, {"tenant": "rival"}])
def test_the_record_of_another_version_is_not_what_was_asked_for(other: dict[str, Any]) -> None:
    class Swapped(MemoryRegistry):
        def get_version(self, tenant: str, model: str, version: str) -> ModelVersion | None:
            found = super().get_version(tenant, model, version)
            return evolve(found, **other) if found is not None else None

    guard = SealGuard(Swapped())
    guard.add_version(sample_version())
    with pytest.raises(CorruptArtifactError, match=r"in the place of m 1\.0\.0 is .*: the store's records were changed"):
        guard.get_version("acme", "m", "1.0.0")
    assert guard.get_version("acme", "m", "3.0.0") is None


def test_no_search_answers_a_record_of_another_tenant() -> None:
    class Swapped(MemoryRegistry):
        def find_versions(self, tenant: str, query: Query, *, retired: bool = False, newest_first: bool = False) -> Page[ModelVersion]:
            return Page((sample_version(tenant="rival"),))

    with pytest.raises(CorruptArtifactError, match=r"in the place of a version of acme is m 1\.0\.0 of tenant rival"):
        SealGuard(Swapped()).find_versions("acme", Query())


def test_the_seal_is_one_journal_of_one_tenant() -> None:
    assert is_seal(SEAL_TENANT, SEAL)
    assert not is_seal("acme", SEAL)
    assert not is_seal(SEAL_TENANT, "registry/other")
