"""``mlops monitor purge``."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest

from mlops_core.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Answer


class Terminal(StringIO):
    """What somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def sampled(project: Project, tmp_path: Path) -> Iterator[Project]:
    """A project that keeps features, with those of three predictions."""
    text = (tmp_path / "mlops.yaml").read_text()
    (tmp_path / "mlops.yaml").write_text(text.replace("  alerts:", "  sample: {columns: [delay], rate: 100%}\n  alerts:"))
    with Project.open(tmp_path) as opened:
        for name in ("p1", "p2", "p3"):
            opened.monitoring.track_prediction("line", 0.1, success=True, prediction_id=name, features={"delay": 1.0})
        opened.monitoring.flush()
        yield opened


@pytest.mark.usefixtures("sampled")
def test_rows_go_and_counts_stay(mlops: Callable[..., Answer]) -> None:
    assert mlops("monitor", "purge", "--id", "p1", "--yes").out == "1 row erased\n"
    assert mlops("monitor", "purge", "--id", "p1", "--id", "p2", "--yes", "--json").json == {"erased": 1}
    assert mlops("monitor", "purge", "--before", "1d ago", "--yes").out == "0 rows erased\n"
    assert mlops("monitor", "purge", "--before", "2100-01-01T00:00Z", "--yes").out == "1 row erased\n"
    assert mlops("monitor", "line", "--json").json["metrics"]["total_predictions"] == 3


@pytest.mark.usefixtures("sampled")
def test_it_asks_whoever_can_answer(mlops: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    answer = mlops("monitor", "purge", "--id", "p1")
    assert (answer.code, answer.err) == (2, "mlops: purge: nobody can be asked, since the input is no terminal - call again with --yes\n")
    monkeypatch.setattr("sys.stdin", Terminal("n\ny\n"))
    refused = mlops("monitor", "purge", "--id", "p1", "--before", "2024-05-01T14:00+02:00")
    assert (refused.code, refused.out) == (1, "nothing is erased\n")
    assert "tenant acme: all before 2024-05-01 12:00:00 UTC and predictions p1? [y/N]" in refused.err
    agreed = mlops("monitor", "purge", "--id", "p1", "--json")
    assert (agreed.code, agreed.json) == (0, {"erased": 1})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "purge: nothing is named - give --before or --id"),
        (("--before", "2024-05-01T12:00"), "2024-05-01T12:00 has no time zone - write 2024-05-01T12:00Z for UTC"),
        (("--before", "9999y"), "--before: reaches too far into the past - write a later time"),
        (("--id", ""), "prediction_id: expected text of 1 to 256 characters"),
    ],
)
def test_a_wrong_purge_is_one_line(mlops: Callable[..., Answer], project: Project, given: tuple[str, ...], told: str) -> None:
    answer = mlops("monitor", "purge", "--yes", *given)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert told in answer.err
