# ruff: noqa: SLF001  damage is done behind a store's back
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_core.exceptions import ArtifactError, MLOpsError, VersioningError
from mlops_core.records import Blob, File, ModelVersion
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import full_version, put, sample_entry, sample_version
from mlops_core.versioning.comparing import compare_tenant
from mlops_core.versioning.copying import copy_tenant
from mlops_core.versioning.sealing import copy_registry
from mlops_core.versioning.walking import entries_of, heads_of, versions_of

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore


def fill(store: RegistryStore) -> None:
    """Something of everything: two tenants, numbers, names, tombstones, blobs of versions and of entries."""
    store.add_version(full_version(put(store, b"weights"), put(store, b"reference")))
    for n in (1, 2, 3):
        store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n, files=(File("f", put(store, f"{n}".encode())),)))
        if n == 2:
            store.retire_version("acme", "m", "1", sample_entry("retired", change={"version": "1", "reason": "bad"}))
    store.add_version(sample_version("1.0", model="other", tenant="rival"))
    output = put(store, b"an output of a stage")
    unmeasured = put(store, b"of a size that nobody told")
    change = {"ref": {"sha256": output.sha256, "size": output.size}, "also": {"sha256": unmeasured.sha256}, "folder": {"sha256": "f" * 64}}
    store.append("acme", "runs/p/1", 0, sample_entry("begun", key="k", change=change))
    store.append("acme", "runs/p/1", 1, sample_entry("ended", state={"x": [1, None, 2.5]}, at=3))
    store.append("acme", "aliases/m/champion", 0, sample_entry(state={"version": "2"}))


def everything(store: RegistryStore, tenant: str) -> tuple[list[Any], dict[str, list[Any]]]:
    return list(versions_of(store, tenant)), {head.name: list(entries_of(store, tenant, head.name)) for head in heads_of(store, tenant)}


def assert_copied(source: RegistryStore, target: RegistryStore) -> None:
    assert source.tenants() == target.tenants()
    for tenant in source.tenants().items:
        assert everything(source, tenant) == everything(target, tenant)
        found = compare_tenant(source, target, tenant)
        assert found == compare_tenant(target, source, tenant)
        assert found.behind == 0


@pytest.fixture
def target() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def filled(store: MemoryRegistry) -> MemoryRegistry:
    fill(store)
    return store


def test_everything_is_copied_as_it_stands(filled: MemoryRegistry, target: MemoryRegistry) -> None:
    said: list[str] = []
    for tenant in ("acme", "rival"):
        copy_tenant(filled, target, tenant, said.append)
    assert_copied(filled, target)
    assert said[0] == "acme: m 2.0.0-rc.1"
    assert target.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n)).number == 4
    for text in (b"an output of a stage", b"of a size that nobody told"):
        blob = Blob(hashlib.sha256(text).hexdigest(), len(text))
        assert target.open_artifact("acme", blob).read() == text


def test_a_further_copy_brings_what_is_new_and_touches_nothing_else(filled: MemoryRegistry, target: MemoryRegistry) -> None:
    copy_registry(filled, target)
    filled.add_version(sample_version("3.0"))
    filled.append("acme", "runs/p/1", 2, sample_entry("more"))
    filled.retire_version("acme", "m", "3", sample_entry("retired", change={"version": "3", "reason": "late"}))
    filled.retire_version("acme", "m", "2.0.0-rc.1", sample_entry("retired", change={"version": "2.0.0-rc.1"}))
    copy_registry(filled, target)
    assert_copied(filled, target)
    said: list[str] = []
    copy_tenant(filled, target, "acme", said.append)
    assert said == []


def test_an_entry_is_not_copied_before_the_version_that_it_names(filled: MemoryRegistry, target: MemoryRegistry) -> None:
    """The source is in use: here a version is registered and named while its versions are read."""

    class Busy(MemoryRegistry):
        def find_versions(self, *given: Any, **more: Any) -> Any:
            found = super().find_versions(*given, **more)
            if self.get_version("acme", "m", "late") is None:
                self.add_version(sample_version("late"))
                self.append("acme", "aliases/m/champion", 1, sample_entry(state={"version": "late"}))
            return found

    busy = Busy()
    fill(busy)
    copy_tenant(busy, target, "acme")
    assert len(target.read("acme", "aliases/m/champion")) == 1
    assert target.get_version("acme", "m", "late") is None
    assert compare_tenant(busy, target, "acme").behind == 2
    copy_registry(busy, target)
    assert_copied(busy, target)


