from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.exceptions import ConflictError, MLOpsError, VersioningError
from mlops_core.records import (
    ArtifactRef,
    Column,
    File,
    LineageLink,
    ModelVersion,
    Query,
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
    "homoglyph": ({"model_id": "ti\u0441ket"}, "is not a name"),
    "model of another type": ({"model_id": 7}, "expected text, got int"),
    "empty model": ({"model_id": ""}, "is not a name"),
    "empty version": ({"version": ""}, "is not a name"),
    "version of digits": ({"version": "12"}, "automatic numbers"),
    "version with a slash": ({"version": "1/0"}, "is not a name"),
    "huge version": ({"version": HUGE}, "1000000 characters"),
    "version of another type": ({"version": 1.0}, "expected text, got float"),
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
    "metadata of another type": ({"metadata": [1]}, "expected a mapping, got list"),
    "metadata not a number": ({"metadata": {"a": float("nan")}}, "metadata.a: cannot be kept"),
    "metadata infinite": ({"metadata": {"a": [float("inf")]}}, "metadata.a: cannot be kept"),
    "metadata no JSON": ({"metadata": {"a": {1, 2}}}, "metadata.a: cannot be kept"),
    "metadata an array": ({"metadata": {"a": np.arange(2)}}, "metadata.a: cannot be kept"),
    "metadata half a character": ({"metadata": {"a": "\ud800"}}, "metadata.a: cannot be kept"),
    "metadata key": ({"metadata": {1: "a"}}, "is no key"),
    "metadata key with newline": ({"metadata": {"a\n": 1}}, "is no key"),
    "metadata key empty": ({"metadata": {"": 1}}, "is no key"),
    "unknown run": ({"run_id": "run-404"}, "no run 'run-404'"),
    "run of another type": ({"run_id": 5}, "expected text"),
    "unknown parent": ({"parents": ["other:1.0"]}, "register the parent first"),
    "unknown parent of the model": ({"parents": ["0.9"]}, "register the parent first"),
    "parents a text": ({"parents": "m:1.0"}, "expected a list, got str"),
    "parent of another type": ({"parents": [3]}, "expected a LineageLink"),
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
        bad, message = BAD[name]
        with pytest.raises(VersioningError) as caught:
            versioning.version_model(**{"model_id": "m", "version": None, **bad})
        assert message in caught.value.message
        assert "\n" not in caught.value.message
        assert len(caught.value.message) < 400
        assert_empty(store)
        assert events(stack) == []

    @pytest.mark.parametrize("tenant", ["", "../x", "a b", 7])
    def test_a_bad_tenant_is_refused(self, stack: Stack, tenant: Any) -> None:
        with pytest.raises(VersioningError, match="tenant"):
            ModelVersioning(tenant_id=tenant, stack=stack)


class TestRuns:
    def make(self, tmp_path: Path, **trackers: Any) -> ModelVersioning:
        return ModelVersioning(stack=make_stack(tmp_path, registry=MemoryRegistry(), trackers=trackers))

    def test_a_trackers_run_is_known(self, tmp_path: Path) -> None:
        tracker = MemoryTracker()
        tracker.start_run(RunStart("acme", "r1", "e", "a run", datetime(2024, 1, 1, tzinfo=UTC)))
        versioning = self.make(tmp_path, memory=tracker)
        assert versioning.version_model("m", run_id="r1") == "1"
        with pytest.raises(VersioningError, match="no run 'r2'"):
            versioning.version_model("m", run_id="r2")

    def test_a_run_on_its_way_to_the_tracker_is_waited_for(self, tmp_path: Path) -> None:
        tracker = MemoryTracker()

        class Arriving(FakeClock):
            def sleep(self, seconds: float) -> None:
                super().sleep(seconds)
                tracker.start_run(RunStart("acme", "r1", "e", "a run", self.now()))

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


class TestRetrieval:
    def test_the_newest_is_the_last_one_registered(self, stack: Stack, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        register("0.5")
        assert versioning.get_version("m").version == "0.5"  # at one moment of the clock
        assert isinstance(stack.clock, FakeClock)
        stack.clock.advance(1)
        register("0.7")
        assert versioning.get_version("m").version == "0.7"
        versioning.delete_version("m", "0.7")
        assert versioning.get_version("m").version == "0.5"

    def test_a_missing_version_names_those_there_are(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        with pytest.raises(VersioningError, match=r"no version '2\.0' \(the newest are: 1\.0\)"):
            versioning.get_version("m", "2.0")
        for version in (None, "1.0"):
            with pytest.raises(VersioningError, match="no model 'other'"):
                versioning.get_version("other", version)
        versioning.delete_version("m", "1.0")
        with pytest.raises(VersioningError, match=r"1\.0 was deleted"):
            versioning.get_version("m", "1.0")

    def test_find_speaks_the_filter_grammar(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0", accuracy=0.91, dataset_version="v2.1")
        register("1.1", accuracy=0.95, dataset_version="v2.1")
        register("1.2", accuracy=0.99, dataset_version="v3")
        register("1.0", model="other", accuracy=0.93, dataset_version="v2.1")

        def names(text: str, **more: Any) -> list[str]:
            return [f"{one.model} {one.version}" for one in versioning.find(text, **more).items]

        assert names("accuracy >= 0.92 and dataset_version = 'v2.1' order by accuracy desc") == ["m 1.1", "other 1.0"]
        assert names("metadata.accuracy >= 0.92", model_id="m") == ["m 1.1", "m 1.2"]
        assert names("", model_id="other") == ["other 1.0"]
        assert names("model = 'm' and version like '1.%'") == ["m 1.0", "m 1.1", "m 1.2"]
        first = versioning.find("order by accuracy", limit=3)
        assert [one.version for one in versioning.find("order by accuracy", limit=3, cursor=first.cursor).items] == ["1.2"]
        for bad in ("accuracy >=", "accuracy ~ 1", 7):
            with pytest.raises(VersioningError, match="filter"):
                versioning.find(bad)  # type: ignore[arg-type]  # on purpose
        with pytest.raises(VersioningError, match="is not a name"):
            versioning.find("", model_id="../x")

    def test_models_are_listed(self, versioning: ModelVersioning, register: Callable[..., str], store: MemoryRegistry) -> None:
        for i in range(1002):
            store.add_version(ModelVersion("acme", f"m{i:04}", "1.0", "k", "d", (), datetime(2024, 1, 1, tzinfo=UTC)))
        register(model="a")
        assert versioning.models() == ("a", *(f"m{i:04}" for i in range(1002)))

    def test_tenants_are_apart(self, stack: Stack, register: Callable[..., str]) -> None:
        register("1.0")
        rival = ModelVersioning(tenant_id="rival", stack=stack)
        assert rival.tenant_id == "rival"
        assert (rival.models(), rival.list_versions("m"), rival.find().items) == ((), (), ())
        with pytest.raises(VersioningError, match="no model 'm' in tenant 'rival'"):
            rival.get_version("m", "1.0")
        rival.version_model("m", "1.0", metadata={"mine": True})
        assert rival.get_version("m", "1.0").metadata == {"mine": True}


class TestAliases:
    def test_an_alias_stands_for_a_version_everywhere(
        self, versioning: ModelVersioning, register: Callable[..., str], tmp_path: Path
    ) -> None:
        register("1.0", accuracy=0.9)
        register("2.0", accuracy=0.95)
        assert versioning.set_alias("m", "champion", "1.0").generation == 1
        assert versioning.get_version("m", "@champion").version == "1.0"
        assert versioning.get_lineage("m", "@champion").version == "1.0"
        assert versioning.load_model("m", "@champion") == {"value": ["m", "1.0", {"accuracy": 0.9}]}
        assert versioning.diff("m", "@champion", "2.0").before == "1.0"
        assert versioning.download("m", "@champion", tmp_path / "out").is_file()
        versioning.set_alias("m", "challenger", "2.0")
        versioning.set_alias("m", "champion", "@challenger")
        assert versioning.get_alias("m", "champion").version == "2.0"

    def test_moving_and_deleting_are_history(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        register("2.0")
        for version in ("1.0", "2.0", "2.0"):
            versioning.set_alias("m", "champion", version)
        versioning.set_alias("m", "staging", "1.0")
        versioning.delete_alias("m", "champion")
        assert [(one.version, one.generation) for one in versioning.alias_history("m", "champion")] == [("1.0", 1), ("2.0", 2), (None, 3)]
        assert [one.name for one in versioning.list_aliases("m")] == ["staging"]
        with pytest.raises(VersioningError, match=r"no alias 'champion' \(there are: staging\)"):
            versioning.get_alias("m", "champion")
        with pytest.raises(VersioningError, match="no alias 'champion'"):
            versioning.delete_alias("m", "champion")

    def test_a_retried_change_is_made_once(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        register("2.0")
        first = versioning.set_alias("m", "champion", "1.0", key="run-1/promote")
        versioning.set_alias("m", "champion", "2.0")
        assert versioning.set_alias("m", "champion", "1.0", key="run-1/promote") == first
        assert versioning.get_alias("m", "champion").version == "2.0"

    def test_an_alias_needs_a_version_and_a_name(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        with pytest.raises(VersioningError, match="no version"):
            versioning.set_alias("m", "champion", "2.0")
        for alias in ("", "a/b", "@a", 7):
            with pytest.raises(VersioningError, match="alias"):
                versioning.set_alias("m", alias, "1.0")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(VersioningError, match=r"no alias 'champion' \(there are: none\)"):
            versioning.get_version("m", "@champion")

    def test_a_version_that_an_alias_means_is_not_deleted(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        versioning.set_alias("m", "champion", "1.0")
        with pytest.raises(VersioningError, match=r"alias 'champion' points to version 1\.0"):
            versioning.delete_version("m", "1.0")
        versioning.delete_alias("m", "champion")
        versioning.delete_version("m", "1.0", reason="superseded")

    def test_a_deletion_tells_when_and_why(self, versioning: ModelVersioning, register: Callable[..., str], store: MemoryRegistry) -> None:
        register("1.0")
        versioning.delete_version("m", "1.0", reason="wrong data")
        (entry,) = store.read("acme", "versions/m")
        assert (entry.kind, entry.change) == ("retired", {"version": "1.0", "reason": "wrong data"})
        assert versioning.list_versions("m") == ()
        assert versioning.get_lineage("m", "1.0").version == "1.0"


class TestFiles:
    def test_a_file_and_a_folder_are_downloaded(self, versioning: ModelVersioning, model_file: Path, tmp_path: Path) -> None:
        folder = tmp_path / "bundle"
        folder.mkdir()
        (folder / "a.bin").write_bytes(b"1")
        versioning.version_model("m", "file", model_file)
        versioning.version_model("m", "folder", folder)
        out = tmp_path / "out" / "deep"
        assert versioning.download("m", "file", out) == out / "model.json"
        assert (out / "model.json").read_bytes() == model_file.read_bytes()
        assert (versioning.download("m", "folder", str(out)) / "a.bin").read_bytes() == b"1"
        assert sorted(path.name for path in out.iterdir()) == ["bundle", "model.json"]

    def test_nothing_is_overwritten(self, versioning: ModelVersioning, model_file: Path, tmp_path: Path) -> None:
        versioning.version_model("m", "1.0", model_file)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "model.json").write_text("mine")
        with pytest.raises(VersioningError, match=r"model\.json is in the folder already"):
            versioning.download("m", "1.0", tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.json"]
        assert (tmp_path / "out" / "model.json").read_text() == "mine"

    def test_a_version_without_files_cannot_be_loaded(self, versioning: ModelVersioning) -> None:
        versioning.version_model("m", "1.0", metadata={"a": 1})
        for call in (lambda: versioning.load_model("m", "1.0"), lambda: versioning.download("m", "1.0", "out")):
            with pytest.raises(VersioningError, match="has no files"):
                call()
        assert not Path("out").exists()

    def test_files_that_lie_side_by_side_stay_together(self, versioning: ModelVersioning, store: MemoryRegistry, tmp_path: Path) -> None:
        files = (File("a.bin", put(store, b"a")), File("b.bin", put(store, b"b")))
        store.add_version(ModelVersion("acme", "m", "1.0", "k", "d", files, datetime(2024, 1, 1, tzinfo=UTC)))
        where = versioning.download("m", "1.0", tmp_path / "out")
        assert where.parent == tmp_path / "out"
        assert sorted(path.name for path in where.iterdir()) == ["a.bin", "b.bin"]

    def test_damaged_bytes_are_refused(self, versioning: ModelVersioning, model_file: Path, tmp_path: Path, store: MemoryRegistry) -> None:
        versioning.version_model("m", "1.0", model_file)
        blob = versioning.get_version("m", "1.0").files[0].blob
        store._blobs["acme", blob.sha256].data = b"{}"  # noqa: SLF001  the disk did this
        for call in (lambda: versioning.load_model("m"), lambda: versioning.download("m", "1.0", tmp_path / "out")):
            with pytest.raises(VersioningError, match="do not match the registered sha256"):
                call()
        assert list((tmp_path / "out").iterdir()) == []


class TestUpkeep:
    def test_a_sweep_removes_what_nothing_names(self, tmp_path: Path, model_file: Path) -> None:
        clock = FakeClock()
        store = MemoryRegistry(clock=clock)
        versioning = ModelVersioning(stack=make_stack(tmp_path, registry=store, clock=clock))
        versioning.version_model("m", "1.0", model_file)
        put(store, b"orphan")
        assert versioning.sweep() == ()
        clock.advance(25 * 3600)
        assert [one.size for one in versioning.sweep(dry_run=True)] == [6]
        assert [one.size for one in versioning.sweep()] == [6]
        assert versioning.sweep(timedelta(0)) == ()
        assert versioning.download("m", "1.0", tmp_path / "out").is_file()

    @pytest.mark.parametrize("grace", [3600, timedelta(seconds=-1), None])
    def test_a_grace_is_a_duration(self, versioning: ModelVersioning, grace: Any) -> None:
        with pytest.raises(VersioningError, match="grace is not a duration"):
            versioning.sweep(grace)

    def test_a_facade_does_not_close_a_shared_registry(self, tmp_path: Path) -> None:
        class Closing(MemoryRegistry):
            closed = False

            def close(self) -> None:
                type(self).closed = True

        with ModelVersioning(stack=make_stack(tmp_path, registry=Closing())) as versioning:
            versioning.version_model("m")
        assert not Closing.closed


def test_the_facade_loads_no_heavy_library(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys, mlops_core.versioning\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'mlflow', 'sqlalchemy', 'boto3', 'cattrs', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


class Raced(MemoryRegistry):
    """Something happens just before the next version is added."""

    first: Callable[[], object] | None = None

    def add_version(self, version: ModelVersion) -> ModelVersion:
        happens, self.first = self.first, None
        if happens is not None:
            happens()
        return super().add_version(version)


def events(stack: Stack) -> list[VersionRegistered]:
    assert isinstance(stack.parts, GivenParts)
    return [event for event in stack.parts.events if isinstance(event, VersionRegistered)]
