import pytest

from mlops_core.structure import Misfit, Problem, key_text, nearest, one_line


def test_a_path_is_written_as_a_person_would() -> None:
    assert key_text(()) == ""
    assert key_text(("pipeline", "stages", "training")) == "pipeline.stages.training"
    assert key_text(("tracker", 1, "mode")) == "tracker[1].mode"
    assert key_text((0, "mode")) == "[0].mode"


def test_the_nearest_name_is_suggested() -> None:
    assert nearest("trackng_uri", ["artifacts", "tracking_uri"]) == "did you mean 'tracking_uri'?"


def test_where_nothing_is_near_the_names_are_listed() -> None:
    assert nearest("zzz", ["a", "b", "a"]) == "there are: a, b"
    assert nearest("zzz", [], "known are") == "known are: none"
    assert nearest("zzz", [f"name-{number}" for number in range(20)]).endswith("name-11, ...")


def test_a_name_of_any_length_and_type_can_be_looked_for() -> None:
    assert nearest("x" * 10**6, ["a"]) == "there are: a"
    assert nearest(5, ["five"]) == "there are: five"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError("y" * 500), f"ValueError: {'y' * 300}..."),
    ],
)
def test_an_exception_is_one_short_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_problems_are_seen_from_further_up() -> None:
    misfit = Misfit(Problem(("a",), "wrong"), Problem((), "bad", on_key=True))
    assert misfit.below("x", 0) == (Problem(("x", 0, "a"), "wrong"), Problem(("x", 0), "bad", on_key=True))
    assert str(misfit) == "wrong; bad"
    assert Misfit.of("no").problems == (Problem((), "no"),)
