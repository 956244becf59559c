from typing import Any, ClassVar

import pytest
from attrs import define, field, frozen

from mlops_core.exceptions import PluginError
from mlops_core.plugins import GROUPS, check_class, option_fields
from mlops_core.records import Alert
from mlops_core.roles import AlertChannel, Format

ALERT = GROUPS["alert"]


@define
class Pager(AlertChannel):
    contract: ClassVar[int] = 1
    url: str = field(metadata={"help": "where the pager is"})
    _handle: Any = field(default=None, init=False)

    def send(self, alert: Alert) -> None:
        raise NotImplementedError


@define
class Inherits(Pager):
    pass


@define
class Newer(Pager):
    contract: ClassVar[int] = 2


@define
class Worded(Pager):
    contract: ClassVar[Any] = "1"


@define
class Unexplained(Pager):
    contract: ClassVar[int] = 1
    retry: int = 3


@define
class Blank(Pager):
    contract: ClassVar[int] = 1
    retry: int = field(default=3, metadata={"help": "  "})


@define
class Shadowing(Pager):
    contract: ClassVar[int] = 1
    timeout: float = field(default=3.0, metadata={"help": "how long"})


@define
class Hiding(Pager):
    contract: ClassVar[int] = 1
    close: bool = field(default=True, metadata={"help": "whether"})  # type: ignore[assignment]  # the mistake under test


@define
class Lacking(AlertChannel):
    contract: ClassVar[int] = 1


class Undecorated(AlertChannel):
    contract: ClassVar[int] = 1

    def send(self, alert: Alert) -> None:
        raise NotImplementedError


class OnlyItsParentIsDecorated(Pager):
    contract: ClassVar[int] = 1


@frozen
class NoContract(AlertChannel):
    def send(self, alert: Alert) -> None:
        raise NotImplementedError


class _Text(Format):
    def accepts(self, value: Any) -> bool:
        return False

    def sniff(self, path: Any) -> bool:
        return False

    def write(self, value: Any, path: Any) -> None:
        raise NotImplementedError

    def read(self, path: Any) -> Any:
        raise NotImplementedError


@define
class Nameless(_Text):
    contract: ClassVar[int] = 1


@define
class Text(_Text):
    contract: ClassVar[int] = 1
    name: ClassVar[str] = "text"


def test_a_class_that_keeps_the_contract_is_answered() -> None:
    assert check_class(Pager, ALERT, "alert.pager (acme 1)") is Pager


def test_options_are_the_fields_that_the_constructor_takes() -> None:
    assert [one.name for one in option_fields(Pager)] == ["url"]


WRONG = {
    "an instance": (Pager("u"), "handed over an object of type Pager instead of a class"),
    "nothing": (None, "handed over None instead of a class"),
    "another role's class": (Text, r"Text is no AlertChannel - derive it from mlops_core\.roles\.AlertChannel"),
    "an abstract class": (Lacking, "Lacking lacks send - implement what the role 'alert' asks for"),
    "no attrs class": (Undecorated, "Undecorated is no attrs class - decorate it"),
    "no attrs class, but its parent is": (OnlyItsParentIsDecorated, "OnlyItsParentIsDecorated is no attrs class"),
    "no contract": (NoContract, "NoContract has no 'contract' - state 'contract: ClassVar"),
    "an inherited contract": (Inherits, "Inherits only inherits 'contract'"),
    "a newer contract": (Newer, "Newer is written for contract 2 of the role 'alert', this release has 1"),
    "a contract in words": (Worded, "contract an object of type str"),
    "an option without help": (Unexplained, "option 'retry' of Unexplained has no help"),
    "an option with blank help": (Blank, "option 'retry' of Blank has no help"),
    "an option with a key of the core": (Shadowing, "option 'timeout' of Shadowing is a key that belongs to the core"),
    "an option that hides a method": (Hiding, "option 'close' of Hiding hides a method of the role"),
}


@pytest.mark.parametrize(("given", "cause"), WRONG.values(), ids=WRONG)
def test_a_class_that_breaks_the_contract_is_one_line(given: object, cause: str) -> None:
    with pytest.raises(PluginError, match=cause) as caught:
        check_class(given, ALERT, "alert.pager (acme 1)")
    assert caught.value.message.startswith("alert.pager (acme 1): ")
    assert "\n" not in caught.value.message


def test_a_format_is_named_as_its_entry_point() -> None:
    """Stored values carry the class's name; the configuration and ``models.trust`` use the entry point's."""
    assert check_class(Text, GROUPS["format"], "format.text", name="text") is Text
    with pytest.raises(PluginError, match="Text is named 'text', its entry point 'txt'"):
        check_class(Text, GROUPS["format"], "format.txt", name="txt")
    with pytest.raises(PluginError, match="Nameless has no 'name'"):
        check_class(Nameless, GROUPS["format"], "format.x")


def test_keys_of_one_role_are_free_for_the_others() -> None:
    @define
    class Token(Pager):
        contract: ClassVar[int] = 1
        tokens: str = field(default="", metadata={"help": "for the pager"})

    assert check_class(Token, ALERT, "alert.x") is Token
