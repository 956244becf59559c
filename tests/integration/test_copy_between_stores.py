"""A registry moves between stores of different kinds and back, whenever its copying is killed."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from botocore.retries.standard import ExponentialBackoff

from mlops_core import ModelVersioning
from mlops_core.exceptions import MLOpsError
from mlops_core.records import Query
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import full_version, put, sample_entry, sample_version
from mlops_core.testing.servers import PostgresServer, S3Server
from mlops_core.versioning import copy_registry
from mlops_core.versioning.walking import placeless
from mlops_registry_s3.registry import S3Registry
from mlops_registry_sql.choice import S3Options
from mlops_registry_sql.postgres import PostgresRegistry
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.roles import RegistryStore

    from .conftest import Call

COPY = """
import sys
from mlops_core.versioning import copy_registry
from mlops_registry_sql.sqlite import SqliteRegistry
print("ready", flush=True)
copy_registry(SqliteRegistry(sys.argv[1]), SqliteRegistry(sys.argv[2]))
"""


def fill(store: SqliteRegistry | MemoryRegistry, versions: int) -> None:
    store.add_version(full_version(put(store, b"weights" * 1000), put(store, b"reference")))
    for number in range(1, versions + 1):
        blob = put(store, hashlib.sha256(str(number).encode()).digest())
        version = sample_version(key=f"run-{number}")
        files = full_version(blob, blob).files
        made = evolve(version, version=str(number), number=number, files=files)
        store.add_next_version("acme", "m", lambda _, made=made: made)  # type: ignore[misc]  # bound now
        store.append("acme", f"runs/p/{number % 7}", number // 7 if number % 7 else number // 7 - 1, sample_entry(at=number))
        if number % 5 == 0:
            store.retire_version("acme", "m", str(number - 1), sample_entry("retired", change={"version": str(number - 1)}, at=number))
    store.add_version(sample_version(tenant="rival"))


def test_memory_to_sqlite_and_back(tmp_path: Path) -> None:
    first, last = MemoryRegistry(), MemoryRegistry()
    fill(first, 20)
    with closing(SqliteRegistry(tmp_path / "middle.db")) as middle:
        there = copy_registry(first, middle)
        back = copy_registry(middle, last)
    assert there == back == copy_registry(first, last)
    assert [(one.tenant, one.versions, one.behind) for one in there] == [("acme", 21, 0), ("rival", 1, 0)]


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_copy_goes_on(tmp_path: Path, seed: int) -> None:
    """By the system's own means, at moments that nobody chose."""
    with closing(SqliteRegistry(tmp_path / "source.db")) as source, closing(SqliteRegistry(tmp_path / "target.db")) as target:
        fill(source, 60)
        for turn in range(3):
            command = [sys.executable, "-c", COPY, str(source.path), str(target.path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == b"ready\n"
                time.sleep(0.03 + 0.05 * (seed + turn))
                child.kill()
        found = copy_registry(source, target)
        assert [(one.tenant, one.versions, one.behind) for one in found] == [("acme", 61, 0), ("rival", 1, 0)]
        assert found == copy_registry(source, source)


def test_a_model_loads_from_the_copy(tmp_path: Path) -> None:
    first = ModelVersioning(f"sqlite:///{tmp_path}/first.db")
    version = first.version_model("rules", model={"urgent": ["fire"]}, metadata={"accuracy": 0.9})
    first.set_alias("rules", "champion", version)
    with closing(SqliteRegistry(tmp_path / "second.db")) as second:
        copy_registry(first._store, second)  # noqa: SLF001  the same open file
    copied = ModelVersioning(f"sqlite:///{tmp_path}/second.db")
    assert copied.load_model("rules", "@champion") == {"urgent": ["fire"]}
    assert copied.get_version("rules") == first.get_version("rules")
    assert copied.version_model("rules", model={"urgent": []}) == "2"


def enrich(store: RegistryStore) -> None:
    """Besides what ``fill`` makes: aliases that moved, and runs whose outputs are blobs, named with their size and without."""
    for position, version in enumerate(("1", "2", "2.0.0-rc.1")):
        store.append("acme", "aliases/m/champion", position, sample_entry(key=f"move-{position}", state={"version": version}))
    output, report = put(store, b"rows of a stage"), put(store, b"a report")
    told = {"outputs": {"rows": {"sha256": output.sha256, "size": output.size}}, "report": {"sha256": report.sha256}}
    store.append("acme", "runs/daily/1", 0, sample_entry("succeeded", change=told, state={"folder": {"sha256": "f" * 64}}))
    put(store, b"nobody names it")
    rival = put(store, b"of the rival", tenant="rival")
    store.append("rival", "runs/daily/1", 0, sample_entry("succeeded", change={"output": {"sha256": rival.sha256, "size": rival.size}}))


def read_all(store: RegistryStore) -> dict[str, Any]:
    """Everything that a reader can ask for, by plain calls."""
    found: dict[str, Any] = {"tenants": store.tenants().items}
    for tenant in found["tenants"]:
        versions = store.find_versions(tenant, Query(limit=500), retired=True).items
        heads = store.journals(tenant, "").items
        blobs = {blob.sha256: blob for one in versions for blob in one.blobs()}
        contents = {}
        for sha256, blob in blobs.items():
            with closing(store.open_artifact(tenant, evolve(blob, location=""))) as stream:
                contents[sha256] = stream.read()
        found[tenant] = {
            "versions": [placeless(one) for one in versions],
            "living": [one.version for one in store.find_versions(tenant, Query(limit=500)).items],
            "models": store.models(tenant).items,
            "journals": {head.name: store.read(tenant, head.name) for head in heads},
            "bytes": contents,
        }
    return found


@pytest.fixture
def places(postgres: PostgresServer, bucket_server: S3Server, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The ``registry`` of a configuration, by what it stands on."""
    key = {"access_key": bucket_server.access_key, "secret_key": bucket_server.secret_key}
    reach = {"endpoint_url": bucket_server.url, "region": bucket_server.region, **key}
    bucket = bucket_server.bucket()
    sqlite = {name: {"use": "sqlite", "path": str(tmp_path / f"{name}.db")} for name in ("sqlite", "sqlite again", "sqlite at last")}
    return {
        **sqlite,
        "postgres": {"use": "postgres", "url": postgres.database(), "artifacts": str(tmp_path / "artifacts")},
        "s3": {"use": "s3", "bucket": bucket, "prefix": "registry", **reach},
        "postgres and s3": {"use": "postgres", "url": postgres.database(), "artifacts": f"s3://{bucket}/blobs", "s3": reach},
        "s3 again": {"use": "s3", "bucket": bucket, "prefix": "again", **reach},
    }


def opened(place: dict[str, Any]) -> RegistryStore:
    options = {name: value for name, value in place.items() if name != "use"}
    if place["use"] == "sqlite":
        return SqliteRegistry(**options)
    if place["use"] == "s3":
        return S3Registry(**options)
    return PostgresRegistry(**{**options, "s3": S3Options(**options.get("s3", {}))})


@pytest.mark.parametrize(
    "route",
    [
        ("sqlite", "postgres", "sqlite again"),
        ("sqlite", "s3", "postgres and s3", "s3 again", "sqlite at last"),
    ],
    ids=" - ".join,
)
def test_real_stores_hand_a_registry_on(mlops: Call, places: dict[str, dict[str, Any]], tmp_path: Path, route: tuple[str, ...]) -> None:
    """From one to the next and back to where it began; at first by the command line."""
    with closing(opened(places[route[0]])) as first:
        assert isinstance(first, SqliteRegistry)
        fill(first, 12)
        enrich(first)
        expected = read_all(first)
    for name in route[:2]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mlops.yaml").write_text(
            json.dumps({"version": 1, "project": "moving", "tracker": [], "registry": places[name]})
        )
    first_hop, *hops = itertools.pairwise(route)
    copied = mlops(
        "registry", "copy", "--json", "--from", str(tmp_path / first_hop[0]), "--to", str(tmp_path / first_hop[1]), folder=tmp_path
    )
    assert (copied.code, copied.err) == (0, ""), copied
    told = [copied.json]
    for source, target in hops:
        with closing(opened(places[source])) as old, closing(opened(places[target])) as new:
            assert read_all(old) == expected
            told.append([one.to_dict() for one in copy_registry(old, new)])
            assert read_all(new) == expected
    assert all(one == told[0] for one in told)
    assert [(one["tenant"], one["versions"], one["behind"]) for one in told[0]] == [("acme", 13, 0), ("rival", 1, 0)]
    with closing(opened(places[route[-1]])) as last:
        made = last.add_next_version("acme", "m", lambda number: sample_version(str(number), key="after", number=number), key="after")
        assert made.number == 13


def killed_half_way(source: RegistryStore, server: PostgresServer | S3Server, target: RegistryStore) -> None:
    """Its server dies while it is copied to; then the copy goes on, and is one."""
    for death in (4, 12) if isinstance(server, PostgresServer) else (8,):  # the other takes long to start again
        heard: list[str] = []

        def said(what: str, heard: list[str] = heard, death: int = death) -> None:
            heard.append(what)
            if len(heard) == death:
                server.kill()

        with pytest.raises(MLOpsError) as lost:
            copy_registry(source, target, said=said)
        assert "\n" not in lost.value.message
        assert len(heard) == death
        server.start()
    assert copy_registry(source, target) == copy_registry(source, source)
    assert read_all(target) == read_all(source)


def to_postgres(server: PostgresServer | S3Server, folder: Path) -> RegistryStore:
    assert isinstance(server, PostgresServer)
    return PostgresRegistry(server.database(), folder / "artifacts")


def to_s3(server: PostgresServer | S3Server, folder: Path) -> RegistryStore:
    assert isinstance(server, S3Server)
    keys: dict[str, Any] = {"access_key": server.access_key, "secret_key": server.secret_key}
    return S3Registry(server.bucket(), uuid.uuid4().hex, server.url, server.region, **keys)


@pytest.mark.parametrize(("make", "open_on"), [(PostgresServer, to_postgres), pytest.param(S3Server, to_s3, marks=pytest.mark.long)])
def test_a_copy_goes_on_after_its_server_was_killed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], PostgresServer | S3Server],
    open_on: Callable[[PostgresServer | S3Server, Path], RegistryStore],
) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    with closing(SqliteRegistry(tmp_path / "source.db")) as source, make() as server:
        fill(source, 12)
        enrich(source)
        with closing(open_on(server, tmp_path)) as target:
            killed_half_way(source, server, target)
