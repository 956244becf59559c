from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np
import pytest
from attrs import define, field

from mlops_core.artifacts import Artifacts
from mlops_core.builtin.json_format import JsonFormat
from mlops_core.builtin.npy_format import NpyFormat
from mlops_core.config.settings import ModelsSettings, Settings
from mlops_core.exceptions import ArtifactError, CapabilityError, CorruptArtifactError, UntrustedFormatError
from mlops_core.records import ArtifactRef, Blob, Column, File, ModelVersion, Schema
from mlops_core.roles import Format
from mlops_core.testing.hostile import hostile_pickles
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from mlops_core.stack import Stack


@define(eq=False)
class PickleFormat(Format):
    """Runs code when read, and says so."""

    name: ClassVar[str] = "pickle"
    contract: ClassVar[int] = 1
    runs_code: ClassVar[bool] = True
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})

    reads: list[str] = field(factory=list)

    def accepts(self, value: Any) -> bool:
        return True

    def sniff(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes()[:1] == b"\x80"

    def write(self, value: Any, path: Path) -> None:
        path.write_bytes(pickle.dumps(value))

    def read(self, path: Path) -> Any:
        self.reads.append(path.name)
        return pickle.loads(path.read_bytes())  # noqa: S301  what the test shows is that nothing else is read so

    def predictor(self, value: Any, schema: Schema | None) -> Scaled:
        return Scaled(value["factor"], schema)


@define
class Scaled:
    factor: float
    schema: Schema | None

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        return {"prediction": columns["x"] * self.factor}


class FolderFormat(PickleFormat):
    """A folder with one file per key; safe to read."""

    name: ClassVar[str] = "folder"
    contract: ClassVar[int] = 1
    runs_code: ClassVar[bool] = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict) and all(isinstance(item, bytes) for item in value.values())

    def sniff(self, path: Path) -> bool:
        return path.is_dir() and (path / "folder").exists()

    def write(self, value: Any, path: Path) -> None:
        (path / "parts" / "deep").mkdir(parents=True)
        (path / "folder").touch()
        for name, content in value.items():
            (path / "parts" / "deep" / name).write_bytes(content)

    def read(self, path: Path) -> Any:
        return {one.name: one.read_bytes() for one in (path / "parts" / "deep").iterdir()}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    formats = {one.name: one for one in (JsonFormat(), NpyFormat(), FolderFormat(), PickleFormat())}
    return make_stack(tmp_path / "project", registry=MemoryRegistry(), formats=formats)


def trusting(stack: Stack) -> Stack:
    return attrs.evolve(stack, settings=Settings(models=ModelsSettings(trust=("pickle",))))


def version_of(ref: ArtifactRef, at: datetime, **more: Any) -> ModelVersion:
    return ModelVersion("acme", "scaler", "1.0.0", "key", ref.sha256, ref.files, at, format=ref.format, **more)


@pytest.mark.parametrize(
    ("value", "chosen"),
    [({"auc": 0.75}, "json"), (np.arange(6.0).reshape(2, 3), "npy"), ({"a": b"1", "b": b"2"}, "folder")],
)
def test_a_value_comes_back_through_the_first_format_that_accepts_it(value: Any, chosen: str, stack: Stack) -> None:
    ref = Artifacts(stack).save(value, "result")
    assert (ref.format, ref.name) == (chosen, "result")
    np.testing.assert_equal(Artifacts(stack).load(ref), value)


def test_equal_content_has_one_digest_whatever_its_name(stack: Stack) -> None:
    artifacts = Artifacts(stack)
    assert artifacts.save({"a": 1}, "one").sha256 == artifacts.save({"a": 1}, "two").sha256
    assert artifacts.save({"a": b"1"}, "one").sha256 == artifacts.save({"a": b"1"}, "two").sha256
    assert artifacts.save({"a": b"1"}, "one").sha256 != artifacts.save({"a": b"2"}, "one").sha256


def test_nothing_temporary_remains(stack: Stack) -> None:
    Artifacts(stack).load(Artifacts(stack).save({"a": b"1"}, "one"))
    with pytest.raises(ArtifactError):
        Artifacts(stack).save(object(), "two")
    assert list((stack.workdir / "tmp").iterdir()) == []


def test_a_format_that_runs_code_is_not_chosen_for_a_value_unless_trusted(stack: Stack) -> None:
    with pytest.raises(ArtifactError, match=r"none of the formats \(json, npy, folder, pickle\) holds a builtins.set"):
        Artifacts(stack).save({1, 2}, "stage")
    assert Artifacts(trusting(stack)).load(Artifacts(trusting(stack)).save({1, 2}, "stage")) == {1, 2}


