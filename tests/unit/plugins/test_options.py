from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest
from attrs import define, field

from mlops_core.exceptions import PluginError
from mlops_core.plugins.loader import Loaded
from mlops_core.plugins.options import Option, describe
from mlops_core.records import Alert
from mlops_core.roles import AlertChannel

if TYPE_CHECKING:
    from decimal import Decimal


@define
class Pager(AlertChannel):
    """Rings.

    And more.
    """

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"loud", "beep"})
    url: str = field(metadata={"help": "where"})
    level: Literal["low", "high"] = field(default="low", metadata={"help": "how loud"})
    folder: Path | None = field(default=None, metadata={"help": "its files"})
    again: bool = field(default=True, metadata={"help": "repeat"})
    names: tuple[str, ...] = field(default=("a",), metadata={"help": "who"})
    headers: dict[str, str] = field(factory=dict, metadata={"help": "sent along"})
    more: list[int] = field(factory=list, metadata={"help": "more"})
    clock: Any = field(factory=object, metadata={"help": "time"})
    _open: int = field(default=0, init=False)

    def send(self, alert: Alert) -> None:
        raise NotImplementedError


def test_a_plugin_is_described_by_its_fields() -> None:
    described = describe(Loaded("alert", "pager", Pager, "acme 1"))
    assert (described.summary, described.capabilities, described.source) == ("Rings.", ("beep", "loud"), "acme 1")
    assert described.options == (
        Option("url", "text", None, "where"),
        Option("level", '"low" | "high"', "low", "how loud"),
        Option("folder", "path | none", "none", "its files"),
        Option("again", "true | false", "true", "repeat"),
        Option("names", "list of text", "['a']", "who"),
        Option("headers", "mapping of text to text", "{}", "sent along"),
        Option("more", "list of integer", "[]", "more"),
        Option("clock", "any", "its own", "time"),
    )


def test_a_type_that_cannot_be_resolved_is_one_line() -> None:
    @define
    class Broke(AlertChannel):
        contract: ClassVar[int] = 1
        price: "Decimal" = field(metadata={"help": "h"})

        def send(self, alert: Alert) -> None:
            raise NotImplementedError

    with pytest.raises(PluginError, match=r"alert\.broke \(acme 1\): the type of option 'price' cannot be resolved: NameError"):
        describe(Loaded("alert", "broke", Broke, "acme 1"))
