from __future__ import annotations

import io
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO

import attrs
import pytest

from mlops_core.artifacts.transfer import download, upload
from mlops_core.exceptions import ArtifactError, CorruptArtifactError
from mlops_core.records import Blob, File
from mlops_core.testing.memory_registry import MemoryRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.roles import Progress

SIZE = 24 << 20


class Zeros(io.RawIOBase):
    """A stream of zero bytes that is nowhere in memory."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        given = min(self.left, self.left if size < 0 else size)
        self.left -= given
        return bytes(given)


class Tampering(MemoryRegistry):
    """A store that loses, changes or adds bytes on the way out, or fails."""

    how: str = ""

    def open_artifact(self, tenant: str, blob: Blob, *, offset: int = 0) -> BinaryIO:
        if self.how == "fails":
            raise ConnectionError("no route to the bucket")
        if self.how == "huge":
            return Zeros(1 << 40)  # type: ignore[return-value]  # as much of a stream as is read
        content = super().open_artifact(tenant, blob, offset=offset).read()
        changed = {"": content, "cut": content[:-1], "longer": content + b"!", "flipped": bytes(byte ^ 1 for byte in content)}
        return io.BytesIO(changed[self.how])


class Draining(MemoryRegistry):
    """Takes bytes and forgets them, to see what passing them through costs."""

    def put_artifact(
        self, tenant: str, source: BinaryIO, *, size: int, sha256: str | None = None, progress: Progress | None = None
    ) -> Blob:
        while source.read(1 << 20):
            pass
        return Blob("0" * 64, size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "a").write_bytes(b"hello")
    (tmp_path / "model" / "sub" / "b").write_bytes(b"")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["2024-01-15T09:30.bin", "back\\slash"])
def test_what_could_not_be_fetched_is_not_stored(folder: Path, name: str) -> None:
    store = MemoryRegistry()
    (folder / "sub" / name).write_bytes(b"weights")
    for path, root in ((folder, "model"), (folder / "sub" / name, name)):
        with pytest.raises(ArtifactError, match="cannot be kept on every system - rename it"):
            upload(store, "acme", path, root)
    assert list(store.leftovers(timedelta(0))) == []


@pytest.mark.parametrize("name", ["Größe 模型 🚂.bin", "a b?#%&*|<>\n'\".bin", "-rf", "~", ".hidden"])
def test_any_other_name_comes_back(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "sub" / name).write_bytes(b"weights")
    store = MemoryRegistry()
    back = download(store, "acme", upload(store, "acme", folder, "model"), tmp_path / "into", "model")
    assert (back / "sub" / name).read_bytes() == b"weights"


def test_a_folder_comes_back_as_it_went(folder: Path, tmp_path: Path) -> None:
    store = MemoryRegistry()
    files = upload(store, "acme", folder, "model")
    back = download(store, "acme", files, tmp_path / "into", "model")
    assert back.name == "model"
    assert (back / "a").read_bytes() == b"hello"
    assert (back / "sub" / "b").read_bytes() == b""
    assert back.parent.stat().st_mode & 0o077 == 0


def test_a_copy_that_is_there_is_used_and_a_spoilt_one_replaced(folder: Path, tmp_path: Path) -> None:
    store = Tampering()
    files = upload(store, "acme", folder, "model")
    first = download(store, "acme", files, tmp_path / "into", "model")
    store.how = "fails"
    assert download(store, "acme", files, tmp_path / "into", "model") == first
    store.how = ""
    for spoil in ((first / "extra").touch, (first / "a").unlink, lambda: (first / "a").write_bytes(b"jello")):
        spoil()
        download(store, "acme", files, tmp_path / "into", "model")
        assert sorted(one.name for one in first.iterdir()) == ["a", "sub"]
        assert (first / "a").read_bytes() == b"hello"
    assert [one.name for one in (tmp_path / "into").iterdir()] == [first.parent.name]


@pytest.mark.parametrize("how", ["cut", "longer", "flipped", "huge"])
def test_bytes_that_changed_in_the_store_are_refused_and_leave_nothing(how: str, folder: Path, tmp_path: Path) -> None:
    store = Tampering()
    files = upload(store, "acme", folder / "a", "a")
    store.how = how
    with pytest.raises(CorruptArtifactError, match="do not match the registered sha256"):
        download(store, "acme", files, tmp_path / "into", "model")
    assert list((tmp_path / "into").iterdir()) == []


def test_a_store_that_fails_is_one_typed_line(folder: Path, tmp_path: Path) -> None:
    store = Tampering()
    files = upload(store, "acme", folder, "model")
    store.how = "fails"
    with pytest.raises(ArtifactError, match="artifact model: the registry's store failed: ConnectionError: no route") as caught:
        download(store, "acme", files, tmp_path / "into", "model")
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_hostile_manifest_writes_nowhere(folder: Path, tmp_path: Path) -> None:
    store = MemoryRegistry()
    (file,) = upload(store, "acme", folder / "a", "a")
    with pytest.raises(CorruptArtifactError, match="leaves its folder"):
        download(store, "acme", [attrs.evolve(file, path="../../escaped")], tmp_path / "into", "model")
    assert not (tmp_path / "into").exists()
    assert not list(tmp_path.rglob("escaped"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    store, large = Draining(), tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(SIZE)
    tracemalloc.start()
    try:
        upload(store, "acme", large, "large")
        uploading = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        tampering = Tampering()
        tampering.how = "huge"
        with pytest.raises(CorruptArtifactError):
            download(tampering, "acme", [File("large", Blob("0" * 64, SIZE))], tmp_path / "into", "large")
        downloading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert uploading < 4 << 20
    assert downloading < 8 << 20


def test_a_folder_that_cannot_be_written_is_one_typed_line(folder: Path, tmp_path: Path) -> None:
    files = upload(store := MemoryRegistry(), "acme", folder, "model")
    (tmp_path / "into").write_bytes(b"a file where a folder should be")
    with pytest.raises(ArtifactError, match="cannot write in"):
        download(store, "acme", files, tmp_path / "into", "model")


def test_many_that_fetch_at_once_share_one_whole_copy(folder: Path, tmp_path: Path) -> None:
    store = MemoryRegistry()
    files = upload(store, "acme", folder, "model")
    into = tmp_path / "into"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: download(store, "acme", files, into, "model"), range(32)))
    assert len({str(one) for one in found}) == 1
    assert (found[0] / "a").read_bytes() == b"hello"
    assert len(list(into.iterdir())) == 1
