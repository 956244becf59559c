"""A reference in a file: the same after reading, never code, never half of it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.drift import DriftDetector, Reference
from mlops_core.exceptions import DriftDetectionError
from mlops_core.testing.hostile import hostile_pickles

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack

RNG = np.random.default_rng(3)
BEFORE = {"delay": [*RNG.normal(size=300).tolist(), None], "carrier": [*RNG.choice(["AA", "ÜA", "é/../x"], 300).tolist(), None]}
AFTER = {"delay": RNG.normal(0.3, size=200), "carrier": RNG.choice(["AA", "new"], 200)}


@pytest.fixture
def saved(stack: Stack, tmp_path: Path) -> Path:
    path = tmp_path / "reference.npz"
    Reference.fit(BEFORE, keep=["*"], stack=stack).save(path)
    return path


def rewrite(path: Path, **changes: Any) -> None:
    """Change the manifest."""
    with np.load(path) as archive:
        arrays = dict(archive)
    manifest = {**json.loads(arrays.pop("manifest").tobytes()), **changes}
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, manifest=np.frombuffer(json.dumps(manifest).encode(), np.uint8), **arrays)


def test_it_comes_back_as_it_went(saved: Path, stack: Stack) -> None:
    fitted, loaded = Reference.fit(BEFORE, keep=["*"], stack=stack), Reference.load(saved)
    assert (loaded.columns, loaded.rows, loaded.named, loaded.tests, loaded.table) == (
        fitted.columns,
        fitted.rows,
        fitted.named,
        fitted.tests,
        fitted.table,
    )
    assert loaded.prepared.keys() == fitted.prepared.keys()
    for key, arrays in fitted.prepared.items():
        assert {name: array.tolist() for name, array in arrays.items()} == {name: a.tolist() for name, a in loaded.prepared[key].items()}


def test_a_check_against_it_is_the_check_against_the_data(saved: Path, detector: DriftDetector) -> None:
    assert detector.detect_data_drift(Reference.load(saved), AFTER) == detector.detect_data_drift(BEFORE, AFTER)


def test_equal_references_are_equal_files(saved: Path, stack: Stack, tmp_path: Path) -> None:
    Reference.fit(BEFORE, keep=["*"], stack=stack).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()


def test_an_existing_file_is_replaced_and_nothing_else_is_left(saved: Path, stack: Stack) -> None:
    Reference.fit({"a": [1, 2]}, stack=stack).save(saved)
    assert [column.name for column in Reference.load(saved).columns] == ["a"]
    assert [path.name for path in saved.parent.iterdir() if path.is_file()] == ["reference.npz"]


def test_a_newer_version_is_refused(saved: Path) -> None:
    rewrite(saved, version=3)
    with pytest.raises(DriftDetectionError, match=r"reference\.npz: it is of version 3, written by a newer release; .* - upgrade"):
        Reference.load(saved)


@pytest.mark.parametrize("changes", [{"kind": "something"}, {"rows": None}, {"columns": [{"nme": "a"}]}, {"prepared": [{"test": "ks"}]}])
def test_a_manifest_that_is_not_one(saved: Path, changes: dict[str, Any]) -> None:
    rewrite(saved, **changes)
    with pytest.raises(DriftDetectionError, match=r"^drift: reference reference\.npz: .* - give a file that Reference\.save wrote$"):
        Reference.load(saved)


def test_damage_is_one_line(saved: Path) -> None:
    whole = saved.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:-30], b"x" * 100, whole[:200] + bytes(100) + whole[300:]):
        saved.write_bytes(damaged)
        with pytest.raises(DriftDetectionError, match="cannot be read") as found:
            Reference.load(saved)
        assert "\n" not in found.value.message


def test_nothing_in_it_runs(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "hostile.npz"
    for content in hostile_pickles(marker).values():
        path.write_bytes(content)
        with pytest.raises(DriftDetectionError):
            Reference.load(path)
    objects = io.BytesIO()
    np.savez(objects, manifest=np.array([{"kind": "mlops drift reference"}], dtype=object))
    path.write_bytes(objects.getvalue())
    with pytest.raises(DriftDetectionError, match="Object arrays cannot be loaded"):
        Reference.load(path)
    assert not marker.exists()


def test_a_place_that_cannot_be_written(saved: Path, stack: Stack) -> None:
    with pytest.raises(DriftDetectionError, match=r"reference r\.npz: cannot be written: "):
        Reference.load(saved).save(saved / "r.npz")
    with pytest.raises(DriftDetectionError, match=r"reference gone\.npz: cannot be read: FileNotFoundError"):
        Reference.load(saved.with_name("gone.npz"))


def test_arrays_of_objects_are_refused(saved: Path) -> None:
    loaded = Reference.load(saved)
    odd = Reference(loaded.rows, loaded.named, loaded.columns, loaded.tests, {("odd", "delay"): {"state": np.array([{}])}})
    with pytest.raises(DriftDetectionError, match=r"reference reference\.npz: cannot be written: Object arrays cannot be saved"):
        odd.save(saved)
    assert Reference.load(saved).tests == ("ks", "psi")


def test_what_is_no_path_is_one_line(stack: Stack) -> None:
    with pytest.raises(DriftDetectionError, match="drift: reference: 5 is no path - give one"):
        Reference.load(5)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(DriftDetectionError, match="drift: reference: 5 is no path - give one"):
        Reference.fit([1.0, 2.0], ["ks"], stack=stack).save(5)  # type: ignore[arg-type]  # wrong on purpose
