"""A registering process is killed around its requests: nothing acknowledged is lost, nothing half is visible, a retry completes."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import uuid
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from attrs import define

from mlops_core.records import Blob, Query
from mlops_core.testing.servers import S3Server
from mlops_registry_s3.registry import S3Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITER = Path(__file__).with_name("s3_writer.py")


@define(eq=False)
class Writer:
    """The process that starts the processes that die, and the store that they write to."""

    stdin: IO[str]
    stdout: IO[str]
    place: dict[str, Any]

    def fresh(self) -> dict[str, Any]:
        """Options of an empty store."""
        return {**self.place, "prefix": uuid.uuid4().hex}

    def run(self, options: dict[str, Any], acknowledged: Path, **dies: Any) -> dict[str, int]:
        """How the writer ended."""
        self.stdin.write(json.dumps({"options": options, "acknowledged": str(acknowledged), **dies}) + "\n")
        self.stdin.flush()
        answer: dict[str, int] = json.loads(self.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    with (
        S3Server() as server,
        subprocess.Popen([sys.executable, str(WRITER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        keys = {"access_key": server.access_key, "secret_key": server.secret_key}
        yield Writer(
            process.stdin, process.stdout, {"bucket": server.bucket(), "endpoint_url": server.url, "region": server.region, **keys}
        )
        process.stdin.close()


def check_promises(options: dict[str, Any], acknowledged: Path) -> None:
    """Open the registry as the next process does, and compare with what was acknowledged."""
    with closing(S3Registry(**options)) as store:
        there = {one.version: one for one in store.find_versions("acme", Query(), retired=True).items}
        assert [one.number for one in there.values()] == list(range(1, len(there) + 1))
        for version in there.values():
            assert store.get_version("acme", "m", version.version) == version
            assert all(digest(store, blob) == blob.sha256 for blob in version.blobs())
        entries = store.read("acme", "aliases/m/champion")
        assert [(one.state or {})["moves"] for one in entries] == [one.position for one in entries] == list(range(1, len(entries) + 1))
        tombstones = [entry.change["version"] for entry in store.read("acme", "versions/m")]
        unnamed = {one.location.split("/")[1] for one in store.leftovers(timedelta(0)) if one.kind == "blob"}
        named = {blob.sha256 for version in there.values() for blob in version.blobs()}
        for what in map(json.loads, acknowledged.read_text().splitlines() if acknowledged.exists() else ()):
            if "version" in what:
                assert there[what["version"]].key == what["key"]
            elif "alias" in what:
                assert entries[what["position"] - 1].key == what["alias"]
            elif "retired" in what:
                assert there[what["retired"]].retired
                assert tombstones == [what["retired"]]
            else:
                assert what["blob"] in unnamed | named
        assert not unnamed & named


def sweep(options: dict[str, Any]) -> None:
    """All writers are dead: nothing is to be waited for."""
    with closing(S3Registry(**options, settle=-1e9)) as store:
        for _ in range(2):
            for leftover in list(store.leftovers(timedelta(0))):
                store.discard(leftover)
        assert list(store.leftovers(timedelta(0))) == []


def digest(store: S3Registry, blob: Blob) -> str:
    with closing(store.open_artifact("acme", blob)) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_a_request(writer: Writer, tmp_path: Path, fault_rounds: int, when: str) -> None:
    options, log = writer.fresh(), tmp_path / "alone"
    assert writer.run(options, log) == {"signal": 0, "code": 0}
    passed = int(log.with_name("alone.passed").read_text())
    assert passed > 30
    step = max(1, passed // fault_rounds)
    for nth in range(1 if when == "before" else 2, passed + 1, step):
        options, log = writer.fresh(), tmp_path / f"{nth}"
        assert writer.run(options, log, when=when, nth=nth)["signal"] == signal.SIGKILL
        check_promises(options, log)
        if nth % 2:  # the retry may come before or after the sweep
            sweep(options)
        assert writer.run(options, log) == {"signal": 0, "code": 0}
        sweep(options)
        check_promises(options, log)
        with closing(S3Registry(**options)) as store:
            found = store.find_versions("acme", Query(), retired=True).items
            assert [(one.number, one.retired) for one in found] == [(1, True), (2, False)]
            assert len(store.read("acme", "aliases/m/champion")) == 2
            assert len(store.read("acme", "versions/m")) == 1