class Killed(BaseException):
    """As a killed process: nothing handles it."""


class Mortal(MemoryRegistry):
    """Dies at the n-th call of the role that reaches it: before it has an effect, or before it is acknowledged."""

    left = 1 << 30
    afterwards = False


def _mortal(name: str) -> Any:
    plain = getattr(MemoryRegistry, name)

    def call(self: Mortal, *given: Any, **more: Any) -> Any:
        self.left -= 1
        if self.left == 0 and not self.afterwards:
            raise Killed
        dies = self.left == 0
        try:
            return plain(self, *given, **more)
        finally:
            if dies:
                raise Killed

    return call


for _name in (
    "add_version",
    "get_version",
    "find_versions",
    "retire_version",
    "append",
    "read",
    "journals",
    "put_artifact",
    "open_artifact",
):
    setattr(Mortal, _name, _mortal(_name))


@pytest.mark.parametrize("afterwards", [False, True])
def test_a_copy_that_is_killed_at_any_call_goes_on(filled: MemoryRegistry, *, afterwards: bool) -> None:
    filled.retire_version("acme", "m", "3", sample_entry("retired", change={"version": "3"}))
    for dies_at in range(1, 1000):
        target = Mortal()
        target.afterwards = afterwards
        target.left = dies_at
        try:
            copy_tenant(filled, target, "acme")
        except Killed:
            pass
        else:
            break
        target.left = 1 << 30
        copy_registry(filled, target)
        assert_copied(filled, target)
    assert dies_at > 30


@pytest.mark.parametrize("afterwards", [False, True])
def test_a_retirement_that_comes_later_survives_a_kill_too(filled: MemoryRegistry, *, afterwards: bool) -> None:
    for dies_at in range(1, 1000):
        source, target = MemoryRegistry(), Mortal()
        fill(source)
        copy_registry(source, target)
        source.retire_version("acme", "m", "3", sample_entry("retired", change={"version": "3"}))
        target.afterwards, target.left = afterwards, dies_at
        try:
            copy_tenant(source, target, "acme")
        except Killed:
            pass
        else:
            break
        target.left = 1 << 30
        copy_registry(source, target)
        assert_copied(source, target)
    assert dies_at > 10


def test_what_a_sweep_of_the_target_took_is_put_again(filled: MemoryRegistry) -> None:
    """A copy was cut short behind a blob that was there already; a sweep takes it just before the version comes."""

    class Swept(MemoryRegistry):
        def add_version(self, version: ModelVersion) -> ModelVersion:
            for key in [key for key in self._blobs if key not in self._used and not self.taken]:
                del self._blobs[key]
            self.taken = True
            return super().add_version(version)

        taken = False

    target = Swept()
    put(target, b"weights")
    copy_registry(filled, target)
    assert_copied(filled, target)


def other_version(target: MemoryRegistry) -> None:
    target.add_version(sample_version("2.0.0-rc.1", metadata={"another": 1}))


def stranger(target: MemoryRegistry) -> None:
    target.append("acme", "only/here", 0, sample_entry())


def longer(target: MemoryRegistry) -> None:
    for position in range(3):
        target.append("acme", "runs/p/1", position, sample_entry())


def other_entry(target: MemoryRegistry) -> None:
    target.append("acme", "runs/p/1", 0, sample_entry("begun", at=9))


def extra_version(target: MemoryRegistry) -> None:
    for tenant in ("acme", "rival"):
        target.add_version(sample_version("1.0", model="other", tenant=tenant))
    target.add_version(sample_version("2.0", model="other", tenant="rival"))


def retired_here(target: MemoryRegistry) -> None:
    target.add_version(sample_version("1.0", model="other", tenant="rival", retired=True))


DIVERGED = {
    other_version: "tenant acme: model m diverged: version 2.0.0-rc.1 has another content in the target, or its place",
    stranger: "tenant acme: journal only/here diverged: position 1 is in the target only",
    longer: "tenant acme: journal runs/p/1 diverged: position 3 is in the target only",
    other_entry: "tenant acme: journal runs/p/1 diverged: position 1 is another entry in the target",
    extra_version: "tenant acme: model m diverged: version 2.0.0-rc.1 has another content in the target, or the place of other 1.0",
    retired_here: "tenant rival: model other diverged: version 1.0 has another content in the target, or its place",
}


