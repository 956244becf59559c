from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from mlops_core.exceptions import PluginNotFoundError, VersioningError
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.versioning.database import store_of, use_of


class Url:
    """What the core knows of SQLAlchemy's URL."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render_as_string(self, *, hide_password: bool) -> str:
        return self.text if not hide_password else "***"


class Engine:
    """What the core knows of SQLAlchemy's engine."""

    def __init__(self, text: str) -> None:
        self.url = Url(text)


def used(db: Any) -> tuple[str, Any]:
    found = use_of(db)
    return found.use, found.options


def test_a_store_stays_itself() -> None:
    store = MemoryRegistry()
    assert store_of(store, Path()) is store


@pytest.mark.parametrize("wrap", [str, Url, Engine])
def test_a_sqlite_url_names_the_plugin_and_an_absolute_file(wrap: Any, tmp_path: Path) -> None:
    assert used(wrap("sqlite:///models.db")) == ("sqlite", {"path": str(Path.cwd() / "models.db")})
    assert used(wrap(f"sqlite:///{tmp_path}/m.db")) == ("sqlite", {"path": f"{tmp_path}/m.db"})
    assert used(wrap("sqlite+pysqlite:///a/b.db?timeout=5")) == ("sqlite", {"path": str(Path.cwd() / "a/b.db")})


def test_a_path_is_a_sqlite_file() -> None:
    assert used(Path("models.db")) == ("sqlite", {"path": str(Path.cwd() / "models.db")})


@pytest.mark.parametrize("wrap", [str, Url, Engine])
def test_a_postgres_url_is_handed_on_whole(wrap: Any) -> None:
    url = "postgresql+psycopg://me:secret@host/db"
    assert used(wrap(url)) == ("postgres", {"url": url})


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(VersioningError, match="in memory"):
        use_of(url)


@pytest.mark.parametrize("db", ["models.db", "", "oracle://host/db", 7, object()])
def test_what_is_no_database_is_refused(db: Any) -> None:
    with pytest.raises(VersioningError, match=r"sqlite:///models\.db"):
        use_of(db)


def test_a_refusal_does_not_tell_the_password() -> None:
    with pytest.raises(VersioningError) as caught:
        use_of("oracle://me:secret@host/db")
    assert "secret" not in caught.value.message
    assert "me:***@host" in caught.value.message
    with pytest.raises(VersioningError, match=r"'mysql://svc:\*\*\*@db/x\?password=\*\*\*'"):
        use_of("mysql://svc:p@ss:w0rd@db/x?password=again")


def test_a_dialect_whose_plugin_is_not_installed_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distributions", lambda **_: ())
    with pytest.raises(PluginNotFoundError, match=r"registry\.postgres: its plugin is not installed - run: pip install motadata"):
        store_of("postgresql://host/db", tmp_path)


def test_a_postgres_url_makes_the_installed_plugin_and_opens_nothing(tmp_path: Path) -> None:
    store = store_of("postgresql://127.0.0.1:1/db", tmp_path)
    assert type(store).__name__ == "PostgresRegistry"
    store.close()


def test_a_url_opens_the_installed_plugin_only_when_used(tmp_path: Path) -> None:
    store = store_of(f"sqlite:///{tmp_path}/models.db", tmp_path)
    assert not (tmp_path / "models.db").exists()
    store.check()
    assert (tmp_path / "models.db").exists()
    store.close()
