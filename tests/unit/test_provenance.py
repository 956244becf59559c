from __future__ import annotations

import platform
import subprocess
from typing import TYPE_CHECKING

import pytest

from mlops_core.provenance import code_link, environment_link

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    told = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def commit(folder: Path) -> str:
    git(folder, "commit", "--quiet", "--allow-empty", "--message=a step")
    return git(folder, "rev-parse", "HEAD")


def test_outside_a_repository_there_is_no_code(tmp_path: Path) -> None:
    assert code_link(tmp_path) is None


def test_before_the_first_commit_there_is_no_code(repository: Path) -> None:
    assert code_link(repository) is None


def test_the_commit_of_a_branch_is_found_from_any_folder(repository: Path) -> None:
    head = commit(repository)
    (repository / "deep" / "er").mkdir(parents=True)
    link = code_link(repository / "deep" / "er")
    assert link is not None
    assert (link.kind, link.name, link.digest) == ("code", f"git {head[:12]}", head)


def test_a_packed_branch_and_a_detached_head_are_found(repository: Path) -> None:
    head = commit(repository)
    git(repository, "pack-refs", "--all")
    packed = code_link(repository)
    git(repository, "checkout", "--quiet", "--detach")
    detached = code_link(repository)
    assert packed is not None
    assert packed == detached
    assert packed.digest == head


def test_a_linked_worktree_is_found(repository: Path, tmp_path: Path) -> None:
    commit(repository)
    git(repository, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    head = commit(tmp_path / "linked")
    link = code_link(tmp_path / "linked")
    assert link is not None
    assert link.digest == head


def test_a_damaged_repository_is_no_code(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert code_link(tmp_path) is None
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert code_link(tmp_path) is None


def test_the_environment_names_this_python() -> None:
    link = environment_link()
    assert link.kind == "environment"
    assert platform.python_version() in link.name
    assert len(link.digest) == 64
    assert link == environment_link()
