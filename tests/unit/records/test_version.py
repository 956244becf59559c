"""Model versions as records."""

from __future__ import annotations

from datetime import UTC, datetime

from mlops_core.records import ArtifactRef, Blob, Column, File, LineageLink, ModelVersion, Schema

AT = datetime(2024, 5, 1, tzinfo=UTC)
BLOB = Blob("a" * 64, 3)
VERSION = ModelVersion(
    tenant="acme",
    model="m",
    version="1",
    key="k",
    digest="d",
    files=(File("model", BLOB),),
    created=AT,
    number=1,
    schema=Schema((Column("x", "float64"),)),
    metadata={"accuracy": 0.9},
    parents=(LineageLink("data", "flights", "e" * 64),),
    artifacts={"reference": ArtifactRef("b" * 64, 4, "npy", "reference", (File("reference", Blob("b" * 64, 4)),))},
)


def test_it_survives_json() -> None:
    assert ModelVersion.from_dict(VERSION.to_dict()) == VERSION


def test_a_query_sees_attributes_and_metadata() -> None:
    fields = VERSION.fields()
    assert (fields["version"], fields["metadata.accuracy"], fields["number"]) == ("1", 0.9, 1)


def test_its_blobs_are_those_of_files_and_artifacts() -> None:
    assert {blob.sha256 for blob in VERSION.blobs()} == {"a" * 64, "b" * 64}
