from typing import Any

import pytest

from mlops_core.config.schema import configuration_schema

OPTIONS = {"tracker": {"mlflow": {"type": "object", "properties": {"uri": {"type": "string"}}, "additionalProperties": False}}}


@pytest.fixture
def schema() -> dict[str, Any]:
    return configuration_schema(OPTIONS)


def test_every_key_of_the_file_is_there(schema: dict[str, Any]) -> None:
    assert set(schema["properties"]) == {
        "version",
        "project",
        "tenant",
        "tracker",
        "registry",
        "environments",
        "channels",
        "monitoring",
        "drift",
        "models",
        "formats",
        "observers",
        "executor",
        "pipeline",
    }
    assert schema["required"] == ["version"]
    assert schema["additionalProperties"] is False
    assert all("description" in one for one in schema["properties"].values())


def test_a_plugin_that_is_known_has_its_options(schema: dict[str, Any]) -> None:
    name, known, other, several, _ = schema["properties"]["tracker"]["anyOf"]
    assert name["examples"] == ["mlflow"]
    assert known["properties"] == {"use": {"const": "mlflow"}, "uri": {"type": "string"}}
    assert (known["required"], known["additionalProperties"]) == (["use"], False)
    assert other["properties"]["use"]["not"] == {"enum": ["mlflow"]}
    assert several["type"] == "array"


def test_a_plugin_that_nobody_knows_is_allowed_with_any_options(schema: dict[str, Any]) -> None:
    assert schema["properties"]["tracker"]["anyOf"][2] == {
        "type": "object",
        "properties": {"use": {"type": "string", "not": {"enum": ["mlflow"]}}},
        "required": ["use"],
    }


def test_keys_of_the_core_stand_beside_the_options(schema: dict[str, Any]) -> None:
    environment = schema["properties"]["environments"]["additionalProperties"]["anyOf"][-1]
    assert set(schema["properties"]["registry"]["anyOf"][-1]["properties"]["sign"]["properties"]) == {"key", "public", "require"}
    assert set(environment["properties"]) == {"use", "tokens", "rollback_window", "watch"}
    stages = schema["properties"]["pipeline"]["anyOf"][0]["properties"]["stages"]["additionalProperties"]["anyOf"]
    assert {"retries", "timeout", "when", "inputs"} <= set(stages[1]["properties"])
    assert stages[1]["not"] == {"required": ["use"]}


def test_alert_rules_are_spelled_as_in_the_file(schema: dict[str, Any]) -> None:
    rule = schema["properties"]["monitoring"]["properties"]["alerts"]["items"]
    assert "for" in rule["properties"]
    assert "hold_for" not in rule["properties"]
    assert rule["required"] == ["name", "when"]
