from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.config.settings import PipelineSettings, Settings
from mlops_core.exceptions import ConflictError, MLOpsError, VersioningError
from mlops_core.records import (
    ArtifactRef,
    Column,
    File,
    LineageLink,
    ModelVersion,
    Query,
    RunKey,
    RunStart,
    Schema,
    VersionRegistered,
)
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.testing.registry_samples import put, sample_entry
from mlops_core.testing.stack import GivenParts, make_stack
from mlops_core.versioning import ModelVersioning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlops_core.roles import RegistryStore
    from mlops_core.stack import Stack

HUGE = "x" * 1_000_000


def assert_empty(store: RegistryStore) -> None:
    assert store.tenants().items == ()
    assert list(store.leftovers(timedelta(0))) == []


def events(stack: Stack) -> list[VersionRegistered]:
    assert isinstance(stack.parts, GivenParts)
    return [event for event in stack.parts.events if isinstance(event, VersionRegistered)]


class Raced(MemoryRegistry):
    """Something happens just before the next version is added."""

    first: Callable[[], object] | None = None

    def add_version(self, version: ModelVersion) -> ModelVersion:
        happens, self.first = self.first, None
        if happens is not None:
            happens()
        return super().add_version(version)


class TestRegistration:
    def test_the_specifications_example(self, versioning: ModelVersioning, model_file: Path) -> None:
        version_id = versioning.version_model(
            model_id="ticket_classifier",
            version="1.0.0",
            model_path=str(model_file),
            metadata={"training_date": "2024-01-15", "dataset_version": "v2.1", "accuracy": 0.95},
        )
        stored = versioning.get_version("ticket_classifier", version_id)
        assert version_id == "1.0.0"
        assert stored.metadata == {"training_date": "2024-01-15", "dataset_version": "v2.1", "accuracy": 0.95}
        assert (stored.format, [file.path for file in stored.files]) == ("json", ["model.json"])
        assert "dataset_version = v2.1" in str(versioning.get_lineage("ticket_classifier", version="1.0.0"))

    def test_everything_that_is_given_is_kept(
        self, versioning: ModelVersioning, stack: Stack, model_file: Path, store: MemoryRegistry
    ) -> None:
        blob = put(store, b"drift")
        reference = ArtifactRef(blob.sha256, blob.size, "npy", "reference", (File("reference.npy", blob),))
        schema = Schema((Column("x", "float64", (2,)),), (Column("y", "int64"),))
        store.append("acme", "runs/p/run-7", 0, sample_entry())
        versioning.version_model(
            "m",
            "1.0",
            model_file,
            schema=schema,
            parents=[LineageLink("data", "tickets", "d" * 64)],
            artifacts={"reference": reference, "plot": model_file},
            run_id="run-7",
            key="run-7/training",
            format="npy",
        )
        stored = versioning.get_version("m", "1.0")
        assert (stored.schema, stored.run_id, stored.key, stored.format) == (schema, "run-7", "run-7/training", "npy")
        assert stored.artifacts["reference"] == reference
        assert stored.artifacts["plot"].format == "json"
        assert stored.parents[0] == LineageLink("data", "tickets", "d" * 64)
        assert stored.created == stack.clock.now()
        versioning.version_model("m", "1.1", schema=schema.to_dict())
        assert versioning.get_version("m", "1.1").schema == schema

    def test_a_folder_and_an_object_can_be_versioned(self, versioning: ModelVersioning, tmp_path: Path) -> None:
        folder = tmp_path / "bundle"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "weights.bin").write_bytes(b"1")
        (folder / "card.md").write_text("a model")
        versioning.version_model("m", "folder", folder)
        assert [file.path for file in versioning.get_version("m", "folder").files] == ["bundle/card.md", "bundle/deep/weights.bin"]
        versioning.version_model("m", "object", model=np.arange(3))
        assert versioning.get_version("m", "object").format == "npy"
        assert list(versioning.load_model("m", "object")) == [0, 1, 2]

    def test_values_of_metadata_become_plain(self, versioning: ModelVersioning) -> None:
        at = datetime(2024, 1, 15, tzinfo=UTC)
        given = {"day": date(2024, 1, 15), "at": at, "f": np.float32(0.5), "n": np.int64(3), "ok": np.bool_(1), "list": (1, {"a": None})}
        versioning.version_model("m", "1.0", metadata=given)
        expected = {"day": "2024-01-15", "at": at.isoformat(), "f": 0.5, "n": 3, "ok": True, "list": [1, {"a": None}]}
        assert versioning.get_version("m", "1.0").metadata == expected

    def test_automatic_numbers_count_for_each_model(self, register: Callable[..., str], versioning: ModelVersioning) -> None:
        assert [register(), register("1.5"), register(), register(model="other"), register()] == ["1", "1.5", "2", "1", "3"]
        versioning.delete_version("m", "3")
        assert register() == "4"
        assert [one.version for one in versioning.list_versions("m")] == ["1", "1.5", "2", "4"]

    def test_the_same_content_again_is_the_same_version(self, versioning: ModelVersioning, stack: Stack, model_file: Path) -> None:
        first = versioning.version_model("m", "1.0", model_file, {"accuracy": 0.9})
        assert versioning.version_model("m", "1.0", model_file, {"accuracy": 0.9}) == first
        assert len(events(stack)) == 1

    @pytest.mark.parametrize("change", ["metadata", "file", "format"])
    def test_another_content_under_a_taken_version_is_an_error(self, versioning: ModelVersioning, model_file: Path, change: str) -> None:
        versioning.version_model("m", "1.0", model_file, {"accuracy": 0.9})
        if change == "file":
            model_file.write_text('{"weights": [3]}')
        with pytest.raises(VersioningError, match=r"version 1\.0 is taken by another content"):
            versioning.version_model(
                "m", "1.0", model_file, {"accuracy": 0.8 if change == "metadata" else 0.9}, format="npy" if change == "format" else None
            )
        assert versioning.get_version("m", "1.0").metadata == {"accuracy": 0.9}
        assert list(versioning.sweep(timedelta(0))) == []

    def test_a_repeated_request_answers_the_first_ones_version(self, versioning: ModelVersioning, stack: Stack) -> None:
        first = versioning.version_model("m", model=[1], key="run-7/training")
        assert versioning.version_model("m", model=[1.0000001], key="run-7/training") == first
        named = versioning.version_model("m", "1.0", model=[1], key="run-8/training")
        assert versioning.version_model("m", "1.0", model=[2], key="run-8/training") == named
        assert len(events(stack)) == 2
        with pytest.raises(VersioningError, match=r"key 'run-8/training' registered version 1\.0 before"):
            versioning.version_model("m", "2.0", model=[1], key="run-8/training")

    def test_without_a_key_each_automatic_call_is_a_new_version(self, versioning: ModelVersioning, model_file: Path) -> None:
        assert [versioning.version_model("m", model_path=model_file) for _ in range(3)] == ["1", "2", "3"]

    def test_a_deleted_version_stays_taken(self, versioning: ModelVersioning, model_file: Path) -> None:
        versioning.version_model("m", "1.0", model_file, key="k")
        versioning.delete_version("m", "1.0", reason="wrong data")
        for key in (None, "k", "other"):
            with pytest.raises(VersioningError, match="was deleted"):
                versioning.version_model("m", "1.0", model_file, key=key)

    def test_a_version_is_announced_once_it_is_there(self, versioning: ModelVersioning, stack: Stack, model_file: Path) -> None:
        versioning.version_model("m", "1.0", model_file)
        (event,) = events(stack)
        assert event.version == versioning.get_version("m", "1.0")
        assert event.tenant == "acme"

    def test_a_writer_that_comes_between_is_answered_or_refused(self, tmp_path: Path) -> None:
        """Two processes register the same version: with equal content both succeed, with another one the second is told."""
        store = Raced()
        versioning = ModelVersioning(stack=make_stack(tmp_path, registry=store))
        store.first = lambda: versioning.version_model("m", "1.0", metadata={"accuracy": 1})
        assert versioning.version_model("m", "1.0", metadata={"accuracy": 1}) == "1.0"
        store.first = lambda: versioning.version_model("m", "2.0", metadata={"accuracy": 2})
        with pytest.raises(VersioningError, match=r"2\.0 is taken by another content"):
            versioning.version_model("m", "2.0", metadata={"accuracy": 1})
        assert versioning.get_version("m", "2.0").metadata == {"accuracy": 2}

    def test_a_backends_exception_is_wrapped(self, tmp_path: Path) -> None:
        store = Raced()
        versioning = ModelVersioning(stack=make_stack(tmp_path, registry=store))

        def fail() -> None:
            raise RuntimeError("the driver broke\nin many lines")

        store.first = fail
        with pytest.raises(VersioningError, match="RuntimeError: the driver broke in many lines") as caught:
            versioning.version_model("m", "1.0")
        assert isinstance(caught.value.__cause__, RuntimeError)

    def test_a_conflict_without_a_version_stays_a_conflict(self, tmp_path: Path) -> None:
        store = Raced()
        versioning = ModelVersioning(stack=make_stack(tmp_path, registry=store))

        def fail() -> None:
            raise ConflictError("the store is confused")

        store.first = fail
        with pytest.raises(VersioningError, match="the store is confused"):
            versioning.version_model("m", "1.0")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "climbing model": ({"model_id": "../../etc"}, "is not a name"),
    "model with NUL": ({"model_id": "m\0"}, "is not a name"),
    "model with newline": ({"model_id": "m\n"}, "is not a name"),
    "huge model": ({"model_id": HUGE}, "1000000 characters"),
    "model of another type": ({"model_id": 7}, "expected text, got int"),
    "empty model": ({"model_id": ""}, "is not a name"),
    "empty version": ({"version": ""}, "is not a name"),
    "version of digits": ({"version": "12"}, "automatic numbers"),
    "version with a slash": ({"version": "1/0"}, "is not a name"),
    "huge version": ({"version": HUGE}, "1000000 characters"),
    "version of another type": ({"version": 1.0}, "expected text, got float"),
    "look-alike": ({"model_id": "ti\u0441ket"}, "(it has cyrillic small letter es, U+0441)"),
    "version that climbs": ({"version": "../../etc"}, "is not a name"),
    "version with NUL": ({"version": "1.0\0"}, "is not a name"),
    "version with newline": ({"version": "1.0\n"}, "is not a name"),
    "version look-alike": ({"version": "1.\u0430"}, "(it has cyrillic small letter a, U+0430)"),
    "run that climbs": ({"run_id": "../../etc"}, "is not a name"),
    "run with newline": ({"run_id": "r\n"}, "is not a name"),
    "huge run": ({"run_id": HUGE}, "1000000 characters"),
    "path of a file": ({"model_path": "file:///etc/passwd"}, "is a URL"),
    "url with a password": ({"model_path": "https://me:secret@example.org/m"}, "is a URL"),
    "huge url": ({"model_path": "https://example.org/" + HUGE}, "is a URL"),
    "path of codes": ({"model_path": "\U000e0001" * 200}, "cannot be read"),
    "key of codes": ({"key": "\U000e0001" * 300}, "is no request key"),
    "metadata key of codes": ({"metadata": {"\U000e0001" * 100: 1}}, "is no key"),
    "missing path with newline": ({"model_path": "no\nwhere.json"}, "No such file"),
    "system folder by dots": ({"model_path": "/usr/../etc"}, "belongs to the system"),
    "link to a system folder": ({"model_path": "to-etc"}, "belongs to the system"),
    "missing path": ({"model_path": "nowhere.json"}, "No such file"),
    "system folder": ({"model_path": "/etc"}, "belongs to the system"),
    "system file": ({"model_path": "/etc/passwd"}, "belongs to the system"),
    "root": ({"model_path": "/"}, "belongs to the system"),
    "device": ({"model_path": "/dev/null"}, "belongs to the system"),
    "url": ({"model_path": "https://example.org/model.json"}, "is a URL"),
    "bucket": ({"model_path": "s3://bucket/model"}, "is a URL"),
    "empty path": ({"model_path": ""}, "is no path"),
    "path with NUL": ({"model_path": "a\0b"}, "is no path"),
    "huge path": ({"model_path": HUGE}, "1000000 characters"),
    "path of another type": ({"model_path": 3}, "expected a path, got int"),
    "path of bytes": ({"model_path": b"model.json"}, "expected a path, got bytes"),
    "link": ({"model_path": "link.json"}, "symbolic link"),
    "folder with a link out of it": ({"model_path": "linked"}, "symbolic link"),
    "ring of links": ({"model_path": "ring"}, "cannot be read"),
    "empty folder": ({"model_path": "empty"}, "holds no file"),
    "file whose name cannot be kept": ({"model_path": "09:30.json"}, "rename it"),
    "metadata of another type": ({"metadata": [1]}, "expected a mapping, got list"),
    "metadata not a number": ({"metadata": {"a": float("nan")}}, "metadata.a: cannot be kept"),
    "metadata infinite": ({"metadata": {"a": [float("inf")]}}, "metadata.a: cannot be kept"),
    "metadata no JSON": ({"metadata": {"a": {1, 2}}}, "metadata.a: cannot be kept"),
    "metadata an array": ({"metadata": {"a": np.arange(2)}}, "metadata.a: cannot be kept"),
    "metadata half a character": ({"metadata": {"a": "\ud800"}}, "metadata.a: cannot be kept"),
    "metadata of a long name": ({"metadata": {"x" * 200: {1}}}, "cannot be kept"),
    "metadata key": ({"metadata": {1: "a"}}, "is no key"),
    "metadata key with newline": ({"metadata": {"a\n": 1}}, "is no key"),
    "metadata key empty": ({"metadata": {"": 1}}, "is no key"),
    "unknown run": ({"run_id": "run-404"}, "no run 'run-404'"),
    "run of another type": ({"run_id": 5}, "expected text"),
    "unknown parent": ({"parents": ["other:1.0"]}, "register the parent first"),
    "unknown parent of the model": ({"parents": ["0.9"]}, "register the parent first"),
    "parents a text": ({"parents": "m:1.0"}, "expected a list, got str"),
    "parent of another type": ({"parents": [3]}, "expected a LineageLink"),
    "link without text": ({"parents": [LineageLink("data", 7)]}, "parents[0]: not a LineageLink: TypeError: expected text, got 7"),  # type: ignore[arg-type]
    "link of no kind": ({"parents": [LineageLink("magic", "x")]}, "parents[0]: not a LineageLink"),  # type: ignore[arg-type]
    "link that UTF-8 cannot hold": ({"parents": [LineageLink("data", "\ud800")]}, "parents[0]: 'utf-8' codec"),
    "schema without text": ({"schema": Schema((Column(7, "int64"),))}, "schema: not a Schema: TypeError: expected text, got 7"),  # type: ignore[arg-type]
    "artifact without text": ({"artifacts": {"r": ArtifactRef("a" * 64, 1, None, "r")}}, "artifacts.r: not a ArtifactRef: "),  # type: ignore[arg-type]
    "parent with a bad name": ({"parents": ["../x:1"]}, "is not a name"),
    "schema of another type": ({"schema": "x: float"}, "expected a Schema, got str"),
    "schema with an unknown key": ({"schema": {"inputs": [], "colour": 1}}, "not a Schema"),
    "artifacts of another type": ({"artifacts": ["a"]}, "expected a mapping, got list"),
    "artifact with a bad name": ({"artifacts": {"a/b": "model.json"}}, "is not a name"),
    "artifact that is missing": ({"artifacts": {"a": "nowhere"}}, "No such file"),
    "key empty": ({"key": ""}, "is no request key"),
    "key with newline": ({"key": "a\nb"}, "is no request key"),
    "key huge": ({"key": HUGE}, "is no request key"),
    "format with a bad name": ({"model_path": "model.json", "format": "a b"}, "is not a name"),
    "two sources": ({"model_path": "model.json", "model": [1]}, "not both"),
    "an object that no format holds": ({"model": object()}, "none of the formats"),
}


