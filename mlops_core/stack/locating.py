"""The stack of the project around the caller, shared by all who ask for it."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import ConfigError
from mlops_core.stack.composing import compose
from mlops_core.stack.stack import Stack, User

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.stack.composed import ComposedParts

__all__ = ["examined", "locate", "release", "stack_for"]

_Key = tuple[str, str | None]


class _Shared:
    """The composed parts that are alive in one process, by root and profile."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.parts: weakref.WeakValueDictionary[_Key, ComposedParts] = weakref.WeakValueDictionary()


_BY_PROCESS: Final[dict[int, _Shared]] = {}
"""Global, beside what ``mlops_core.secrecy`` hides: facades built one by one share a stack. A forked child begins with an empty one."""


def _shared() -> _Shared:
    return _BY_PROCESS.setdefault(os.getpid(), _Shared())


def locate(path: str | os.PathLike[str] | None = None, profile: str | None = None, tenant: str | None = None) -> Stack:
    """The stack of a project: that of ``path``, else ``MLOPS_PROJECT``, else the nearest ``mlops.yaml`` upwards, else the default one.

    The default one lives in ``.mlops`` below the current folder. All who ask for the same project and profile share one set of backends,
    for as long as its files say the same: whoever asks after a change gets new ones, who asked before keeps the old. They close when the
    last of their users has released them, or is gone.

    Args:
        path: A configuration file, or the folder of one.
        profile: An overlay, ``mlops.<profile>.yaml`` beside the file.
        tenant: Instead of the project's.

    Raises:
        ConfigError: One line for each mistake in the configuration.
        NameRuleError: The tenant breaks the name rule.
    """
    file, root = _place(path, profile)
    key, user, shared = (str(file or root), profile), User(), _shared()
    with shared.lock:
        documents = _documents(file, profile)
        found = shared.parts.get(key)
        if found is None or _texts(found.origin.documents if found.origin is not None else ()) != _texts(documents):
            found = shared.parts[key] = _composed(documents, root)
        found.users.add(user)
    settings, origin = found.settings, found.origin
    stack = Stack(root=root, tenant=settings.tenant, parts=found, settings=settings, profile=profile, origin=origin, user=user)
    return stack.for_tenant(tenant)


def stack_for(given: Stack | None, tenant: str | None = None) -> Stack:
    """What a facade stands on: the stack that it was given, else that of the project; for this tenant.

    Raises:
        ConfigError: It was given something else, or the configuration is wrong.
        NameRuleError: The tenant breaks the name rule.
    """
    if given is None:
        return locate(tenant=tenant)
    whatever: Any = given
    if not isinstance(whatever, Stack):
        raise ConfigError(f"stack: expected a Stack, got {type(whatever).__name__} - give project.stack, or leave it out")
    return given.for_tenant(tenant)


def release(stack: Stack) -> None:
    """End the use of a stack that ``locate`` answered, and of all that were made from it; the last user closes the backends. Idempotent."""
    parts, shared = stack.parts, _shared()
    users: weakref.WeakSet[Any] = getattr(parts, "users", weakref.WeakSet())  # nobody counts the users of other parts
    with shared.lock:
        if stack.user not in users:
            return
        users.discard(stack.user)
        if users:
            return
        for key in [key for key, one in shared.parts.items() if one is parts]:
            del shared.parts[key]
    parts.close()


def examined(path: str | os.PathLike[str] | None = None, profile: str | None = None) -> tuple[Stack | None, list[str]]:
    """A stack of what is right in a project's configuration, shared with nobody, and one line for each mistake.

    Raises:
        ConfigError: The file cannot be found or read.
    """
    from mlops_core.config.loading import documents_of, examine
    from mlops_core.stack.embedded import embedded

    file, root = _place(path, profile)
    if file is None:
        return compose(embedded(root), root), []
    settings, origin, wrong = examine(documents_of(file, profile), embedded(root))
    return (compose(settings, root, profile=profile, origin=origin) if settings is not None else None), wrong


def _place(path: str | os.PathLike[str] | None, profile: str | None) -> tuple[Path | None, Path]:
    file = _file(path)
    if file is None and profile is not None:
        raise ConfigError(f"profile {profile!r}: there is no mlops.yaml here or above to lay it over - run 'mlops init'")
    return file, (file.parent if file is not None else Path.cwd()).resolve()


def _file(path: str | os.PathLike[str] | None) -> Path | None:
    from mlops_core.config.loading import FILE, find

    named: Any
    named, source = (path, "project") if path is not None else (os.environ.get("MLOPS_PROJECT") or None, "MLOPS_PROJECT")
    if named is None:
        return find(Path.cwd())
    if not isinstance(named, str | os.PathLike) or not isinstance(os.fspath(named), str):
        raise ConfigError(f"{source}: expected a path, got {type(named).__name__} - name a configuration file or its folder")
    place = Path(named).absolute()
    file = place / FILE if place.is_dir() else place
    if not file.is_file():
        missing = f"no {FILE} in it" if place.is_dir() else "no such file or folder"
        raise ConfigError(f"{source}: {os.fspath(named)!r}: {missing} - name a configuration file or its folder, or run 'mlops init'")
    return file.resolve()


def _documents(file: Path | None, profile: str | None) -> Sequence[tuple[str, str]]:
    from mlops_core.config.loading import documents_of

    return () if file is None else documents_of(file, profile)


def _texts(documents: Sequence[tuple[str, str]]) -> list[str]:
    """What the files say; how their names are shown depends on where the caller stands."""
    return [text for _, text in documents]


def _composed(documents: Sequence[tuple[str, str]], root: Path) -> ComposedParts:
    from mlops_core.config.loading import read
    from mlops_core.stack.composed import ComposedParts
    from mlops_core.stack.embedded import embedded

    settings, origin = read(documents, embedded(root)) if documents else (embedded(root), None)
    return ComposedParts(settings, root, origin)
