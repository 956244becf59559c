"""``mlops deploy``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


def test_a_version_goes_live(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    answer = mlops("deploy", "line", "1", "--to", "staging")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("staging/line/1: live\n")


def test_an_a_b_test(mlops: Callable[..., Answer], versions: tuple[str, str], project: Project) -> None:
    answer = mlops("deploy", "line", "1", "--to", "staging", "--weight", "1=75%", "--weight", "2=0.25")
    assert (answer.code, answer.err) == (0, "")
    assert "1 (75%), 2 (25%)" in answer.out
    assert "1 (75%), 2 (25%)" in mlops("deployments", "history", "line", "staging").out
    routes = project.deployment.status("line", "staging").routes
    assert {one.version: one.weight for one in routes} == {"1": 0.75, "2": 0.25}


def test_an_a_b_test_with_an_end(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    shares = ("--to", "staging", "--weight", "1=0.5", "--weight", "2=0.5")
    test = mlops("deploy", "line", "1", *shares, "--until", "7d", "--then", "2", "--json").json["test"]
    assert (test["then"], test["metric"], test["ended"]) == ("2", "", None)
    assert "waiting for it: staging/line/1" in mlops("status").out
    test = mlops("deploy", "line", "1", *shares, "--until", "2999-01-01T12:00Z", "--then", "best", "--json").json["test"]
    assert (test["ends"][:4], test["metric"]) == ("2999", "error_rate")
    assert "7 days" not in (err := mlops("deploy", "line", "1", *shares, "--until", "soon").err)
    assert "30d for 30 days from now" in err


def test_a_shadow_takes_no_request(mlops: Callable[..., Answer], versions: tuple[str, str], project: Project) -> None:
    mlops("deploy", "line", "1", "--to", "staging")
    assert mlops("deploy", "line", "2", "--to", "staging", "--shadow", "--json").json["status"] == "shadow"
    assert "  shadow: 2  " in mlops("deployments").out
    assert mlops("deploy", "line", "2", "--to", "staging", "--json").json["deployment_id"] == "staging/line/2"
    assert [one.version for one in project.deployment.status("line", "staging").routes] == ["2"]


def test_no_wait_leaves_it_to_the_control_loop(mlops: Callable[..., Answer], versions: tuple[str, str], project: Project) -> None:
    assert mlops("deploy", "line", "1", "--to", "staging", "--no-wait", "--json").json["status"] == "pending"
    assert "start `mlops watch`; waiting for it: staging/line/1" in mlops("status").out
    assert mlops("watch", "--once").out == "every pass ran once\n"
    assert project.deployment.status("line", "staging").live is not None


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["line", "9", "--to", "staging"], 1, "no version '9' is registered"),
        (["none", "1", "--to", "staging"], 1, "no version '1' is registered"),
        (["line", "1", "--to", "stagin"], 2, "no environment 'stagin'"),
        (["line", "1", "--to", "staging", "--weight", "1"], 2, "is not VERSION=SHARE"),
        (["line", "1", "--to", "staging", "--weight", "1=2"], 2, "is not VERSION=SHARE"),
        (["line", "1", "--to", "staging", "--weight", "2=1"], 2, "'1' has no share"),
        (["line", "1", "--to", "staging", "--weight", "1=0.5"], 2, "0.5"),
        (["line", "1", "--to", "staging", "--until", "7d"], 2, "--until, --then and --metric say how an A/B test ends"),
        (["line", "1", "--to", "staging", "--then", "best"], 2, "--until, --then and --metric say how an A/B test ends"),
        (["line", "1", "--to", "staging", "--metric", "error_rate"], 2, "--until, --then and --metric say how an A/B test ends"),
        (["line", "1", "--to", "staging", "--weight", "1=1", "--no-wait"], 2, "an A/B test is waited for"),
        (["line", "1", "--to", "staging", "--weight", "1=1", "--then", "best"], 2, "a test that ends somehow needs an end"),
        (["line", "1", "--to", "staging", "--shadow"], 1, "nothing is live in staging"),
        (["line", "1", "--to", "staging", "--shadow", "--weight", "1=1"], 2, "--shadow takes no requests and has no --weight"),
        (["line", "1", "--to", "staging", "--weight", "1=0.5", "--weight", "1=0.5"], 2, "--weight names a version twice"),
    ],
)
def test_mistakes_change_nothing(
    mlops: Callable[..., Answer], versions: tuple[str, str], project: Project, args: list[str], code: int, says: str
) -> None:
    answer = mlops("deploy", *args)
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert says in answer.err
    assert project.deployment.list() == ()


@pytest.mark.parametrize(
    "command",
    [("deploy", "line", "1", "--to", "staging"), ("canary", "start", "line", "1", "--to", "staging"), ("rollback", "staging/line/1")],
)
def test_a_time_that_is_none_is_refused(mlops: Callable[..., Answer], versions: tuple[str, str], command: tuple[str, ...]) -> None:
    refused = mlops(*command, "--timeout", "0s")
    assert (refused.code, "timeout: 0.0 is no number of seconds above zero" in refused.err) == (2, True)
