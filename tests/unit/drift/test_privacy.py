"""What a stored reference may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import evolve

from mlops_core.config.settings import DriftSettings
from mlops_core.drift import DriftDetector, Reference
from mlops_core.drift.column import category_column
from mlops_core.drift.privacy import Hashing, kept_columns
from mlops_core.exceptions import DriftDetectionError
from mlops_drift_mmd import MaximumMeanDiscrepancy
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack

NAMES = ["Zoë-planted-name", "Anna-planted-name", "Bert-planted-name"]


def data(seed: int, names: list[str] = NAMES) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "who": rng.choice(names, 300).tolist(),
        "age": rng.normal(40, 9, 300),
        "pay": rng.normal(9, 1, 300),
        "late": rng.random(300) < 0.5,
    }


def configured(stack: Stack, tenant: str | None = None, **settings: Any) -> Stack:
    return evolve(stack, settings=evolve(stack.settings, drift=DriftSettings(**settings))).for_tenant(tenant)


def test_no_name_of_a_category_is_stored(stack: Stack, tmp_path: Path) -> None:
    Reference.fit(data(1), stack=stack).save(tmp_path / "reference.npz")
    stored = (tmp_path / "reference.npz").read_bytes()
    for name in NAMES:
        assert name.encode() not in stored
        assert name not in str(Reference.load(tmp_path / "reference.npz").columns)
    assert b"who" in stored  # names of columns are
    late = Reference.load(tmp_path / "reference.npz").columns[3]
    assert (late.categories, late.hashed) == (("False", "True"), False)


@pytest.mark.parametrize("keep", [["who"], ["*"], "who"])
def test_names_are_stored_where_they_may(stack: Stack, keep: Any) -> None:
    for reference in (
        Reference.fit(data(1), keep=keep, stack=stack),
        Reference.fit(data(1), stack=configured(stack, keep=tuple([keep] if isinstance(keep, str) else keep))),
    ):
        assert reference.columns[0].categories == tuple(sorted(NAMES))
        assert reference.hashing is None


@pytest.mark.parametrize("seed", [2, 3])
def test_a_check_finds_what_it_finds_with_the_names(stack: Stack, tmp_path: Path, seed: int) -> None:
    before, after = data(1), data(seed, [NAMES[0], NAMES[1], "Carl"])
    before["who"][:9] = [None] * 9
    Reference.fit(before, stack=configured(stack, hash_key="something-long")).save(tmp_path / "reference.npz")
    detector = DriftDetector(stack=configured(stack, hash_key="something-long"))
    hashed = detector.detect_data_drift(Reference.load(tmp_path / "reference.npz"), after)
    plain = detector.detect_data_drift(before, after)
    assert hashed.drifted_columns == plain.drifted_columns == ("who",)
    told = {(one.column, one.test): (one.statistic, one.effect_size) for one in hashed.outcomes}
    assert told == {(one.column, one.test): pytest.approx((one.statistic, one.effect_size)) for one in plain.outcomes}
    assert hashed.new_categories == {"who": ("Carl",)}
    ((gone,),) = hashed.missing_categories.values()
    assert gone.startswith("#")
    (shown,) = (one for one in hashed.distributions if one.column == "who")
    assert sorted(shown.labels) == sorted([NAMES[0], NAMES[1], "Carl", gone])
    named = dict(zip(shown.labels, shown.current, strict=True))
    assert named["Carl"] == pytest.approx(after["who"].count("Carl") / 300)


def test_equal_data_gives_equal_references_of_a_tenant_and_other_ones_of_others(stack: Stack) -> None:
    def names(**how: Any) -> tuple[str, ...]:
        return Reference.fit(data(1), stack=configured(stack, **how)).columns[0].categories

    assert names() == names()
    assert (
        len(
            {
                names(),
                names(hash_key="one-key"),
                names(hash_key="another-key"),
                names(tenant="umbra"),
                names(tenant="umbra", hash_key="one-key"),
            }
        )
        == 5
    )


@pytest.mark.parametrize("how", [{"hash_key": "another-key"}, {}, {"tenant": "umbra", "hash_key": "one-key"}])
def test_another_key_or_tenant_is_told_in_one_line(stack: Stack, how: dict[str, str]) -> None:
    reference = Reference.fit(data(1), stack=configured(stack, hash_key="one-key"))
    with pytest.raises(
        DriftDetectionError, match=r"its categories are hashed with another key, or for another tenant than .* set drift.hash_key"
    ):
        DriftDetector(stack=configured(stack, **how)).detect_data_drift(reference, data(2))


def test_a_key_that_cannot_be_resolved_is_told(stack: Stack) -> None:
    with pytest.raises(DriftDetectionError, match="NO_SUCH_VARIABLE"):
        Reference.fit(data(1), stack=configured(stack, hash_key="${NO_SUCH_VARIABLE}"))


def test_rows_are_stored_of_named_columns_only(stack: Stack) -> None:
    tests = {"mmd": MaximumMeanDiscrepancy(permutations=99), "psi": PopulationStability()}
    with pytest.raises(DriftDetectionError, match=r"test 'mmd' keeps rows of the reference, and drift\.keep names no"):
        Reference.fit(data(1), tests, stack=stack)
    reference = Reference.fit(data(1), tests, keep=["pay"], stack=stack)
    assert reference.table == ("pay",)
    assert reference.columns[0].hashed
    found = DriftDetector(stack=stack.replacing(drift_tests=tests)).detect_data_drift(reference, data(2))
    assert ("*", "mmd") in {(one.column, one.test) for one in found.outcomes}
    assert Reference.fit(data(1), tests, keep=["*"], stack=stack).table == ("age", "pay")


def test_direct_comparisons_store_nothing_and_need_no_permission(stack: Stack) -> None:
    tests = {"mmd": MaximumMeanDiscrepancy(permutations=99), "psi": PopulationStability()}
    found = DriftDetector(stack=stack.replacing(drift_tests=tests)).detect_data_drift(data(1), data(2, ["Carl", *NAMES[:2]]))
    assert found.missing_categories == {"who": ("Bert-planted-name",)}
    assert ("*", "mmd") in {(one.column, one.test) for one in found.outcomes}


@pytest.mark.parametrize("wrong", [5, [5], {"who": 1}])
def test_what_names_no_columns(stack: Stack, wrong: Any) -> None:
    with pytest.raises(DriftDetectionError, match="drift: keep: expected names of columns, got"):
        Reference.fit(data(1), keep=wrong, stack=stack)


def test_what_may_be_kept(stack: Stack) -> None:
    assert kept_columns(None, None) is None
    assert kept_columns([], None) == kept_columns(None, stack) == kept_columns([], stack) == frozenset()
    assert kept_columns(["a"], configured(stack, keep=("b",))) == frozenset({"a"})


def test_odd_names_are_hashed_too(stack: Stack) -> None:
    column = category_column("reference", "x", [["\ud800", "", "\0mark", "a\0b"]], 4)
    hashed = Hashing.of(stack).column(column)
    assert len(set(hashed.categories)) == 4
    assert list(hashed.categories) == sorted(hashed.categories)
    assert [hashed.categories[code] for code in hashed.data] == [Hashing.of(stack).name(column.categories[code]) for code in column.data]
    assert "_key" not in repr(Hashing.of(stack))
