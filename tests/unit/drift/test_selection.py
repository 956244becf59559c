"""Which tests a check runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import define

from mlops_core.drift.selection import choose_stream_test, choose_tests, listed_tests, locate_stack
from mlops_core.exceptions import ConfigError, DriftDetectionError
from mlops_core.roles import DriftTest, StreamTest
from mlops_core.testing.stack import GivenParts, make_stack
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack


@define
class Stream(StreamTest):
    """Never signals."""

    contract: ClassVar[int] = 1

    def start(self) -> int:
        return 0

    def update(self, state: int, value: float) -> tuple[int, bool]:
        return state + 1, False

    def dump(self, state: int) -> dict[str, Any]:
        return {}

    def load(self, arrays: Any) -> int:
        return 0


@define
class Labelled(KolmogorovSmirnov):
    """Takes pairs."""

    contract: ClassVar[int] = 1
    scope = "labelled"


class OnDemand(GivenParts):
    """Parts of a project without configuration: tests are made when they are asked for."""

    def drift_test(self, name: str) -> DriftTest | StreamTest:
        made: dict[str, type[DriftTest]] = {"ks": KolmogorovSmirnov, "psi": PopulationStability}
        if name not in made:
            raise ConfigError(f"drift.tests: no plugin {name!r}")
        return made[name]()


def test_configured_tests_without_those_of_a_stream(tmp_path: Path) -> None:
    tests = {"psi": PopulationStability(bins=5), "adwin": Stream()}
    assert choose_tests(make_stack(tmp_path, drift_tests=tests), None) == {"psi": PopulationStability(bins=5)}


def test_without_configuration_ks_and_psi(tmp_path: Path) -> None:
    stack = make_stack(tmp_path)
    stack.parts = OnDemand()
    assert list(choose_tests(stack, None)) == ["ks", "psi"]
    with pytest.raises(DriftDetectionError, match="no plugin 'kss'"):
        choose_tests(stack, ["kss"])


def test_named_tests_in_their_order(stack: Stack) -> None:
    assert list(choose_tests(stack, ["psi", "ks"])) == ["psi", "ks"]


@pytest.mark.parametrize(("name", "told"), [("adwin", "one value at a time"), ("labelled", "pairs of values and labels")])
def test_a_test_that_compares_no_two_samples_is_refused(name: str, told: str, tmp_path: Path) -> None:
    stack = make_stack(tmp_path, drift_tests={"adwin": Stream(), "labelled": Labelled()})
    with pytest.raises(DriftDetectionError, match=f"test '{name}' takes {told}, not two samples - name another"):
        choose_tests(stack, [name])


def test_names() -> None:
    assert listed_tests(None) is None
    assert listed_tests("ks") == ("ks",)
    assert listed_tests(["psi", "ks", "psi"]) == ("psi", "ks")
    for wrong in ([], [KolmogorovSmirnov()], [1], 5, object(), b"ks"):
        with pytest.raises(DriftDetectionError, match="tests: expected names"):
            listed_tests(wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_mistake_in_the_configuration_is_told_by_this_facade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlops.yaml").write_text("version: 1\nproject: p\ndrfit: {}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DriftDetectionError, match="drfit") as found:
        locate_stack(None)
    assert isinstance(found.value.__cause__, ConfigError)


def test_a_test_of_a_stream_by_name(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, drift_tests={"adwin": Stream(), "ks": KolmogorovSmirnov()})
    assert choose_stream_test(stack, "adwin") == Stream()
    with pytest.raises(DriftDetectionError, match="test 'ks' compares two samples, and takes no stream - name another test"):
        choose_stream_test(stack, "ks")
    with pytest.raises(DriftDetectionError, match="kss"):
        choose_stream_test(stack, "kss")
