"""``mlops monitor rules``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import CONFIGURATION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


@pytest.fixture
def scraped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a sink that has rules, in the current folder."""
    (tmp_path / "mlops.yaml").write_text(CONFIGURATION.replace("sinks: [", "sinks: [prometheus, "))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_rules_are_printed_and_nothing_else(mlops: Callable[..., Answer], scraped: Path) -> None:
    answer = mlops("monitor", "rules")
    assert (answer.code, answer.err) == (0, "")
    assert '- alert: "errors"' in answer.out
    assert mlops("monitor", "rules", "--sink", "prometheus", "--json").json == {"rules": answer.out}
    assert not (scraped / ".mlops" / "prometheus.db").exists(), "nothing is opened"


def test_the_rules_are_written_to_a_file(mlops: Callable[..., Answer], scraped: Path) -> None:
    printed = mlops("monitor", "rules").out
    assert mlops("monitor", "rules", "--output", "rules.yml").out == "the rules are in rules.yml\n"
    assert (scraped / "rules.yml").read_text() == printed
    answer = mlops("monitor", "rules", "--output", "nowhere/rules.yml")
    assert (answer.code, answer.err) == (
        1,
        "mlops: rules: --output: nowhere/rules.yml cannot be written: No such file or directory - give another file\n",
    )


def test_a_sink_without_rules_is_one_line(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("monitor", "rules")
    assert answer.err == "mlops: monitoring.sinks: none of them has rules of its own - add one that has, such as prometheus\n"
    assert answer.code != 0