ODD_NAMES: dict[str, Any] = {
    "climbs": "../../etc",
    "NUL": "m\0",
    "newline": "m\n",
    "huge": HUGE,
    "look-alike": "\u0430",
    "empty": "",
    "line separator": "m\u2028",
    "half a character": "m\ud800",
    "right to left": "m\u202e",
    "bytes": b"m",
}
CALLS: dict[str, tuple[Callable[..., object], tuple[str, ...]]] = {
    "get": (ModelVersioning.get_version, ("m", "1.0")),
    "list": (ModelVersioning.list_versions, ("m",)),
    "find": (lambda facade, model: facade.find("", model_id=model), ("m",)),
    "delete": (ModelVersioning.delete_version, ("m", "1.0")),
    "lineage": (ModelVersioning.get_lineage, ("m", "1.0")),
    "diff": (ModelVersioning.diff, ("m", "1.0", "1.0")),
    "set alias": (ModelVersioning.set_alias, ("m", "champion", "1.0")),
    "get alias": (ModelVersioning.get_alias, ("m", "champion")),
    "alias history": (ModelVersioning.alias_history, ("m", "champion")),
    "delete alias": (ModelVersioning.delete_alias, ("m", "champion")),
    "list aliases": (ModelVersioning.list_aliases, ("m",)),
    "load": (ModelVersioning.load_model, ("m", "1.0")),
    "download": (lambda facade, model, version: facade.download(model, version, "downloads"), ("m", "1.0")),
}


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_it_is_one_line_and_nothing_is_written(
        self, versioning: ModelVersioning, store: MemoryRegistry, stack: Stack, model_file: Path, name: str
    ) -> None:
        Path("link.json").symlink_to(model_file)
        Path("linked").mkdir()
        Path("linked", "secret").symlink_to("/etc/hostname")
        Path("ring").symlink_to("ring")
        Path("empty").mkdir()
        Path("to-etc").symlink_to("/etc")
        Path("09:30.json").write_text("{}")
        bad, message = BAD[name]
        with pytest.raises(VersioningError) as caught:
            versioning.version_model(**{"model_id": "m", "version": None, **bad})
        assert message in caught.value.message
        assert "\n" not in caught.value.message
        assert len(caught.value.message) < 300
        assert_empty(store)
        assert events(stack) == []

    @pytest.mark.parametrize("name", ODD_NAMES)
    @pytest.mark.parametrize("call", CALLS)
    def test_no_call_takes_an_odd_name(
        self, versioning: ModelVersioning, store: MemoryRegistry, register: Callable[..., str], tmp_path: Path, call: str, name: str
    ) -> None:
        register("1.0")
        before = copy.deepcopy((store.find_versions("acme", Query()), store.journals("acme", "")))
        files = sorted(tmp_path.rglob("*"))
        for number in range(len(CALLS[call][1])):
            given = list(CALLS[call][1])
            given[number] = ODD_NAMES[name]
            with pytest.raises(VersioningError) as caught:
                CALLS[call][0](versioning, *given)
            assert "\n" not in caught.value.message
            assert len(caught.value.message) < 300
        assert (store.find_versions("acme", Query()), store.journals("acme", "")) == before
        assert sorted(tmp_path.rglob("*")) == files

    @pytest.mark.parametrize("tenant", ["", "../x", "a b", 7])
    def test_a_bad_tenant_is_refused(self, stack: Stack, tenant: Any) -> None:
        with pytest.raises(VersioningError, match="tenant"):
            ModelVersioning(tenant_id=tenant, stack=stack)


