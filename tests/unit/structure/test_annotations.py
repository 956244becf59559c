import enum
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import attrs
import pytest
from attrs import define, field

from mlops_core.structure import SHARE, expected, field_type, key_of, type_text
from mlops_core.structure.annotations import origin_of, resolved

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(enum.Enum):
    RED = "red"


@define
class Base:
    price: "Decimal" = field(default=None)
    path: "Path | None" = None


@define
class Derived(Base):
    """Its own module has no ``Path`` of its own to look up: the base's is used."""

    hold_for: timedelta = field(default=timedelta(0), metadata={"key": "for"})


def fields(cls: type) -> dict[str, "attrs.Attribute[Any]"]:
    return {one.name: one for one in attrs.fields(cls)}


def test_a_field_is_set_by_its_key_else_by_its_parameter() -> None:
    @define
    class Private:
        _hidden: int = 1

    assert key_of(fields(Derived)["hold_for"]) == "for"
    assert key_of(fields(Derived)["path"]) == "path"
    assert key_of(fields(Private)["_hidden"]) == "hidden"


def test_each_type_is_resolved_on_its_own() -> None:
    """Another field may name a module that is loaded for type checks only."""
    assert field_type(Derived, fields(Derived)["path"]) == Path | None
    untyped = attrs.make_class("Untyped", ["one"])
    assert field_type(untyped, fields(untyped)["one"]) is Any
    with pytest.raises(NameError, match="Decimal"):
        field_type(Derived, fields(Derived)["price"])


def test_notes_on_a_type_are_kept() -> None:
    assert resolved("Annotated[int, 'x']", {"Annotated": Annotated}) == Annotated[int, "x"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "integer"),
        (float, "number"),
        (bool, "true | false"),
        (str, "text"),
        (Path, "path"),
        (timedelta, "duration"),
        (Any, "any"),
        (Optional[str], "text | none"),  # noqa: UP045  the older spelling is read too
        (int | str, "integer | text"),
        (Literal["a", 1, True], '"a" | 1 | true'),
        (Annotated[float, SHARE], "share"),
        (Annotated[int, "note"], "integer"),
        (tuple[str, ...], "list of text"),
        (tuple[str, int], "list of text, integer"),
        (list[float], "list of number"),
        (Sequence[str], "list of text"),
        (frozenset[str], "set of text"),
        (Mapping[str, int], "mapping of text to integer"),
        (list, "list"),
        (Colour, "Colour"),
    ],
)
def test_a_type_in_words(kind: Any, text: str) -> None:
    assert type_text(kind) == text


def test_what_was_expected_in_words() -> None:
    assert expected(int) == "a whole number"
    assert expected(Derived) == "a mapping"
    assert expected(Literal["a"]) == '"a"'


def test_the_bare_type() -> None:
    assert origin_of(list[int]) is list
    assert origin_of(int) is int
