"""Records that the registry suites write."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.records import ArtifactRef, Blob, Column, File, LineageLink, ModelVersion, NewEntry, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.roles import RegistryStore

__all__ = ["AT", "full_version", "put", "sample_entry", "sample_version"]

AT: Final = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)


def put(store: RegistryStore, data: bytes, tenant: str = "acme") -> Blob:
    """Store bytes as an artifact."""
    return store.put_artifact(tenant, io.BytesIO(data), size=len(data), sha256=hashlib.sha256(data).hexdigest())


def sample_version(version: str = "1.0.0", *, model: str = "m", tenant: str = "acme", key: str | None = None, **more: Any) -> ModelVersion:
    """A version without files; its key is its name unless one is given."""
    digest = hashlib.sha256(f"{tenant}/{model}/{version}".encode()).hexdigest()
    given: dict[str, Any] = {"files": (), "created": AT, **more}
    return ModelVersion(tenant, model, version, key or f"key {version}", digest, **given)


def full_version(blob: Blob, reference: Blob) -> ModelVersion:
    """A version with something in every field, and text of several scripts."""
    artifact = ArtifactRef(reference.sha256, reference.size, "npy", "reference", (File("reference.npy", reference),))
    metadata = {
        "accuracy": 0.95,
        "exact": 2**60,
        "trained": True,
        "note": "zażółć gęślą jaźń 模型 🚂 \u200f \x00 'quoted' \"twice\" \\ \n",
        "nested": {"β": [1, 2.5, None, {"x": "y"}]},
        "nothing": None,
    }
    return sample_version(
        "2.0.0-rc.1",
        files=(File("model/weights.bin", blob), File("model/café.json", blob)),
        format="skops",
        schema=Schema((Column("x", "float64", (3,)), Column("名前", "str", (), nullable=True)), (Column("y", "int64"),)),
        metadata=metadata,
        parents=(LineageLink("model", "m:1.0.0", "0" * 64), LineageLink("data", "flights 2013", "1" * 64), LineageLink("code", "git abc")),
        artifacts={"reference": artifact},
        run_id="run-7",
    )


def sample_entry(kind: str = "set", *, key: str = "", change: Mapping[str, Any] | None = None, state: Any = None, at: int = 0) -> NewEntry:
    """An entry ``at`` seconds after the first."""
    return NewEntry(AT + timedelta(seconds=at), kind, key, change or {}, state)
