"""The argument ``db`` of the specification: a SQLAlchemy URL or engine, or a registry store."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from mlops_core.config.settings import Use
from mlops_core.exceptions import VersioningError
from mlops_core.records import masked_url
from mlops_core.roles import RegistryStore

__all__ = ["store_of", "use_of"]

_URL: Final = re.compile(r"(?P<dialect>[a-z0-9]+)(\+[a-z0-9_]+)?://(?P<rest>.*)", re.DOTALL)
_PLUGINS: Final = {"sqlite": "sqlite", "postgresql": "postgres", "postgres": "postgres"}
_SHOWN: Final = 200
_REMEDY: Final = "give a SQLAlchemy URL such as 'sqlite:///models.db', an engine, or a registry store"


def store_of(db: Any, root: Path) -> RegistryStore:
    """A store as it is, or one by the plugin that the database's dialect asks for; nothing is opened yet.

    Raises:
        VersioningError: It is neither, its dialect has no plugin, or it is a database in memory.
        PluginError: The plugin is not installed, or broken.
    """
    if isinstance(db, RegistryStore):
        return db
    from mlops_core.plugins import Loader
    from mlops_core.stack.assembly import Assembly

    store = Assembly(Loader(root), root).build("registry", use_of(db))
    assert isinstance(store, RegistryStore)  # noqa: S101  the loader checked the role
    return store


def use_of(db: Any) -> Use:
    """The plugin and its options for a URL, an engine (which stands for its URL) or the path of a SQLite file."""
    url = getattr(db, "url", db)  # an engine has one
    if callable(render := getattr(url, "render_as_string", None)):
        url = render(hide_password=False)
    if isinstance(url, os.PathLike):
        return Use("sqlite", {"path": str(Path(url).absolute())}, key="db")
    if not isinstance(url, str):
        raise VersioningError(f"registry: cannot use a {type(db).__name__} as database - {_REMEDY}")
    found = _URL.fullmatch(url)
    if found is None or (plugin := _PLUGINS.get(found["dialect"])) is None:
        raise VersioningError(f"registry: {masked_url(url)[:_SHOWN]!r} is no database that a registry plugin knows - {_REMEDY}")
    return Use(plugin, {"path": _file(found["rest"])} if plugin == "sqlite" else {"url": url}, key="db")


def _file(rest: str) -> str:
    """``/relative.db`` or ``//absolute.db``, as SQLAlchemy writes it, made absolute now."""
    name = rest.partition("?")[0].removeprefix("/")
    if not rest.startswith("/") or name in {"", ":memory:"} or name.startswith("file:"):
        raise VersioningError("registry: a SQLite database in memory cannot keep what it acknowledges - give a file: 'sqlite:///models.db'")
    return str(Path(name).absolute())
