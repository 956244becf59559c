"""``mlops alerts``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


@pytest.fixture
def burning(project: Project) -> Project:
    """A project with an open incident."""
    for _ in range(3):
        project.monitoring.track_prediction("line", 0.1, success=False, environment="staging")
    project.monitoring.evaluate()
    return project


def test_nothing_is_open(mlops: Callable[..., Answer], project: Project) -> None:
    assert mlops("alerts").out == "Open incidents: none\n"
    assert mlops("alerts", "--json").json == {"incidents": [], "silences": []}


def test_an_open_incident_is_listed_silenced_and_acknowledged(mlops: Callable[..., Answer], burning: Project) -> None:
    out = mlops("alerts").out
    assert "error_rate > 0.5" in out
    assert "firing" in out
    silenced = mlops("alerts", "silence", "--for", "2h", "--reason", "a release", "--rule", "errors", "--by", "ann")
    assert silenced.out.startswith("silence ")
    assert ": rule errors until 20" in silenced.out
    (silence,) = mlops("alerts", "--json").json["silences"]
    assert (silence["by"], silence["reason"], silence["model"]) == ("ann", "a release", None)
    assert "firing, silenced until 20" in mlops("alerts", "list", "--model", "line").out
    assert "a release" in mlops("alerts").out
    assert mlops("alerts", "unsilence", silence["id"]).out == f"silence {silence['id']}: rule errors ended\n"
    assert mlops("alerts", "--json").json["silences"] == []
    acked = mlops("alerts", "ack", "errors", "line", "staging", "--note", "rolling back", "--by", "bob")
    assert acked.out == "line in staging: errors firing, acknowledged by bob: rolling back\n"
    assert "acknowledged by bob" in mlops("status").out
    assert mlops("alerts", "--json").json["incidents"][0]["acknowledged"]["by"] == "bob"


def test_everything_is_what_has_ended_too(mlops: Callable[..., Answer], burning: Project) -> None:
    for _ in range(10):
        burning.monitoring.track_prediction("line", 0.1, success=True, environment="staging")
    burning.monitoring.evaluate()
    assert mlops("alerts").out == "Open incidents: none\n"
    assert "resolved" in mlops("alerts", "--all").out


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (("silence", "--for", "0s", "--reason", "x"), 2, "is no duration above zero"),
        (("silence", "--for", "1h", "--reason", " "), 2, "reason: expected text of 1 to 1000 characters"),
        (("silence", "--for", "1h", "--reason", "x", "--rule", "erors"), 2, "silence: no rule 'erors' - did you mean 'errors'?"),
        (("silence", "--for", "9999y", "--reason", "x"), 2, "longer than any that can be kept"),
        (("unsilence", "nope"), 1, "silence 'nope': there is none"),
        (("ack", "erors", "line", "staging"), 1, "no open incident of 'erors' for line in staging - did you mean 'errors'?"),
    ],
)
def test_a_mistake_is_one_line(mlops: Callable[..., Answer], burning: Project, given: tuple[str, ...], code: int, told: str) -> None:
    answer = mlops("alerts", *given)
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert told in answer.err
