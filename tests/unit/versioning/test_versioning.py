from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from mlops_core.config.settings import SignSettings
from mlops_core.exceptions import VersioningError
from mlops_core.records import (
    File,
    ModelVersion,
    Query,
)
from mlops_core.stack.keys import write_pair
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import put
from mlops_core.testing.stack import make_stack
from mlops_core.versioning import ModelVersioning, copy_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.stack import Stack


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

    def test_the_newest_is_told_by_the_registry_not_by_clocks(self, stack: Stack, versioning: ModelVersioning) -> None:
        assert isinstance(stack.clock, FakeClock)
        early = evolve(stack, clock=FakeClock(stack.clock.now() - timedelta(minutes=5)))
        versioning.version_model("m")
        ModelVersioning(stack=early).version_model("m")
        assert versioning.get_version("m").version == versioning.list_versions("m")[-1].version == "2"
        with pytest.raises(VersioningError, match=r"the newest are: 2, 1\)"):
            versioning.get_version("m", "3")

    def test_none_is_the_newest_only_where_a_version_may_be_left_out(
        self, versioning: ModelVersioning, register: Callable[..., str]
    ) -> None:
        register("1.0")
        nothing: Any = None
        for call in (
            lambda: versioning.delete_version("m", nothing),
            lambda: versioning.set_alias("m", "champion", nothing),
            lambda: versioning.diff("m", nothing, "1.0"),
            lambda: versioning.diff("m", "1.0", nothing),
        ):
            with pytest.raises(VersioningError, match="version: expected text, got None"):
                call()
        assert [one.version for one in versioning.list_versions("m")] == ["1.0"]
        assert versioning.list_aliases("m") == ()

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

    @pytest.mark.parametrize("to", [None, 7, b"out", "", "a\0b"])
    def test_what_is_no_folder_is_refused(self, versioning: ModelVersioning, model_file: Path, to: Any) -> None:
        versioning.version_model("m", "1.0", model_file)
        with pytest.raises(VersioningError, match=r"download: .* is no path - give a folder"):
            versioning.download("m", "1.0", to)

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

    def test_a_tenant_sweeps_its_own_only(self, versioning: ModelVersioning, store: MemoryRegistry) -> None:
        put(store, b"another's upload", "rival")
        assert versioning.sweep(timedelta(0), dry_run=True) == ()
        assert versioning.sweep(timedelta(0)) == ()
        assert [one.tenant for one in store.leftovers(timedelta(0))] == ["rival"]

    def test_a_facade_does_not_close_a_shared_registry(self, tmp_path: Path) -> None:
        class Closing(MemoryRegistry):
            closed = False

            def close(self) -> None:
                type(self).closed = True

        with ModelVersioning(stack=make_stack(tmp_path, registry=Closing())) as versioning:
            versioning.version_model("m")
        assert not Closing.closed


class TestDatabase:
    def test_a_url_replaces_the_registry_of_this_facade_only(self, stack: Stack, store: MemoryRegistry, model_file: Path) -> None:
        with ModelVersioning("sqlite:///models.db", tenant_id="tenant_123", stack=stack) as versioning:
            versioning.version_model("m", "1.0", model_file, {"accuracy": 0.95})
            assert versioning.load_model("m") == {"weights": [1, 2]}
        assert_no_tenant(store)
        with ModelVersioning(Path("models.db"), tenant_id="tenant_123", stack=stack) as again:
            assert again.get_version("m").metadata == {"accuracy": 0.95}
        assert ModelVersioning(tenant_id="tenant_123", stack=stack).models() == ()

    def test_a_store_is_used_as_it_is(self, stack: Stack, register: Callable[..., str]) -> None:
        register("1.0")
        other = MemoryRegistry()
        versioning = ModelVersioning(other, stack=stack)
        versioning.version_model("other")
        assert other.models("acme").items == versioning.models() == ("other",)

    def test_what_is_no_database_is_refused_at_once(self, stack: Stack) -> None:
        with pytest.raises(VersioningError, match="cannot use a int as database"):
            ModelVersioning(7, stack=stack)

    def test_without_a_stack_that_of_the_project_is_found(self, tmp_path: Path) -> None:
        with ModelVersioning(f"sqlite:///{tmp_path}/models.db", tenant_id="acme") as versioning:
            assert versioning.version_model("m", metadata={"a": 1}) == "1"
            assert versioning.tenant_id == "acme"


