from __future__ import annotations

from attrs import evolve

from mlops_core.records import ArtifactRef, Blob, Column, File, LineageLink, Schema
from mlops_core.testing.registry_samples import sample_version
from mlops_core.versioning.diff import Change, compare

A, B = Blob("a" * 64, 1), Blob("b" * 64, 1)
OLD = sample_version(
    "1.0",
    files=(File("m/w", A), File("m/same", A)),
    format="json",
    schema=Schema((Column("x", "float64", (2,), nullable=True), Column("gone", "int64")), (Column("y", "int64"),)),
    metadata={"accuracy": 0.9, "same": 1, "nothing": None},
    parents=(LineageLink("data", "tickets", "1" * 64),),
)


def test_a_version_does_not_differ_from_itself() -> None:
    found = compare(OLD, OLD)
    assert found.changes == ()
    assert str(found) == "m: 1.0 -> 1.0\n  no difference"


def test_every_part_is_compared() -> None:
    new = evolve(
        OLD,
        version="1.1",
        files=(File("m/w", B), File("m/same", A)),
        format="npy",
        schema=Schema((Column("x", "float32", (2,)),), (Column("y", "int64"),)),
        metadata={"accuracy": 0.95, "same": 1, "new": "x" * 100},
        parents=(LineageLink("data", "tickets", "2" * 64),),
        artifacts={"reference": ArtifactRef("c" * 64, 1, "npy", "reference")},
    )
    found = compare(OLD, new)
    assert found.changes == (
        Change("metadata", "accuracy", 0.9, 0.95),
        Change("metadata", "new", None, "x" * 100),
        Change("metadata", "nothing", None, None),
        Change("format", "format", "json", "npy"),
        Change("file", "m/w", "a" * 64, "b" * 64),
        Change("input", "gone", "int64", None),
        Change("input", "x", "float64[2]?", "float32[2]"),
        Change("parent", "data tickets", "1" * 64, "2" * 64),
        Change("artifact", "reference", None, "c" * 64),
    )
    assert (found["before"], found["after"]) == ("1.0", "1.1")
    assert "  metadata accuracy: 0.9 -> 0.95" in found.to_text().splitlines()
    assert "  metadata new: - -> xxxxxxxxxxxx..." in found.to_text().splitlines()


def test_a_version_without_schema_has_no_columns() -> None:
    found = compare(evolve(OLD, schema=None), OLD)
    assert [(one.part, one.name) for one in found.changes] == [("input", "gone"), ("input", "x"), ("output", "y")]
