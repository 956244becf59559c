from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import VersioningError
from mlops_core.records import ArtifactRef, Blob, Column, File, LineageLink, Schema, canonical_json
from mlops_core.versioning.content import Content, check_metadata, check_source, check_version

BLOB = Blob("a" * 64, 3, "here")
REF = ArtifactRef("b" * 64, 4, "npy", "reference", (File("r.npy", Blob("b" * 64, 4)),))
CONTENT = Content("acme", "m", (File("a", BLOB), File("b", BLOB)), "json", metadata={"accuracy": 0.9})
AT = datetime(2024, 1, 1, tzinfo=UTC)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "rival"},
        {"model": "n"},
        {"files": (File("a", BLOB),)},
        {"files": (File("a", BLOB), File("c", BLOB))},
        {"format": "npy"},
        {"schema": Schema((Column("x", "int64"),))},
        {"metadata": {"accuracy": 0.91}},
        {"parents": (LineageLink("data", "tickets"),)},
        {"artifacts": {"reference": REF}},
    ],
)
def test_whatever_is_different_gives_another_digest(change: dict[str, Any]) -> None:
    assert evolve(CONTENT, **change).digest("1.0") != CONTENT.digest("1.0")


def test_the_name_counts_and_where_bytes_lie_does_not() -> None:
    elsewhere = evolve(CONTENT, files=(File("b", evolve(BLOB, location="there")), File("a", BLOB)))
    assert elsewhere.digest("1.0") == CONTENT.digest("1.0")
    assert CONTENT.digest("1.1") != CONTENT.digest("1.0")


def test_provenance_and_run_are_kept_beside_the_content() -> None:
    code = LineageLink("code", "git abc", "abc")
    version = CONTENT.version("1.0", AT, number=None, key=None, run_id="r1", provenance=(code,))
    assert (version.parents, version.run_id, version.created) == ((code,), "r1", AT)
    assert version.digest == version.key == CONTENT.digest("1.0")
    assert CONTENT.version("1.0", AT, number=None, key="k", run_id=None, provenance=()).key == "k"


@given(st.dictionaries(st.text("abc", min_size=1), JSON, max_size=4))
def test_any_json_is_kept_as_it_is(metadata: dict[str, Any]) -> None:
    assert canonical_json(check_metadata(metadata)) == canonical_json(metadata)


def test_no_metadata_is_none() -> None:
    assert check_metadata(None) == {}


@pytest.mark.parametrize("version", ["1.0.0", "v1", "2024-01-15", "1a", "0x10"])
def test_names_that_are_no_number_are_versions(version: str) -> None:
    assert check_version(version) == version


def test_a_path_that_only_looks_like_a_system_folder_is_fine(tmp_path: Any) -> None:
    (tmp_path / "etc").mkdir()
    assert check_source(tmp_path / "etc") == tmp_path / "etc"


def test_a_url_in_place_of_a_path_is_shown_without_its_password() -> None:
    with pytest.raises(VersioningError, match=r"'https://me:\*\*\*@host/m\?token=\*\*\*' is a URL"):
        check_source("https://me:secret@host/m?token=" + "x" * 100)
