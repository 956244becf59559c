import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import PipelineError, StageError
from mlops_core.pipeline.outputs import output_names, split_outputs

VALUES = st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()))


def test_a_stage_gives_its_declared_outputs_else_one_of_its_own_name() -> None:
    assert output_names("training", (), ()) == ("training",)
    assert output_names("training", ("model", "schema"), ()) == ("model", "schema")
    assert output_names("training", ("model", "schema"), ("forest", "columns")) == ("forest", "columns")
    assert output_names("split", (), ("train", "test")) == ("train", "test")


@pytest.mark.parametrize(
    ("declared", "renamed", "said"),
    [
        (("model", "schema"), ("forest",), "1 names for the 2 outputs model, schema"),
        ((), ("a", "a"), "there twice"),
        ((), ("a b",), "is not a name"),
    ],
)
def test_wrong_names_are_one_line(declared: tuple[str, ...], renamed: tuple[str, ...], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        output_names("training", declared, renamed)


@given(VALUES)
def test_a_single_value_is_passed_on_as_it_is(value: object) -> None:
    assert split_outputs(value, (), ("training",)) == ({} if value is None else {"training": value})


@given(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1))
def test_declared_outputs_are_renamed_in_order(answer: dict[str, object]) -> None:
    declared = tuple(answer)
    names = tuple(name.upper() for name in declared)
    assert split_outputs(answer, declared, names) == {name.upper(): value for name, value in answer.items()}


def test_a_tuple_is_taken_apart_where_the_configuration_names_the_parts() -> None:
    assert split_outputs((1, 2), (), ("train", "test")) == {"train": 1, "test": 2}
    assert split_outputs({"test": 2, "train": 1}, (), ("train", "test")) == {"train": 1, "test": 2}


@pytest.mark.parametrize(
    ("value", "declared", "names", "said"),
    [
        ({"model": 1}, ("model", "schema"), ("model", "schema"), "answered 'model' where its outputs are 'model', 'schema'"),
        ({}, ("model",), ("model",), "answered nothing where its outputs are 'model'"),
        (5, ("model",), ("model",), "answered one value of type int - answer a mapping with 'model'"),
        ((1, 2, 3), (), ("a", "b"), "answered one value of type tuple of 3 - answer a mapping with 'a', 'b'"),
        ((1,), ("model",), ("model",), "answered one value of type tuple of 1"),
    ],
)
def test_an_answer_that_was_not_declared_is_an_error(value: object, declared: tuple[str, ...], names: tuple[str, ...], said: str) -> None:
    with pytest.raises(StageError, match=said):
        split_outputs(value, declared, names)
