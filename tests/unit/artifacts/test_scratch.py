from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from mlops_core.artifacts.scratch import scratch
from mlops_core.exceptions import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

DIES = """
import os, sys
from pathlib import Path
from mlops_core.artifacts.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "half").touch()
    os._exit(9)
"""


def test_a_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch(tmp_path / "tmp") as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "file").touch()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    with scratch(tmp_path) as mine:
        assert subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False).returncode == 9
        assert len(list(tmp_path.iterdir())) == 2
        with scratch(tmp_path) as other:
            assert sorted(tmp_path.iterdir()) == sorted([mine, other])


def test_threads_do_not_take_each_others_folders(tmp_path: Path) -> None:
    missing: list[Path] = []

    def work() -> None:
        for _ in range(30):
            with scratch(tmp_path) as folder:
                (folder / "file").touch()
                if not (folder / "file").exists():
                    missing.append(folder)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
    assert list(tmp_path.iterdir()) == []


def test_a_link_put_in_place_of_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "scratch-link").symlink_to(tmp_path / "precious")
    with scratch(tmp_path):
        assert (tmp_path / "precious").exists()


def test_a_place_that_cannot_be_written_is_one_typed_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"cannot write in .* make it writable"), scratch(tmp_path / "file"):
        pass
