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

__all__ = ["code_link", "environment_link"]


def code_link(root: Path) -> LineageLink | None:
    """The commit that is checked out around ``root``, read from git's own files; None outside a repository or before its first commit."""
    folder = next((place / ".git" for place in (root, *root.parents) if (place / ".git").exists()), None)
    if folder is None:
        return None
    try:
        commit = _commit(folder)
    except (OSError, UnicodeDecodeError):
        return None
    return LineageLink("code", f"git {commit[:12]}", commit) if commit else None


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


@functools.cache
def environment_link() -> LineageLink:
    """This Python, and the digest of every installed distribution with its version."""
    installed = sorted({f"{one.name}=={one.version}" for one in distributions()})
    name = f"python {platform.python_version()} {sys.platform} {platform.machine()}"
    return LineageLink("environment", name, digest_of(installed))
