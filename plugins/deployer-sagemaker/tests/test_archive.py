"""The archive depends on nothing but its files."""

from __future__ import annotations

import hashlib
import os
import tarfile
from typing import TYPE_CHECKING

from mlops_deployer_sagemaker.archive import pack

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def fill(folder: Path, order: list[str]) -> Path:
    for name in order:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 10_000)
    return folder


def test_the_same_files_make_the_same_bytes_whenever_and_whoever_wrote_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["bundle.json", "model/weights.bin", "model/deep/x"]
    first, second = fill(tmp_path / "a", names), fill(tmp_path / "b", names[::-1])
    os.utime(second / "bundle.json", (1, 1))
    (second / "bundle.json").chmod(0o600)
    digests = set()
    for year, folder in enumerate((first, second), 50):
        monkeypatch.setattr("time.time", lambda year=year: year * 31_556_952.0)
        digests.add(pack(folder, tmp_path / f"{folder.name}.tar.gz"))

    assert digests == {hashlib.sha256((tmp_path / "a.tar.gz").read_bytes()).hexdigest()}
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert archive.getnames() == sorted(names)
        assert {(one.uid, one.gid, one.mtime, one.mode) for one in archive} == {(0, 0, 0, 0o644)}
        archive.extractall(tmp_path / "out", filter="data")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == {name: (first / name).read_bytes() for name in names}


def test_a_changed_file_changes_the_archive(tmp_path: Path) -> None:
    folder = fill(tmp_path / "a", ["bundle.json"])
    before = pack(folder, tmp_path / "x")
    (folder / "bundle.json").write_text("other")
    assert pack(folder, tmp_path / "x") != before
