"""Model versions as records."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from attrs import evolve

from mlops_core.records import ArtifactRef, Blob, Column, File, LineageLink, ModelVersion, Schema, Signature

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


def test_a_version_that_an_earlier_release_stored_has_no_signature() -> None:
    stored = VERSION.to_dict()
    del stored["signature"]
    assert ModelVersion.from_dict(stored) == VERSION
    signed = evolve(VERSION, signature=Signature("ed25519", "0123", "c2lnbmVk"))
    assert ModelVersion.from_dict(signed.to_dict()) == signed


def test_the_manifest_is_the_same_for_ever() -> None:
    """What was signed once must stay verifiable: a change of this digest breaks every signature there is."""
    assert hashlib.sha256(VERSION.manifest()).hexdigest() == "b76a08a0cb87f09768fb0d9789cb4c3acf20bb2ac8241b2799974ea6e79db253"
    assert VERSION.manifest() == ModelVersion.from_dict(VERSION.to_dict()).manifest()
    assert evolve(VERSION, retired=True, signature=Signature("a", "b", "c")).manifest() == VERSION.manifest()
    placed = evolve(VERSION, files=(File("model", evolve(BLOB, location="elsewhere")),))
    assert placed.manifest() == VERSION.manifest()
