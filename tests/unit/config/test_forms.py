from datetime import timedelta
from typing import Any

import pytest

from mlops_core.config.forms import settings_structurer, wrong_references
from mlops_core.config.settings import EnvironmentSettings, StageSettings, Use
from mlops_core.structure import Misfit, key_text


def fit(value: Any, kind: Any) -> Any:
    return settings_structurer().one(value, kind)


def problems(value: Any, kind: Any) -> dict[str, str]:
    with pytest.raises(Misfit) as caught:
        fit(value, kind)
    return {key_text(problem.path): problem.message for problem in caught.value.problems}


def test_a_plugin_is_a_name_or_a_mapping() -> None:
    assert fit("mlflow", Use) == Use("mlflow")
    assert fit({"use": "mlflow", "uri": "${URI}"}, Use) == Use("mlflow", {"uri": "${URI}"})
    assert fit(Use("x"), Use) == Use("x")


@pytest.mark.parametrize("value", ["mlflow", {"use": "mlflow"}, ["mlflow"], [{"use": "mlflow"}]])
def test_several_plugins_are_a_name_a_mapping_or_a_list(value: Any) -> None:
    assert fit(value, tuple[Use, ...]) == (Use("mlflow"),)


@pytest.mark.parametrize("value", [None, []])
def test_no_plugin_at_all_is_written_too(value: Any) -> None:
    assert fit(value, tuple[Use, ...]) == ()


@pytest.mark.parametrize(
    ("value", "path", "cause"),
    [
        (5, "", "expected the name of a plugin, or a mapping with 'use'"),
        ({}, "", "the key 'use' is missing - write {use: NAME}"),
        ({"usee": "x"}, "", "the key 'use' is missing - did you mean 'usee'?"),
        ({"use": 5}, "use", "expected the name of a plugin"),
        ({"use": "${TRACKER}"}, "use", "references are for options of plugins and for 'tokens'"),
        ({"use": " "}, "use", "expected the name of a plugin, got ' '"),
        ("", "", "expected the name of a plugin, got ''"),
    ],
)
def test_what_names_no_plugin_is_refused(value: Any, path: str, cause: str) -> None:
    found = problems(value, Use)
    assert list(found) == [path]
    assert cause in found[path]


def test_problems_in_a_list_of_plugins_have_their_index() -> None:
    assert set(problems(["a", 5, {"use": 6}], tuple[Use, ...])) == {"[1]", "[2].use"}


def test_an_environment_is_a_deployer_and_what_the_core_adds() -> None:
    assert fit("local", EnvironmentSettings) == EnvironmentSettings(Use("local"))
    found = fit({"use": "local", "port": 8801, "tokens": "${file:t}", "rollback_window": "2h", "watch": True}, EnvironmentSettings)
    assert found == EnvironmentSettings(Use("local", {"port": 8801}), "${file:t}", timedelta(hours=2), watch=True)


def test_every_mistake_of_an_environment_is_found() -> None:
    assert set(problems({"port": 1, "rollback_window": 5, "watch": "yes"}, EnvironmentSettings)) == {"", "rollback_window", "watch"}
    assert set(problems({"port": 1}, EnvironmentSettings)) == {""}


def stages(value: Any) -> Any:
    return fit(value, tuple[StageSettings, ...])


def test_a_stage_is_a_name_a_mapping_or_nothing() -> None:
    assert stages({"a": "csv", "b": {"use": "csv", "path": "x"}, "c": None, "d": {"require": 1}}) == (
        StageSettings("a", Use("csv")),
        StageSettings("b", Use("csv", {"path": "x"}), {"path": "x"}),
        StageSettings("c"),
        StageSettings("d", None, {"require": 1}),
    )


def test_keys_of_the_core_are_told_from_options_of_the_stage() -> None:
    value = {
        "use": "sklearn",
        "target": "late",
        "inputs": {"data": "prepared"},
        "outputs": ["model", "scores"],
        "retries": 2,
        "timeout": "10m",
        "when": "roc_auc > 0.6",
        "on_failure": "continue",
        "cache": True,
        "executor": "process",
    }
    (found,) = stages({"training": value})
    assert found.use == Use("sklearn", {"target": "late"})
    assert (found.inputs, found.outputs, found.retries, found.timeout) == (
        {"data": "prepared"},
        ("model", "scores"),
        2,
        timedelta(minutes=10),
    )
    assert (found.when, found.on_failure, found.cache, found.executor) == ("roc_auc > 0.6", "continue", True, "process")


def test_every_mistake_of_every_stage_is_found() -> None:
    found = {
        "bad name": "csv",
        "a": 5,
        "b": {"use": 5, "retries": -1, "timeout": "0s"},
        "c": {"name": "x"},
        "d": {"use": "csv", "outputs": ["no good"]},
    }
    assert set(problems(found, tuple[StageSettings, ...])) == {
        "bad name",
        "a",
        "b.use",
        "b.retries",
        "b.timeout",
        "c.name",
        "d.outputs[0]",
    }


def test_stages_are_a_mapping() -> None:
    assert "expected a mapping of stages by name" in problems(["a"], tuple[StageSettings, ...])[""]


def test_broken_references_are_found_wherever_text_stands() -> None:
    values = {"a": "${", "b": {"c": ["ok", "${1}"]}, "d": 5, "e": "${OK}"}
    assert {key_text(problem.path) for problem in wrong_references(values)} == {"a", "b.c[1]"}
