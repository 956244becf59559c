"""Bytes that are not those that were registered never reach a format, and nothing that runs code is read where it is not trusted."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pytest
from attrs import frozen
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from mlops_core import Project
from mlops_core.artifacts import Artifacts
from mlops_core.exceptions import ArtifactError, CorruptArtifactError, UntrustedFormatError, VersioningError
from mlops_core.testing.hostile import hostile_pickles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlops_core.records import ModelVersion

CORRUPTIONS: Final = 1000  # of all formats together
FORMATS: Final = ("json", "npy", "arrow", "parquet", "skops", "onnx", "safetensors", "mlflow", "joblib", "mlflow-pyfunc")
RUNNING: Final = ("joblib", "mlflow-pyfunc")
CONFIGURATION: Final = """\
version: 1
tracker: []
registry: sqlite
environments: {{}}
monitoring: {{sinks: []}}
formats: [{formats}]
models: {{trust: [{trust}]}}
"""
MLMODEL: Final = {
    "mlflow": {"onnx": {"data": "model.onnx", "code": None}, "python_function": {"loader_module": "mlflow.onnx", "data": "model.onnx"}},
    "mlflow-pyfunc": {"python_function": {"loader_module": "loader", "code": "code"}},
}
LOADER: Final = "from pathlib import Path\n\nPath({0!r}).mkdir()\n"


def graph() -> ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 40]) for name in "xy"]
    weights = numpy_helper.from_array(np.arange(1600, dtype=np.float32).reshape(40, 40), "w")
    made = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "graph", ends[:1], ends[1:], [weights])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


VALUES: Final[dict[str, Callable[[], Any]]] = {
    "json": lambda: {"weights": list(range(400))},
    "npy": lambda: np.arange(400.0),
    "arrow": lambda: pa.table({"a": range(400)}),
    "parquet": lambda: pa.table({"a": range(400)}),
    "skops": lambda: LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]),
    "onnx": graph,
    "safetensors": lambda: {"w": np.arange(400.0)},
    "joblib": lambda: {"weights": {1, 2, 3}, "notes": "x" * 400},
}


def folder_of_mlflow(path: Path, name: str) -> Path:
    """As MLflow writes it; ``mlflow-pyfunc`` has a loader of its own, which leaves a mark when it is imported."""
    path.mkdir()
    (path / "MLmodel").write_text(json.dumps({"flavors": MLMODEL[name], "mlflow_version": "3.17.2"}))
    (path / "requirements.txt").write_text("onnx\nonnxruntime\n")
    if name == "mlflow":
        (path / "model.onnx").write_bytes(graph().SerializeToString())
    else:
        (path / "code").mkdir()
        (path / "code" / "loader.py").write_text(LOADER.format(str(path.parent / "marker")))
    return path


@frozen
class Reads:
    """A project with every format, and how often each has read."""

    project: Project
    counts: Counter[str]

    def register(self, name: str, folder: Path) -> ModelVersion:
        """A model of the format."""
        versioning = self.project.versioning
        if name in MLMODEL:
            text = versioning.version_model(name, model_path=folder_of_mlflow(folder / name, name))
        else:
            path = folder / f"{name}.model"
            self.project.stack.parts.formats[name].write(VALUES[name](), path)
            text = versioning.version_model(name, model_path=path)
        version = versioning.get_version(name, text)
        assert version.format == name
        return version

    def blob(self, sha256: str) -> Path:
        """Where the registry keeps bytes."""
        (found,) = (path for path in self.project.stack.root.rglob(sha256) if path.is_file())
        return found


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Reads]]:
    counts: Counter[str] = Counter()
    projects: list[Project] = []

    def open_one(*trust: str, formats: tuple[str, ...] = FORMATS) -> Reads:
        home = tmp_path / f"project {len(projects)}"
        home.mkdir()
        (home / "mlops.yaml").write_text(CONFIGURATION.format(formats=", ".join(formats), trust=", ".join(trust)))
        projects.append(Project.open(home))
        for name, one in projects[-1].stack.parts.formats.items():
            count_reads(type(one), name, counts, monkeypatch)
        return Reads(projects[-1], counts)

    yield open_one
    for project in projects:
        project.close()


def count_reads(kind: type, name: str, counts: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read: Any = kind.read  # type: ignore[attr-defined]  # every format has it

    def counted(self: Any, path: Path) -> Any:
        counts[name] += 1
        return read(self, path)

    monkeypatch.setattr(kind, "read", counted)


def corrupted(whole: bytes, rng: random.Random, others: list[bytes]) -> bytes | None:
    """Other bytes, or None for no file at all."""
    at, until = sorted(rng.choices(range(len(whole)), k=2))
    flipped = bytearray(whole)
    flipped[at] ^= 1 << rng.randrange(8)
    several = bytearray(whole)
    for place in rng.choices(range(len(whole)), k=8):
        several[place] = rng.randrange(256)
    return rng.choice(
        [
            bytes(flipped),
            bytes(several),
            whole[:at],
            whole[at + 1 :],
            whole[:at] + bytes(until - at) + whole[until:],
            whole[:at] + rng.randbytes(until - at) + whole[until:],
            whole[:at] + rng.randbytes(1) + whole[at:],
            whole + rng.randbytes(rng.randint(1, 100)),
            whole + whole,
            rng.choice(others),
            None,
        ]
    )


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_sees_what_was_corrupted_in_the_store(name: str, opened: Callable[..., Reads], tmp_path: Path) -> None:
    reads, rng = opened(*RUNNING), random.Random(f"corruption of {name}")
    version = reads.register(name, tmp_path)
    blobs = [reads.blob(file.blob.sha256) for file in version.files]
    originals = [path.read_bytes() for path in blobs]
    others = [reads.blob(file.blob.sha256).read_bytes() for file in reads.register("json" if name != "json" else "npy", tmp_path).files]
    done = 0
    while done < CORRUPTIONS // len(FORMATS):
        which = rng.randrange(len(blobs))
        whole, swapped = originals[which], [*others, *(one for one in originals if one != originals[which])]
        damaged = corrupted(whole, rng, swapped)
        if damaged == whole:
            continue
        blobs[which].chmod(0o600)
        blobs[which].unlink()
        if damaged is not None:
            blobs[which].write_bytes(damaged)
        with pytest.raises(VersioningError) as caught:
            reads.project.versioning.load_model(name)
        assert "\n" not in caught.value.message
        cause = caught.value.__cause__
        assert isinstance(cause, ArtifactError if damaged is None else CorruptArtifactError), caught.value.message
        assert reads.counts[name] == 0, caught.value.message
        blobs[which].write_bytes(whole)
        done += 1
    if name != "mlflow-pyfunc":  # whose code would run, and import MLflow
        reads.project.versioning.load_model(name)
        assert reads.counts[name] == 1


@pytest.mark.parametrize("name", ["onnx", "skops", "mlflow"])
def test_a_cached_copy_is_made_anew_where_it_was_changed(name: str, opened: Callable[..., Reads], tmp_path: Path) -> None:
    reads = opened()
    version = reads.register(name, tmp_path)
    artifacts = Artifacts(reads.project.stack)
    artifacts.predictor(version)
    cache = reads.project.stack.workdir / "cache" / "models"
    (copy,) = (path for path in cache.iterdir() if not path.name.startswith("scratch"))
    before = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    changes: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(b"x"),
        lambda path: (path.parent / "extra.py").write_bytes(b"x"),
        lambda path: path.unlink(),
    ]
    for change in changes:
        change(copy / next(iter(before)))
        artifacts.predictor(version)
        assert {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert reads.counts[name] == 4


@pytest.mark.parametrize("name", RUNNING)
def test_what_runs_code_is_read_only_where_it_is_trusted_by_its_own_name(name: str, opened: Callable[..., Reads], tmp_path: Path) -> None:
    others = [one for one in RUNNING if one != name]
    for number, trust in enumerate([(), tuple(others)]):
        reads = opened(*trust)
        folder = tmp_path / str(number)
        folder.mkdir()
        version = reads.register(name, folder)
        with pytest.raises(VersioningError, match=f"add '{name}' to 'models.trust'") as caught:
            reads.project.versioning.load_model(name)
        assert isinstance(caught.value.__cause__, UntrustedFormatError)
        with pytest.raises(UntrustedFormatError, match=f"reading {name} runs code"):
            Artifacts(reads.project.stack).predictor(version)
        assert reads.counts == {}
        assert not (folder / "marker").exists()


def test_joblib_is_read_where_it_is_trusted(opened: Callable[..., Reads], tmp_path: Path) -> None:
    reads = opened("joblib")
    reads.register("joblib", tmp_path)
    assert reads.project.versioning.load_model("joblib") == VALUES["joblib"]()


ENDINGS: Final = (*(f".{name}" for name in FORMATS), ".pkl", ".bin", ".safetensors", ".feather", ".json.gz", "")


def test_no_hostile_pickle_runs_whatever_it_is_called(opened: Callable[..., Reads], tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    hostile = hostile_pickles(marker)
    assert len(hostile) >= 50
    reads = opened()
    versioning, rng = reads.project.versioning, random.Random(0)
    for number, (kind, content) in enumerate(hostile.items()):
        endings = {ENDINGS[number % len(ENDINGS)], *rng.sample(ENDINGS, 3)}
        for ending in sorted(endings):
            path = tmp_path / f"model{ending}"
            path.write_bytes(content)
            declared = rng.choice([None, *FORMATS])
            version = versioning.get_version("hostile", versioning.version_model("hostile", model_path=path, format=declared))
            with pytest.raises(VersioningError) as caught:
                versioning.load_model("hostile", version.version)
            assert "\n" not in caught.value.message
            with pytest.raises(ArtifactError):
                Artifacts(reads.project.stack).predictor(version)
            path.unlink()
        assert not marker.exists(), kind
    assert {name: reads.counts[name] for name in RUNNING} == dict.fromkeys(RUNNING, 0)


def test_every_hostile_pickle_as_every_file_of_a_folder_of_mlflow(opened: Callable[..., Reads], tmp_path: Path) -> None:
    marker, folder = tmp_path / "marker", tmp_path / "model"
    reads = opened()
    for kind, content in hostile_pickles(marker).items():
        for name in ("model.onnx", "MLmodel", "requirements.txt"):
            folder_of_mlflow(folder, "mlflow")
            (folder / name).write_bytes(content)
            version = reads.project.versioning.version_model("hostile", model_path=folder)
            if name == "requirements.txt":  # nobody reads it
                reads.project.versioning.load_model("hostile", version)
            else:
                with pytest.raises(VersioningError):
                    reads.project.versioning.load_model("hostile", version)
            shutil.rmtree(folder)
        assert not marker.exists(), kind
