import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.wiring import GIVEN, Source, Wiring

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


def wiring(*given_: str, **stages: tuple[str, ...]) -> Wiring:
    made = Wiring(frozenset(given_))
    for name, outputs in stages.items():
        made.add(name, outputs)
    return made


def connect(made: Wiring, name: str, **renamed: str) -> Source:
    return made.connect("last", {name: True}, renamed)[name]


def test_an_input_is_found_by_the_name_of_an_output_or_of_a_stage() -> None:
    made = wiring(collection=("flights",), preprocessing=("preprocessing",))
    assert connect(made, "flights") == Source("collection", "flights")
    assert connect(made, "collection") == Source("collection", "flights")
    assert connect(made, "preprocessing") == Source("preprocessing", "preprocessing")


def test_a_renamed_input_takes_what_it_is_renamed_to() -> None:
    made = wiring(first=("data",), second=("data",))
    assert connect(made, "data", data="second") == Source("second", "data")
    assert connect(made, "data", data="first.data") == Source("first", "data")


def test_a_given_value_comes_before_a_stage() -> None:
    assert connect(wiring("data", data=("data",)), "data") == Source(GIVEN, "data")


def test_an_input_that_is_nowhere_comes_from_its_usual_place() -> None:
    usual = {"model": "training", "absent": "training"}
    made = wiring(training=("training",))
    assert made.connect("last", {"model": True}, {}, usual) == {"model": Source("training", "training")}
    assert wiring("model", training=("training",)).connect("last", {"model": True}, {}, usual) == {"model": Source(GIVEN, "model")}
    with pytest.raises(PipelineError, match="its input 'model' from 'trainin'"):
        made.connect("last", {"model": True}, {"model": "trainin"}, usual)
    with pytest.raises(PipelineError, match="gives forest, other - say which"):
        wiring(training=("forest", "other")).connect("last", {"model": True}, {"model": "training"}, usual)


def test_an_optional_input_may_be_missing() -> None:
    assert wiring().connect("last", {"reference": False}, {}) == {}


@pytest.mark.parametrize(
    ("made", "inputs", "renamed", "said"),
    [
        (wiring(collection=("flights",)), {"flihgts": True}, {}, "nothing before it gives its input 'flihgts' - did you mean 'flights'?"),
        (wiring(), {"data": True}, {}, "there are: none"),
        (wiring(a=("data",)), {"data": False}, {"data": "dada"}, "its input 'data' from 'dada' - did you mean 'data'?"),
        (wiring(a=("data",), b=("data",)), {"data": True}, {}, "ambiguous: a.data and b.data - say which: inputs: {data: b.data}"),
        (wiring(model=("x",), b=("model",)), {"model": True}, {}, "ambiguous: b.model and model.x"),
        (wiring(split=("train", "test")), {"split": True}, {}, "stage 'split' gives train, test - say which: inputs: {split: split.train}"),
        (wiring(a=("a",)), {"data": True}, {"date": "a"}, "inputs: it takes no 'date' - did you mean 'data'?"),
        (wiring(a=("a",)), {}, {"data": "a"}, "it takes: none"),
    ],
)
def test_what_cannot_be_connected_is_one_line(made: Wiring, inputs: dict[str, bool], renamed: dict[str, str], said: str) -> None:
    with pytest.raises(PipelineError) as caught:
        made.connect("last", inputs, renamed)
    assert str(caught.value).startswith("stage 'last': ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.lists(st.tuples(NAMES, st.lists(NAMES, min_size=1, max_size=2, unique=True)), unique_by=lambda one: one[0]), NAMES)
def test_an_input_comes_from_one_earlier_stage_that_gives_it_or_not_at_all(stages: list[tuple[str, list[str]]], name: str) -> None:
    """Whatever the stages are called: a source exists, and no other could have been meant."""
    made = wiring(**{stage: tuple(outputs) for stage, outputs in stages})
    candidates = {
        (stage, output) for stage, outputs in stages for output in outputs if output == name or (stage == name and len(outputs) == 1)
    }
    try:
        found = made.connect("last", {name: False}, {}).get(name)
    except PipelineError:
        assert len(candidates) > 1 or any(stage == name and len(outputs) > 1 for stage, outputs in stages)
    else:
        assert candidates == (set() if found is None else {(found.stage, found.output)})