class TestRuns:
    def make(self, tmp_path: Path, **trackers: Any) -> ModelVersioning:
        return ModelVersioning(stack=make_stack(tmp_path, registry=MemoryRegistry(), trackers=trackers))

    def test_a_trackers_run_is_known(self, tmp_path: Path) -> None:
        tracker = MemoryTracker()
        tracker.start_run(RunStart(RunKey("acme", "e", "r1"), "a run", datetime(2024, 1, 1, tzinfo=UTC)))
        versioning = self.make(tmp_path, memory=tracker)
        assert versioning.version_model("m", run_id="r1") == "1"
        with pytest.raises(VersioningError, match="no run 'r2'"):
            versioning.version_model("m", run_id="r2")

    def test_a_run_on_its_way_to_the_tracker_is_waited_for(self, tmp_path: Path) -> None:
        tracker = MemoryTracker()

        class Arriving(FakeClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                tracker.start_run(RunStart(RunKey("acme", "e", "r1"), "a run", self.now()))

        stack = make_stack(tmp_path, registry=MemoryRegistry(), trackers={"memory": tracker}, clock=Arriving())
        assert ModelVersioning(stack=stack).version_model("m", run_id="r1") == "1"

    def test_a_tracker_that_cannot_answer_does_not_stop_a_registration(self, tmp_path: Path) -> None:
        class Down(MemoryTracker):
            def find_runs(self, tenant: str, query: Query) -> Iterator[Any]:
                raise MLOpsError("the tracker is down")

        assert self.make(tmp_path, down=Down()).version_model("m", run_id="r1") == "1"

    def test_another_tenants_run_is_unknown(self, tmp_path: Path) -> None:
        store = MemoryRegistry()
        store.append("rival", "runs/p/r1", 0, sample_entry())
        with pytest.raises(VersioningError, match="no run 'r1'"):
            ModelVersioning(stack=make_stack(tmp_path, registry=store)).version_model("m", run_id="r1")

    def test_a_run_is_found_among_many(self, tmp_path: Path) -> None:
        store = MemoryRegistry()
        for i in range(1001):
            store.append("acme", f"runs/p/r{i:04}", 0, sample_entry())
        versioning = ModelVersioning(stack=make_stack(tmp_path, registry=store))
        assert versioning.version_model("m", run_id="r1000") == "1"

    @pytest.mark.parametrize(("key", "run"), [("p/r1/training", "runs/p/r1"), (None, "runs/demo/r1"), ("a b/r1", "runs/demo/r1")])
    def test_a_run_in_a_likely_place_is_found_without_going_through_all(self, tmp_path: Path, key: str | None, run: str) -> None:
        class Counting(MemoryRegistry):
            def journals(self, *given: Any, **more: Any) -> Any:
                raise AssertionError("it went through all")

        store = Counting()
        store.append("acme", run, 0, sample_entry())
        stack = make_stack(tmp_path, registry=store, settings=Settings(pipeline=PipelineSettings("demo")))
        assert ModelVersioning(stack=stack).version_model("m", run_id="r1", key=key) == "1"