@pytest.mark.parametrize("spoil", DIVERGED, ids=lambda one: one.__name__)
def test_a_target_that_went_its_own_way_is_left_alone(filled: MemoryRegistry, target: MemoryRegistry, spoil: Any) -> None:
    spoil(target)
    before = {tenant: everything(target, tenant) for tenant in target.tenants().items}
    with pytest.raises(VersioningError) as told:
        copy_registry(filled, target)
    assert told.value.message == f"copy: {DIVERGED[spoil]} - nothing was overwritten; give an empty target"
    for tenant, (versions, journals) in before.items():
        now, entries = everything(target, tenant)
        assert now[: len(versions)] == versions
        assert all(entries[name][: len(old)] == old for name, old in journals.items())


def test_a_version_that_only_the_target_has(filled: MemoryRegistry, target: MemoryRegistry) -> None:
    copy_registry(filled, target)
    target.add_version(sample_version("2.0", model="other", tenant="rival"))
    with pytest.raises(VersioningError, match=r"tenant rival: model other diverged: version 2\.0 is in the target only"):
        copy_registry(filled, target)


def test_a_store_that_answers_another_entry_or_version_is_told(filled: MemoryRegistry) -> None:
    class Rounds(MemoryRegistry):
        def add_version(self, version: ModelVersion) -> ModelVersion:
            return evolve(super().add_version(version), created=version.created.replace(microsecond=0))

    with pytest.raises(VersioningError, match=r"version 2\.0\.0-rc\.1 has another content"):
        copy_registry(filled, Rounds())


def test_a_damaged_blob_of_the_source_stops_before_its_version(filled: MemoryRegistry, target: MemoryRegistry) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    filled._blobs["acme", digest].data = b"wrights"
    with pytest.raises(ArtifactError, match=f"copy: tenant acme: blob {digest}: registry: expected sha256"):
        copy_registry(filled, target)
    assert target.tenants().items == ()


def test_a_disk_that_fails_is_one_line(filled: MemoryRegistry, target: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> BinaryIO:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MemoryRegistry, "put_artifact", full)
    with pytest.raises(MLOpsError, match=r"copy: tenant acme: blob \w{64}: No space left on device"):
        copy_tenant(filled, target, "acme")


# --- any store

_TENANTS = st.sampled_from(["acme", "rival"])
_MODELS = st.sampled_from(["m", "n"])
_TEXT = st.text(max_size=5)
_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("number"), _TENANTS, _MODELS, st.binary(max_size=4)),
        st.tuples(st.just("name"), _TENANTS, _MODELS, _TEXT),
        st.tuples(st.just("retire"), _TENANTS, _MODELS, st.integers(0, 5)),
        st.tuples(st.just("entry"), _TENANTS, st.sampled_from(["a/b", "versions/m", "runs/1"]), st.binary(max_size=4)),
        st.tuples(st.just("copy"), _TENANTS, _MODELS, st.none()),
    ),
    max_size=25,
)


def perform(store: RegistryStore, number: int, kind: str, tenant: str, name: str, value: Any) -> None:
    """One operation of a writer."""
    match kind:
        case "number":
            files = (File("f", put(store, value, tenant)),)
            store.add_next_version(tenant, name, lambda n: sample_version(str(n), model=name, tenant=tenant, number=n, files=files))
        case "name":
            store.add_version(sample_version(f"v{number}", model=name, tenant=tenant, metadata={"text": value}))
        case "retire":
            living = [one for one in versions_of(store, tenant) if one.model == name]
            if living:
                version = living[value % len(living)].version
                store.retire_version(tenant, name, version, sample_entry("retired", change={"version": version}, at=number))
        case "entry":
            blob = put(store, value, tenant)
            head = len(store.read(tenant, name))
            change = {"sha256": blob.sha256, "version": "1"}
            store.append(tenant, name, head, sample_entry(change=change, state={"n": number}, at=number))


@settings(max_examples=60, deadline=None)
@given(_OPERATIONS)
def test_the_copy_of_any_store_equals_it(operations: list[tuple[str, str, str, Any]]) -> None:
    """Whatever was written, in whatever order, and whenever it was copied before."""
    source, target = MemoryRegistry(), MemoryRegistry()
    for number, (kind, tenant, name, value) in enumerate(operations):
        if kind == "copy":
            copy_registry(source, target)
        else:
            perform(source, number, kind, tenant, name, value)
    copy_registry(source, target)
    assert_copied(source, target)
