from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops_core.exceptions import VersioningError
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.versioning.database import backend_of


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


def test_a_store_stays_itself() -> None:
    store = MemoryRegistry()
    assert backend_of(store) is store


@pytest.mark.parametrize("wrap", [str, Url, Engine])
def test_a_sqlite_url_names_the_plugin_and_an_absolute_file(wrap: Any, tmp_path: Path) -> None:
    assert backend_of(wrap("sqlite:///models.db")) == {"sqlite": {"path": str(Path.cwd() / "models.db")}}
    assert backend_of(wrap(f"sqlite:///{tmp_path}/m.db")) == {"sqlite": {"path": f"{tmp_path}/m.db"}}
    assert backend_of(wrap("sqlite+pysqlite:///a/b.db?timeout=5")) == {"sqlite": {"path": str(Path.cwd() / "a/b.db")}}


def test_a_path_is_a_sqlite_file() -> None:
    assert backend_of(Path("models.db")) == {"sqlite": {"path": str(Path.cwd() / "models.db")}}


@pytest.mark.parametrize("wrap", [str, Url, Engine])
def test_a_postgres_url_is_handed_on_whole(wrap: Any) -> None:
    url = "postgresql+psycopg://me:secret@host/db"
    assert backend_of(wrap(url)) == {"postgres": {"url": url}}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(VersioningError, match="in memory"):
        backend_of(url)


@pytest.mark.parametrize("db", ["models.db", "", "oracle://host/db", 7, object()])
def test_what_is_no_database_is_refused(db: Any) -> None:
    with pytest.raises(VersioningError, match=r"sqlite:///models\.db"):
        backend_of(db)


def test_a_refusal_does_not_tell_the_password() -> None:
    with pytest.raises(VersioningError) as caught:
        backend_of("oracle://me:secret@host/db")
    assert "secret" not in caught.value.message
    assert "me:***@host" in caught.value.message
