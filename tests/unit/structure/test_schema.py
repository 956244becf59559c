import enum
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from attrs import define, field

from mlops_core.structure import SHARE
from mlops_core.structure.schema import class_schema, type_schema

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(enum.Enum):
    RED = "red"


@define
class Inner:
    width: int = 1


@define
class Options:
    url: str = field(metadata={"help": "where"})
    port: int = 80
    wait: timedelta = field(default=timedelta(minutes=5), metadata={"key": "for"})
    folder: Path = Path("a")
    inner: Inner = field(factory=Inner)
    price: "Decimal | None" = None
    handle: Any = field(default=None, init=False)


PERCENT = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int, {"type": "integer"}),
        (bool, {"type": "boolean"}),
        (float, {"anyOf": [{"type": "number"}, PERCENT]}),
        (str, {"type": ["string", "number"]}),
        (Path, {"type": "string", "minLength": 1}),
        (Any, {}),
        (object, {}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Colour, {"enum": ["red"]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (tuple, {"type": "array"}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict, {"type": "object"}),
        (Annotated[float, SHARE], {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, PERCENT]}),
        (Annotated[int, "note"], {"type": "integer"}),
        (Inner, {"type": "object", "properties": {"width": {"type": "integer", "default": 1}}, "additionalProperties": False}),
    ],
)
def test_a_type_as_json_schema(kind: Any, schema: dict[str, Any]) -> None:
    assert type_schema(kind) == schema


def test_a_duration_as_json_schema() -> None:
    pattern = re.compile(type_schema(timedelta)["pattern"])
    assert all(pattern.search(text) for text in ("5m", "1h30m", "250ms", "1.5d"))
    assert not any(pattern.search(text) for text in ("5", "m", "5 m", "-5m"))


def test_a_class_as_json_schema() -> None:
    schema = class_schema(Options)
    assert schema["required"] == ["url"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"url", "port", "for", "folder", "inner", "price"}
    assert schema["properties"]["url"] == {"type": ["string", "number"], "description": "where"}
    assert schema["properties"]["for"]["default"] == "5m"
    assert schema["properties"]["folder"]["default"] == "a"
    assert "default" not in schema["properties"]["inner"]
    assert schema["properties"]["price"] == {"default": None}


def test_every_option_that_is_no_text_may_be_a_reference() -> None:
    properties = class_schema(Options, references=True)["properties"]
    assert properties["port"]["anyOf"] == [{"type": "integer"}, {"type": "string", "pattern": r"\$\{"}]
    assert properties["url"]["type"] == ["string", "number"]


def test_a_type_may_have_a_form_of_its_own() -> None:
    schema = class_schema(Options, lambda kind: {"const": 1} if kind is Inner else None)
    assert schema["properties"]["inner"]["const"] == 1
    assert type_schema(list[Inner], lambda kind: {"const": 1} if kind is Inner else None)["items"] == {"const": 1}
