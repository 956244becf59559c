"""The options that every command takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
import pytest

from mlops_core.cli.options import MOMENT, SHARE
from mlops_core.testing.memory_tracker import MemoryTracker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


def test_a_project_elsewhere_and_another_tenant(
    mlops: Callable[..., Answer], versions: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(mlops("models", "list", "--json").json) == 1  # found upwards
    assert len(mlops("models", "list", "--json", "--project", str(tmp_path)).json) == 1
    assert mlops("models", "list", "--json", "--tenant", "other").json == []
    assert mlops("models", "list", "--tenant", "../x").code == 2


@pytest.mark.usefixtures("project")
def test_a_warning_is_a_line_on_standard_error(mlops: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> None:
        raise ConnectionError("connection refused")

    monkeypatch.setattr(MemoryTracker, "start_run", down)
    answer = mlops("run", "--json")
    assert answer.code == 0
    assert answer.json["status"] == "succeeded"
    warnings = answer.err.splitlines()
    assert warnings[0].startswith("warning: tracker MemoryTracker: cannot be reached (ConnectionError: connection refused)")
    assert "kept in" in warnings[-1]
    monkeypatch.undo()
    assert mlops("tracking", "sync").err == ""


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("1", 1.0), ("100 %", 1.0), ("0", 0.0), (0.5, 0.5)])
def test_shares(text: object, value: float) -> None:
    assert SHARE.convert(text, None, None) == value


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "half", "true", "", "1e999", "nan"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a share"):
        SHARE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30d", timedelta(days=30)),
        ("1h30m ago", timedelta(minutes=90)),
        ("2024-05-01T12:00Z", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01T14:00:00+02:00", datetime(2024, 5, 1, 12, tzinfo=UTC)),
    ],
)
def test_times(text: str, value: datetime | timedelta) -> None:
    assert MOMENT.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2024-05-01T12:00", "has no time zone - write 2024-05-01T12:00Z for UTC"),
        ("2024-05-01", "has no time zone - write 2024-05-01T00:00Z for UTC"),
        ("yesterday", "expected a time, got 'yesterday' - write 2024-05-01T12:00Z, or 30d for 30 days ago"),
        ("ago", "expected a time"),
        ("", "expected a time"),
    ],
)
def test_what_is_no_time(text: str, told: str) -> None:
    with pytest.raises(click.BadParameter, match=told):
        MOMENT.convert(text, None, None)


def test_a_profile_that_does_not_exist(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("models", "list", "--profile", "nope")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "mlops.nope.yaml" in answer.err
