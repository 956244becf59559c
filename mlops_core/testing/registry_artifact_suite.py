"""What every registry store must do with artifacts."""

from __future__ import annotations

import hashlib
import io
import time
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, ClassVar

import pytest

from mlops_core.exceptions import ArtifactError
from mlops_core.records import ArtifactRef, Blob, File, Leftover, ModelVersion, Query
from mlops_core.testing.registry_samples import put, sample_entry, sample_version

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["ArtifactSuite", "read_back"]

_NOW = timedelta(0)


def read_back(store: RegistryStore, blob: Blob, tenant: str = "acme", offset: int = 0) -> bytes:
    """All bytes of an artifact."""
    with closing(store.open_artifact(tenant, blob, offset=offset)) as stream:
        return stream.read()


class _Slow(io.RawIOBase):
    """A source that gives a few bytes at a time, and may fail half-way."""

    def __init__(self, data: bytes, *, fails_after: int | None = None) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._fails_after = fails_after

    def read(self, size: int = -1) -> bytes:
        """At most seven bytes."""
        if self._fails_after is not None and self._data.tell() >= self._fails_after:
            raise OSError(5, "the disk is gone")
        return self._data.read(min(size, 7) if size >= 0 else 7)


class ArtifactSuite:
    """Artifacts: found by digest, whole or not at all, swept only where nothing names them."""

    shortest_grace: ClassVar[timedelta] = _NOW
    """What a sweep may use beside writers: a store that is far away needs a moment between its put and its register."""

    @abstractmethod
    def store(self) -> RegistryStore:
        """Override as a fixture: a fresh store."""

    def pass_time(self, store: RegistryStore, seconds: float) -> None:
        """Let the store's time go on."""
        del store
        time.sleep(seconds)

    def remove(self, store: RegistryStore, leftover: Leftover) -> bool:
        """Discard; a store that marks first is asked again after its settling time."""
        return store.discard(leftover)

    @pytest.mark.parametrize("data", [b"", b"a", bytes(range(256)) * 10_000], ids=["empty", "one", "large"])
    def test_bytes_come_back(self, store: RegistryStore, data: bytes) -> None:
        """From any offset."""
        blob = put(store, data)
        assert (blob.sha256, blob.size) == (hashlib.sha256(data).hexdigest(), len(data))
        assert read_back(store, blob) == data
        assert read_back(store, blob, offset=len(data) // 2) == data[len(data) // 2 :]
        assert read_back(store, blob, offset=len(data)) == b""

    def test_a_source_may_give_little_at_a_time(self, store: RegistryStore) -> None:
        """A short read is no end; progress never goes back."""
        data = b"weights " * 100
        seen: list[float] = []

        def progress(done: float, total: float | None = None, note: str = "") -> None:
            assert (total, note) == (len(data), "")
            seen.append(done)

        blob = store.put_artifact("acme", _binary(_Slow(data)), size=len(data), progress=progress)
        assert read_back(store, blob) == data
        assert seen == sorted(seen)
        assert seen[-1] == len(data)

    @pytest.mark.parametrize("size", [6, 8])
    def test_another_size_is_refused(self, store: RegistryStore, size: int) -> None:
        """Shorter or longer than announced."""
        with pytest.raises(ArtifactError):
            store.put_artifact("acme", io.BytesIO(b"weights"), size=size)
        self._assert_nothing(store, b"weights")

    def test_another_digest_is_refused(self, store: RegistryStore) -> None:
        """Than the caller expects."""
        with pytest.raises(ArtifactError):
            store.put_artifact("acme", io.BytesIO(b"weights"), size=7, sha256="0" * 64)
        self._assert_nothing(store, b"weights")

    def test_a_source_that_fails_leaves_nothing(self, store: RegistryStore) -> None:
        """Neither a blob nor a leftover."""
        with pytest.raises(Exception, match="the disk is gone"):
            store.put_artifact("acme", _binary(_Slow(b"weights " * 10, fails_after=30)), size=80)
        self._assert_nothing(store, b"weights " * 10)

    def _assert_nothing(self, store: RegistryStore, data: bytes) -> None:
        with pytest.raises(ArtifactError):
            store.open_artifact("acme", Blob(hashlib.sha256(data).hexdigest(), len(data)))
        assert list(store.leftovers(_NOW)) == []

    def test_the_same_bytes_are_one_blob(self, store: RegistryStore) -> None:
        """Stored once."""
        assert put(store, b"weights") == put(store, b"weights")
        assert len(list(store.leftovers(_NOW))) == 1

    @pytest.mark.parametrize("digest", ["f" * 64, "", "../../etc/passwd", "F" * 64])
    def test_a_blob_that_is_not_there_is_an_error(self, store: RegistryStore, digest: str) -> None:
        """A digest that is none names nothing, least of all a path."""
        with pytest.raises(ArtifactError):
            store.open_artifact("acme", Blob(digest, 1))

    def test_another_tenants_blob_is_not_there(self, store: RegistryStore) -> None:
        """Even for one who knows its digest."""
        blob = put(store, b"weights")
        with pytest.raises(ArtifactError):
            store.open_artifact("rival", blob)

    def test_only_what_nothing_names_is_left_over(self, store: RegistryStore) -> None:
        """Files and artifacts of versions, retired ones too, and what journals name stay."""
        file, extra, journal, nothing = (put(store, data) for data in (b"file", b"extra", b"journal", b"nothing"))
        reference = ArtifactRef(extra.sha256, extra.size, "npy", "reference", (File("reference.npy", extra),))
        store.add_version(sample_version(files=(File("a", file),), artifacts={"reference": reference}))
        store.append("acme", "runs/p/1", 0, sample_entry(change={"outputs": [{"file": {"blob": {"sha256": journal.sha256}}}]}))
        store.append("acme", "runs/p/1", 1, sample_entry(change={"sha256": "0" * 64}))  # names no blob of this store: nothing to keep
        store.retire_version("acme", "m", "1.0.0", sample_entry("retired"))
        (found,) = store.leftovers(_NOW)
        assert (found.size, found.tenant) == (nothing.size, "acme")
        assert self.remove(store, found)
        assert list(store.leftovers(_NOW)) == []
        with pytest.raises(ArtifactError):
            store.open_artifact("acme", nothing)
        assert [read_back(store, blob) for blob in (file, extra, journal)] == [b"file", b"extra", b"journal"]

    def test_grace_is_the_stores_time_since_the_last_put(self, store: RegistryStore) -> None:
        """Putting the same bytes again begins it anew."""
        put(store, b"weights")
        self.pass_time(store, 0.4)
        assert len(list(store.leftovers(timedelta(seconds=0.3)))) == 1
        put(store, b"weights")
        assert list(store.leftovers(timedelta(seconds=0.3))) == []
        assert list(store.leftovers(timedelta(hours=1))) == []

    def test_what_was_used_or_put_again_is_not_discarded(self, store: RegistryStore) -> None:
        """Discarding looks again."""
        used, again = put(store, b"used"), put(store, b"again")
        self.pass_time(store, 0.2)
        found = {leftover.size: leftover for leftover in store.leftovers(timedelta(seconds=0.1))}
        store.add_version(sample_version(files=(File("a", used),)))
        put(store, b"again")
        assert [store.discard(found[blob.size]) for blob in (used, again)] == [False, False]
        assert [read_back(store, blob) for blob in (used, again)] == [b"used", b"again"]

    def test_what_is_not_there_is_not_discarded(self, store: RegistryStore) -> None:
        """Whatever its kind or place says."""
        for kind in ("blob", "file", "temporary", "other"):
            assert not store.discard(Leftover(kind, "acme/" + "f" * 64, 1, 0.0))
            assert not store.discard(Leftover(kind, "../../etc/passwd", 1, 0.0))

    def test_a_sweep_takes_no_blob_from_a_version(self, store: RegistryStore) -> None:
        """Writers put and register the same bytes while sweeps with (almost) no grace run: every version keeps its bytes."""
        done = []

        def write(thread: int) -> None:
            try:
                for i in range(15):
                    self._register(store, f"{thread}.{i}", b"bytes %d" % (i % 3))
            finally:
                done.append(thread)

        def sweep() -> None:
            while len(done) < 3:
                for leftover in store.leftovers(self.shortest_grace):
                    store.discard(leftover)

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(sweep), *(pool.submit(write, thread) for thread in range(3))]
            for future in futures[1:]:
                future.result()
            futures[0].result()
        versions = store.find_versions("acme", Query()).items
        assert len(versions) == 45
        for version in versions:
            assert read_back(store, version.files[0].blob).startswith(b"bytes ")

    @staticmethod
    def _register(store: RegistryStore, name: str, data: bytes) -> ModelVersion:
        """Put and register, again where a sweep came between the two."""
        while True:
            try:
                return store.add_version(sample_version(f"v{name}", files=(File("a", put(store, data)),)))
            except ArtifactError:
                continue


def _binary(source: _Slow) -> BinaryIO:
    """A raw stream is all that a store may ask for."""
    return source  # type: ignore[return-value]  # it reads bytes, which is the part in use
