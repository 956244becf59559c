from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import Factory, define, field, validators

from mlops_core.exceptions import ConfigError
from mlops_core.structure import Deferred, Misfit, Secret, Structurer, key_text

if TYPE_CHECKING:
    from decimal import Decimal


def ascii_only(text: str) -> str:
    return text.encode("ascii").decode()


@define
class Inner:
    width: int = 1
    height: int = field(default=1, validator=validators.ge(0))


@define
class Options:
    url: str = field(metadata={"help": "where the service is"})
    port: int = field(default=80, validator=[validators.ge(1), validators.lt(65536)])
    inner: Inner = field(factory=Inner)
    wait: timedelta = field(default=timedelta(seconds=1), metadata={"key": "for"})
    _level: int = 3
    handle: Any = field(default=None, init=False)


@define
class Places:
    path: Path = Path(".mlops/x.db")
    other: Path | None = None
    absolute: Path = Path("/var/x")
    uri: str = field(default="mlruns", metadata={"path": True})
    plain: str = "mlruns"
    many: tuple[Path, ...] = ()
    lower: Path = field(default=Path("a"), converter=Path)


def problems(value: Any, cls: type = Options, **given: Any) -> dict[str, str]:
    with pytest.raises(Misfit) as caught:
        Structurer().fit(value, cls, **given)
    return {key_text(problem.path): problem.message for problem in caught.value.problems}


def test_a_class_is_built_of_a_mapping() -> None:
    built = Structurer().fit({"url": "u", "for": "5m", "inner": {"width": 2}, "level": 5}, Options)
    assert built == Options("u", 80, Inner(2), timedelta(minutes=5), 5)


def test_an_instance_is_taken_as_it_is() -> None:
    there = Options("u")
    assert Structurer().fit(there, Options) is there


def test_every_mistake_is_found_at_once() -> None:
    assert problems({"prot": 1, "port": "80", "inner": {"width": 1.5, "zzzzz": 2}, "for": 5}) == {
        "prot": "unknown key 'prot' - did you mean 'port'?",
        "": "missing key 'url' - where the service is",
        "port": "expected a whole number, got '80' - remove the quotes",
        "inner.zzzzz": "unknown key 'zzzzz' - known are: width, height",
        "inner.width": "expected a whole number, got 1.5",
        "for": "expected a duration, got 5 - give it a unit: 5s or 5m",
    }


def test_further_names_are_suggested() -> None:
    assert problems({"url": "u", "retires": 1}, also=("retries",)) == {"retires": "unknown key 'retires' - did you mean 'retries'?"}


def test_validators_speak_for_their_fields_even_beside_other_mistakes() -> None:
    found = problems({"url": "u", "port": 0, "inner": {"height": -1}, "x": 1})
    assert found["port"] == "'port' must be >= 1: 0"
    assert found["inner.height"] == "'height' must be >= 0: -1"
    assert "x" in found


def test_of_a_secret_a_validator_is_not_quoted() -> None:
    """It may quote any part of it, however short."""

    @define
    class Guarded:
        pin: int = field(default=0)
        key: str = field(default="", converter=ascii_only)

        @pin.validator
        def _good(self, _: object, value: int) -> None:
            raise ValueError(f"bad pin {value}")

    refused = "what the reference stands for is not accepted - correct it there"
    assert problems({"pin": Secret("937"), "key": Secret("\u00e9")}, Guarded) == {"pin": refused, "key": refused}
    assert problems({"pin": Secret("937"), "x": 1}, Guarded)["pin"] == refused
    assert problems({"pin": 937}, Guarded) == {"pin": "bad pin 937"}


def test_two_validators_of_one_class_are_both_heard() -> None:
    @define
    class Two:
        a: int = field(default=0, validator=validators.ge(1))
        b: int = field(default=0, validator=validators.ge(1))

    assert set(problems({"a": 0, "b": 0}, Two)) == {"a", "b"}


def test_a_validator_that_looks_at_another_field_is_heard_for_the_whole() -> None:
    @define
    class Range:
        low: int = 0
        high: int = field(default=10)

        @high.validator
        def _above(self, _: object, value: int) -> None:
            if value <= self.low:
                raise ValueError("high must be above low")

    assert problems({"low": 5, "high": 5}, Range) == {"high": "high must be above low"}
    assert problems({"low": 50, "high": "x"}, Range) == {"high": "expected a whole number, got 'x'"}
    assert problems({"low": 50}, Range) == {"": "high must be above low"}
    assert problems({"high": 5, "low": "x"}, Range) == {"low": "expected a whole number, got 'x'"}


def test_what_a_converter_refuses_is_a_problem_of_its_field() -> None:
    @define
    class Converted:
        a: str = field(default="", converter=ascii_only)

    assert problems({"a": "\u00e9"}, Converted)["a"].startswith("UnicodeEncodeError: 'ascii' codec can't encode")


def test_what_the_class_itself_refuses_is_a_problem_of_the_whole() -> None:
    @define
    class Refuses:
        a: int = 0

        def __attrs_post_init__(self) -> None:
            if self.a == 1:
                raise ConfigError("a: must not be 1")
            if self.a == 2:
                raise RuntimeError("no")
            if self.a == 3:
                raise Misfit.of("not 3")

    assert problems({"a": 1}, Refuses) == {"": "a: must not be 1"}
    assert problems({"a": 2}, Refuses) == {"": "RuntimeError: no"}
    assert problems({"a": 3}, Refuses) == {"": "not 3"}


def test_paths_begin_at_the_root_defaults_too() -> None:
    built = Structurer(Path("/p")).fit({"other": "o", "many": ["m"]}, Places)
    assert built == Places(Path("/p/.mlops/x.db"), Path("/p/o"), Path("/var/x"), "/p/mlruns", "mlruns", (Path("m"),), Path("/p/a"))


@pytest.mark.parametrize("uri", ["http://host:5000", "sqlite:///x.db", "s3://bucket/a", "file:///x", ""])
def test_text_with_a_scheme_is_no_path(uri: str) -> None:
    assert Structurer(Path("/p")).fit({"uri": uri}, Places).uri == uri


def test_a_secret_path_stays_secret() -> None:
    found = Structurer(Path("/p")).fit({"uri": Secret("hidden/runs")}, Places).uri
    assert (found, repr(found)) == ("/p/hidden/runs", "***")


def test_with_a_reference_that_is_resolved_later_the_rest_is_checked() -> None:
    waiting = Deferred("${URL}")
    built: Any = Structurer().fit({"url": waiting, "port": 5}, Options)
    assert built is waiting
    assert problems({"url": waiting, "port": 0}) == {"port": "'port' must be >= 1: 0"}
    assert problems({"url": waiting, "prot": 0})["prot"].startswith("unknown key")
    built = Structurer().fit({"url": "u", "inner": {"width": waiting}}, Options)
    assert built is waiting


def test_the_type_of_an_option_that_is_not_loaded_is_a_problem_of_the_option() -> None:
    @define
    class Broke:
        price: "Decimal" = field(default=None)
        other: int = 0

    assert Structurer().fit({"other": 1}, Broke).other == 1
    assert problems({"price": 1}, Broke)["price"].startswith("the type 'Decimal' of this option cannot be resolved: NameError")


def test_a_factory_that_needs_the_instance_is_left_to_attrs() -> None:
    @define
    class Twice:
        a: int = 1
        b: int = field(default=Factory(lambda self: self.a * 2, takes_self=True))

    assert Structurer().fit({"a": 4}, Twice) == Twice(4, 8)