def assert_no_tenant(store: MemoryRegistry) -> None:
    assert store.tenants().items == ()


def test_the_facade_loads_no_heavy_library(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys, mlops_core.versioning\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'mlflow', 'sqlalchemy', 'boto3', 'cattrs', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# --- signatures


@pytest.fixture
def keys(stack: Stack) -> Callable[..., ModelVersioning]:
    """The facade with keys of the project, in a stack that reads them anew."""
    for name in ("k", "other"):
        write_pair(stack.root / name)

    def make(key: str | None = "k", *public: str, require: bool = False) -> ModelVersioning:
        sign = SignSettings(None if key is None else f"${{file:{key}}}", tuple(f"${{file:{name}.pub}}" for name in public), require=require)
        return ModelVersioning(stack=evolve(stack, settings=evolve(stack.settings, sign=sign)))

    return make


def test_a_version_is_signed_with_its_number_and_loaded_by_who_trusts_the_key(
    keys: Callable[..., ModelVersioning], tmp_path: Path, store: MemoryRegistry
) -> None:
    signer, reader = keys(), keys(None, "k", require=True)
    assert signer.version_model("m", model={"x": 1}) == "1"
    signer.version_model("m", "named", model={"x": 2})
    assert reader.load_model("m", "1") == {"x": 1}
    assert reader.download("m", "named", tmp_path / "to").is_file()
    versions = store.find_versions("acme", Query()).items
    assert [one.signature is not None for one in versions] == [True, True]
    assert signer.version_model("m", "named", model={"x": 2}) == "named", "the same content again answers it"


def test_an_unsigned_version_and_one_of_a_stranger_are_refused_where_signatures_are_required(
    versioning: ModelVersioning, keys: Callable[..., ModelVersioning], tmp_path: Path
) -> None:
    versioning.version_model("m", model={"x": 1})
    keys("other").version_model("m", model={"x": 2})
    lenient, strict = keys(None, "k"), keys(None, "k", require=True)
    for version, said in (("1", "m: version 1 is not signed"), ("2", "m: version 2 is signed by the key")):
        assert lenient.load_model("m", version) == {"x": int(version)}
        for call in (lambda v: strict.load_model("m", v), lambda v: strict.download("m", v, tmp_path / "to")):
            with pytest.raises(VersioningError) as told:
                call(version)
            assert told.value.message.startswith(said)
            assert "\n" not in told.value.message
    assert not list(tmp_path.glob("to/*"))


def test_a_row_that_was_changed_in_the_store_is_refused(
    keys: Callable[..., ModelVersioning], store: MemoryRegistry, tmp_path: Path
) -> None:
    signer = keys()
    signer.version_model("m", model={"x": 1}, metadata={"accuracy": 0.5})
    place = ("acme", "m", "1")
    store._versions[place] = evolve(store._versions[place], metadata={"accuracy": 0.9})  # noqa: SLF001  behind its back
    for call in (lambda: signer.load_model("m"), lambda: signer.download("m", "1", tmp_path / "to")):
        with pytest.raises(VersioningError, match=r"m: version 1 is not what the key .* signed: its record was changed"):
            call()


def test_nothing_is_registered_that_nobody_could_load(
    keys: Callable[..., ModelVersioning], store: MemoryRegistry, model_file: Path
) -> None:
    for facade in (keys(None, "k", require=True), keys("missing")):
        with pytest.raises(VersioningError, match=r"registry\.sign"):
            facade.version_model("m", model_path=model_file)
    assert list(store.leftovers(timedelta(0))) == []
    assert store.find_versions("acme", Query()).items == ()


def test_a_copy_keeps_signatures(keys: Callable[..., ModelVersioning], store: MemoryRegistry) -> None:
    keys().version_model("m", model={"x": 1})
    target = MemoryRegistry()
    copy_registry(store, target)
    assert target.get_version("acme", "m", "1") == store.get_version("acme", "m", "1")
