from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mlops_core.artifacts.manifest import (
    check_names,
    check_paths,
    content_digest,
    hash_file,
    layout_digest,
    open_plain,
    root_of,
    scan,
    verify,
)
from mlops_core.exceptions import ArtifactError, CorruptArtifactError
from mlops_core.records import Blob, File

if TYPE_CHECKING:
    from pathlib import Path

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def files(*paths: str) -> tuple[File, ...]:
    return tuple(File(path, Blob(HELLO, 5)) for path in paths)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "b").write_bytes(b"hello")
    (tmp_path / "model" / "sub" / "a").write_bytes(b"hello")
    return tmp_path


def test_a_folder_is_its_files_sorted_by_path(folder: Path) -> None:
    assert [path for path, _ in scan(folder / "model", "model")] == ["model/b", "model/sub/a"]
    assert scan(folder / "model" / "b", "b") == [("b", folder / "model" / "b")]


def test_links_devices_and_what_cannot_be_read_are_refused(folder: Path) -> None:
    (folder / "model" / "link").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match="is a symbolic link"):
        scan(folder / "model", "model")
    (folder / "model" / "link").unlink()
    os.mkfifo(folder / "model" / "pipe")
    with pytest.raises(ArtifactError, match="is neither a file nor a folder"):
        scan(folder / "model", "model")
    with pytest.raises(ArtifactError, match="cannot be read"):
        scan(folder / "nothing", "nothing")
    with pytest.raises(ArtifactError, match="cannot be read"):
        open_plain(folder / "nothing")


def test_a_link_that_replaces_a_scanned_file_is_not_followed(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "model" / "b")
    with pytest.raises(ArtifactError, match="cannot be read"):
        open_plain(folder / "link")


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../up", "a/../../up", "a//b", "./a", "a/.", "nul\0", "back\\slash", "C:/windows", "x" * 2000],
)
def test_a_path_that_leaves_its_folder_is_refused(path: str) -> None:
    with pytest.raises(CorruptArtifactError) as caught:
        check_paths(files("good", path), "model")
    assert len(caught.value.message) < 200


def test_what_is_not_fetched_is_not_stored_either() -> None:
    for path in ("", "../up", "a//b", "back\\slash", "C:/windows", "x" * 2000, "\udce9"):
        with pytest.raises(ArtifactError, match="cannot be kept on every system") as caught:
            check_names(["good", path], "model")
        assert len(caught.value.message.encode()) < 300
    check_names(["model/a", "Größe 模型.bin"], "model")


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ()])
def test_a_manifest_that_contradicts_itself_is_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(CorruptArtifactError):
        check_paths(files(*paths), "model")


def test_the_content_of_a_file_is_its_sha256_and_that_of_a_folder_its_manifests() -> None:
    assert content_digest(files("model.bin")) == HELLO
    assert content_digest(files("model/a", "model/b")) == content_digest(files("other/b", "other/a"))
    assert content_digest(files("model/a")) != HELLO
    assert content_digest(files("model/a")) != content_digest(files("model/b"))
    assert layout_digest(files("model/a")) != layout_digest(files("other/a"))


def test_the_root_is_the_common_first_name() -> None:
    assert root_of(files("model/a", "model/b/c")) == "model"
    assert root_of(files("a")) == "a"
    assert root_of(files("a", "b")) is None


def test_a_copy_is_verified_file_by_file(folder: Path) -> None:
    (folder / "model" / "b").replace(folder / "keep")
    (folder / "keep").replace(folder / "model" / "b")
    whole = files("model/b", "model/sub/a")
    verify(folder, whole, "model")
    assert hash_file(folder / "model" / "b") == HELLO
    with pytest.raises(CorruptArtifactError, match="'model/sub/a' is not part of it"):
        verify(folder, files("model/b"), "model")
    with pytest.raises(CorruptArtifactError, match="'model/c' is missing"):
        verify(folder, (*whole, *files("model/c")), "model")
    (folder / "model" / "b").write_bytes(b"hallo")
    with pytest.raises(CorruptArtifactError, match="'model/b' does not match its sha256"):
        verify(folder, whole, "model")
    (folder / "model" / "b").unlink()
    (folder / "model" / "b").symlink_to("sub/a")
    with pytest.raises(CorruptArtifactError, match="symbolic link"):
        verify(folder, whole, "model")
