"""A command with subcommands, of which one is the usual one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.cli.app import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


@pytest.mark.parametrize(("group", "usual"), [("models", "list"), ("deployments", "list"), ("runs", "pipeline")])
def test_options_without_a_subcommand_are_those_of_the_usual_one(
    mlops: Callable[..., Answer], project: Project, group: str, usual: str
) -> None:
    assert set(COMMANDS) >= {group}
    assert mlops(group, "--json").json == mlops(group, usual, "--json").json == []
    assert mlops(group).out == mlops(group, usual).out


def test_help_is_that_of_the_group(mlops: Callable[..., Answer]) -> None:
    assert "Usage: mlops models [OPTIONS] COMMAND [ARGS]..." in mlops("models", "--help").out
    assert "Usage: mlops models [OPTIONS] COMMAND [ARGS]..." in mlops("models", "-h").out


def test_any_other_word_is_of_the_usual_one_where_that_is_wanted(mlops: Callable[..., Answer], project: Project) -> None:
    assert mlops("monitor", "line").out == mlops("monitor", "show", "line").out
    assert mlops("monitor", "--window", "5m", "line").out.startswith("line: unknown\n")
    for name in ("purge", "show"):
        assert mlops("monitor", "show", name).out.startswith(f"{name}: unknown\n")
    assert mlops("monitor").err == "mlops: Missing argument 'MODEL' - see `mlops monitor show --help`\n"


def test_a_word_is_a_subcommand_or_a_mistake(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("models", "versons")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "Did you mean 'versions'?" in answer.err
