"""Where a version was made: the code's commit and the Python environment. Best effort, and cheap enough for every registration."""

from __future__ import annotations

import functools
import platform
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from mlops_core.records import LineageLink, digest_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["code_link", "commit_of", "environment_link", "packages", "platform_name"]


def code_link(root: Path) -> LineageLink | None:
    """The commit around ``root`` as a link; None where there is none."""
    commit = commit_of(root)
    return LineageLink("code", f"git {commit[:12]}", commit) if commit else None


def commit_of(root: Path) -> str:
    """The commit that is checked out around ``root``, read from git's own files; empty outside a repository or before its first commit."""
    folder = next((place / ".git" for place in (root, *root.parents) if (place / ".git").exists()), None)
    if folder is None:
        return ""
    try:
        return _commit(folder)
    except (OSError, UnicodeDecodeError):
        return ""


def _commit(folder: Path) -> str:
    if folder.is_file():  # a linked worktree: "gitdir: PATH"
        folder = (folder.parent / _text(folder).removeprefix("gitdir:").strip()).resolve()
    head = _text(folder / "HEAD")
    if not head.startswith("ref:"):
        return head
    name = head.removeprefix("ref:").strip()
    shared = folder / "commondir"
    common = (folder / _text(shared)).resolve() if shared.is_file() else folder
    if (common / name).is_file():
        return _text(common / name)
    packed = common / "packed-refs"
    lines = _text(packed).splitlines() if packed.is_file() else []
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {name}")), "")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def environment_link() -> LineageLink:
    """This Python, and the digest of every installed distribution with its version."""
    return LineageLink("environment", f"python {platform.python_version()} {platform_name()}", digest_of(list(packages())))


@functools.cache
def packages() -> tuple[str, ...]:
    """Every installed distribution, ``name==version``, sorted; looked for once in a process."""
    return tuple(sorted({f"{one.name}=={one.version}" for one in distributions()}))


def platform_name() -> str:
    """The operating system and the processor, such as ``linux x86_64``."""
    return f"{sys.platform} {platform.machine()}"
