import json

from mlops_core.stack.describing import schema
from tests.unit.conftest import Strangers


def test_the_schema_knows_the_options_of_every_plugin_that_is_installed(strangers: Strangers) -> None:
    strangers.plugin("sink", "broken", "raise RuntimeError")
    found = schema()
    registry = found["properties"]["registry"]["anyOf"]
    sqlite = next(one for one in registry if one.get("properties", {}).get("use") == {"const": "sqlite"})
    assert sqlite["properties"]["path"]["default"] == ".mlops/registry.db"
    channels = found["properties"]["channels"]["additionalProperties"]["anyOf"]
    assert any(one.get("properties", {}).get("use") == {"const": "log"} for one in channels)
    sinks = json.dumps(found["properties"]["monitoring"])
    assert "broken" not in sinks
    assert json.loads(json.dumps(found)) == found
