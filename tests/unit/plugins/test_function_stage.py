from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import attrs
import pytest
from attrs import define, field

from mlops_core.exceptions import PluginError
from mlops_core.plugins import GROUPS, check_class, option_fields, stage_class
from mlops_core.plugins.function_stage import with_run_options
from mlops_core.roles import Help, Stage

if TYPE_CHECKING:
    from decimal import Decimal


def preprocess(data: Decimal, extra: Any = None, *, depth: Annotated[int, Help("levels of the tree")] = 3, rate: float) -> Any:
    """Prepare the data."""
    return data, extra, depth, rate


def reports(context: Any, data: Any) -> Any:
    return context, data


def split(data: Any) -> Any:
    return {"train": data, "test": data}


split.outputs = ("train", "test")  # type: ignore[attr-defined]  # how a function declares several outputs


@define
class Train(Stage):
    """Trains."""

    contract: ClassVar[int] = 1
    seed: int = field(default=0, metadata={"help": "of the split"})

    def run(self, context: Any, data: Any, labels: Any = None, *, depth: Annotated[int, Help("levels")] = 3) -> Any:
        return self.seed, data, labels, depth


def test_a_function_becomes_a_stage_of_the_current_contract() -> None:
    cls = stage_class(preprocess, "stage 'x:preprocess'")
    assert check_class(cls, GROUPS["stage"], "x") is cls
    assert (cls.__name__, cls.__doc__, cls.__module__) == ("preprocess", "Prepare the data.", __name__)
    assert cls.outputs == ()
    assert vars(cls)["__wrapped__"].__func__ is preprocess


def test_keyword_only_parameters_are_options_with_their_help() -> None:
    options = {one.name: one for one in option_fields(stage_class(preprocess, "x"))}
    assert options["depth"].metadata["help"] == "levels of the tree"
    assert options["depth"].default == 3
    assert options["rate"].default is attrs.NOTHING
    assert options["rate"].type is float
    assert options["rate"].metadata["help"] == "option rate of preprocess"


def test_positional_parameters_are_inputs_by_name() -> None:
    stage: Any = stage_class(preprocess, "x")(rate=0.5)  # type: ignore[call-arg]  # its fields are made of the parameters
    assert [*inspect.signature(stage.run).parameters][1:] == ["data", "extra"]
    assert stage.run(object(), 1) == (1, None, 3, 0.5)
    assert stage.run(object(), 1, 2) == (1, 2, 3, 0.5)
    assert stage.run(object(), data=1, extra=2) == (1, 2, 3, 0.5)


def test_the_types_of_inputs_need_not_be_loaded() -> None:
    """``Decimal`` above is imported for type checks only."""
    assert issubclass(stage_class(preprocess, "x"), Stage)


def test_a_first_parameter_named_context_receives_it() -> None:
    stage: Any = stage_class(reports, "x")()
    assert [*inspect.signature(stage.run).parameters][1:] == ["data"]
    assert stage.run("the context", 1) == ("the context", 1)


def test_a_function_declares_several_outputs_by_an_attribute() -> None:
    assert stage_class(split, "x").outputs == ("train", "test")


def test_parameters_without_names_are_refused() -> None:
    def anything(*data: Any) -> None: ...

    def everything(data: Any, **options: Any) -> None: ...

    with pytest.raises(PluginError, match=r"stage 'f': \*data of .*anything has no names"):
        stage_class(anything, "stage 'f'")
    with pytest.raises(PluginError, match=r"\*\*options of .*everything has no names"):
        stage_class(everything, "stage 'f'")


def test_the_type_of_an_option_must_be_known_when_the_program_runs() -> None:
    def f(data: Any, *, price: Decimal) -> None: ...

    with pytest.raises(PluginError, match="stage 'f': the type of option 'price' cannot be resolved: NameError"):
        stage_class(f, "stage 'f'")


def test_keyword_only_parameters_of_run_become_options_of_the_class() -> None:
    cls = with_run_options(Train, "x")
    assert {one.name for one in option_fields(cls)} == {"seed", "depth"}
    stage: Any = cls(seed=7, depth=5)  # type: ignore[call-arg]  # the field is made of the parameter
    assert isinstance(stage, Train)
    assert stage.run(None, "d") == (7, "d", None, 5)
    assert stage.run(None, "d", labels="l") == (7, "d", "l", 5)
    assert [*inspect.signature(stage.run).parameters][1:] == ["data", "labels"]
    assert check_class(cls, GROUPS["stage"], "x") is cls


def test_a_class_without_such_parameters_stays_as_it_is() -> None:
    plain = stage_class(preprocess, "x")
    assert with_run_options(plain, "x") is plain


def test_an_option_cannot_be_a_field_and_a_parameter() -> None:
    @define
    class Twice(Stage):
        contract: ClassVar[int] = 1
        depth: int = field(default=1, metadata={"help": "h"})

        def run(self, context: Any, *, depth: int = 3) -> Any:
            return depth

    with pytest.raises(PluginError, match="option 'depth' of Twice is both a field and a parameter of run"):
        with_run_options(Twice, "x")


def test_an_option_of_a_function_cannot_take_a_key_of_the_core() -> None:
    def f(data: Any, *, retries: int = 3) -> None: ...

    with pytest.raises(PluginError, match="option 'retries' of f is a key that belongs to the core"):
        check_class(stage_class(f, "x"), GROUPS["stage"], "stage 'f'")