def test_a_file_that_runs_code_is_stored_but_read_only_when_trusted(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(pickle.dumps([1]))
    ref = Artifacts(stack).save_file(tmp_path / "model.json", "model")
    assert ref.format == "pickle"
    with pytest.raises(UntrustedFormatError, match=r"pickle runs code .* 'models.trust'"):
        Artifacts(stack).load(ref)
    assert Artifacts(trusting(stack)).load(ref) == [1]


def test_a_declared_format_does_not_hide_the_content(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(pickle.dumps([1]))
    ref = attrs.evolve(Artifacts(stack).save_file(tmp_path / "model", "model"), format="json")
    with pytest.raises(UntrustedFormatError):
        Artifacts(stack).load(ref)


def test_no_hostile_file_runs(stack: Stack, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    hostile = hostile_pickles(marker)
    assert len(hostile) >= 50
    for content in hostile.values():
        (tmp_path / "model.json").write_bytes(content)
        ref = Artifacts(stack).save_file(tmp_path / "model.json", "model")
        with pytest.raises(ArtifactError):
            Artifacts(stack).load(ref)
        with pytest.raises(ArtifactError):
            Artifacts(stack).predictor(version_of(ref, stack.clock.now()))
    assert not marker.exists()


def test_content_that_no_format_knows_is_kept_and_fetched_but_not_loaded(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "weights.xyz").write_bytes(b"\x00\x01" * 2_000_000)
    ref = Artifacts(stack).save_file(str(tmp_path / "weights.xyz"), "weights")
    assert (ref.format, ref.size, ref.files[0].path) == ("", 4_000_000, "weights.xyz")
    assert Artifacts(stack).fetch_artifact("acme", ref, tmp_path / "into").read_bytes() == b"\x00\x01" * 2_000_000
    with pytest.raises(ArtifactError, match=r"none of the formats .* recognises the content - add its format to 'formats'"):
        Artifacts(stack).load(ref)
    with pytest.raises(ArtifactError, match="it was stored as 'onnx': install that format"):
        Artifacts(stack).load(attrs.evolve(ref, format="onnx"))


def test_the_format_of_a_file_is_decided_by_content(stack: Stack, tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(2))
    (tmp_path / "array.npy").rename(tmp_path / "array.json")
    assert Artifacts(stack).format_of(tmp_path / "array.json").name == "npy"


def test_a_model_predicts_from_a_copy_that_is_checked_at_each_load(stack: Stack) -> None:
    schema = Schema((Column("x", "float64"),))
    trusted = Artifacts(trusting(stack))
    version = version_of(trusted.save({"factor": {2.0}.pop(), "kind": {1}}, "model"), stack.clock.now(), schema=schema)
    predictor = trusted.predictor(version)
    assert predictor.predict({"x": np.array([1.0, 2.0])})["prediction"].tolist() == [2.0, 4.0]
    assert isinstance(predictor, Scaled)
    assert predictor.schema == schema
    (copy,) = (stack.workdir / "cache" / "models").rglob("model.pickle")
    assert copy.parent.stat().st_mode & 0o077 == 0
    copy.write_bytes(pickle.dumps({"factor": 3.0}))
    assert trusted.predictor(version).predict({"x": np.array([1.0])})["prediction"].tolist() == [2.0]


def test_a_format_that_cannot_predict_says_so(stack: Stack) -> None:
    version = version_of(Artifacts(stack).save({"a": 1}, "model"), stack.clock.now())
    with pytest.raises(CapabilityError, match="format json: cannot predict"):
        Artifacts(stack).predictor(version)


def test_a_predictor_that_cannot_be_made_is_one_typed_line(stack: Stack) -> None:
    trusted = Artifacts(trusting(stack))
    version = version_of(trusted.save({"no": {1}}, "model"), stack.clock.now())
    with pytest.raises(ArtifactError, match=r"model scaler 1.0.0: format pickle could not make a predictor of it: KeyError"):
        trusted.predictor(version)


def test_another_tenants_artifact_is_missing(stack: Stack) -> None:
    ref = Artifacts(stack).save({"a": 1}, "one")
    with pytest.raises(ArtifactError):
        Artifacts(stack.for_tenant("rival")).load(ref)


def test_a_reference_whose_files_were_exchanged_is_corrupt(stack: Stack) -> None:
    one, two = Artifacts(stack).save({"a": 1}, "one"), Artifacts(stack).save({"a": 2}, "two")
    for spoilt in (attrs.evolve(one, files=two.files), attrs.evolve(one, files=())):
        with pytest.raises(CorruptArtifactError, match="does not match its sha256"):
            Artifacts(stack).load(spoilt)


def test_what_a_format_raises_is_one_typed_line(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"\x80\x04broken")
    ref = Artifacts(stack).save_file(tmp_path / "model", "model")
    with pytest.raises(ArtifactError, match="artifact model: format pickle could not read it: ") as caught:
        Artifacts(trusting(stack)).load(ref)
    assert caught.value.__cause__ is not None


def test_bad_sources_are_refused_before_anything_is_stored(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "empty").mkdir()
    for bad in ("missing", "link", "empty", "nul\0"):
        with pytest.raises(ArtifactError) as caught:
            Artifacts(stack).save_file(f"{tmp_path}/{bad}", "model")
        assert "\n" not in caught.value.message
    assert list(stack.parts.registry.tenants().items) == []


def test_a_version_of_files_side_by_side_is_fetched_as_a_folder(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    blob: Blob = Artifacts(stack).save_file(tmp_path / "a", "a").files[0].blob
    version = ModelVersion("acme", "m", "1", "k", "d", (File("a", blob), File("b", blob)), stack.clock.now())
    folder = Artifacts(stack).fetch(version, tmp_path / "into")
    assert sorted(one.name for one in folder.iterdir()) == ["a", "b"]
