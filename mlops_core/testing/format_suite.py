"""What every format must do: derive from ``FormatSuite`` in a test, give the format and some values, and pytest runs the rest."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
import tracemalloc
import zipfile
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from mlops_core.exceptions import ArtifactError, CapabilityError
from mlops_core.roles import Format
from mlops_core.testing.hostile import hostile_pickles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["FormatSuite", "foreign_files"]

_MEMORY: Final = 32 << 20
_HOLE: Final = 1 << 32


def foreign_files() -> dict[str, bytes]:
    """Small files of other kinds, by what they are: none may be taken for one's own."""
    archive, model = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as plain:
        plain.writestr("notes.txt", "nothing to load")
    with zipfile.ZipFile(model, "w") as skops:
        skops.writestr("schema.json", '{"__class__": "int", "__module__": "builtins", "__loader__": "JsonNode", "protocol": 2}')
    return {
        "empty": b"",
        "text": b"Readme. This is no data, only words.\n",
        "csv": b"a,b\n1,2\n3,4\n",
        "csv.gz": gzip.compress(b"a,b\n1,2\n" * 50),
        "zip": archive.getvalue(),
        "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        "noise": bytes(range(255, 0, -1)) * 9,
        "json": b'{"a": [1, 2.5, null]}\n',
        "npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }".ljust(127) + b"\n",
        "parquet": b"PAR1" + b"\x15\x04" * 40 + b"\x10\x00\x00\x00PAR1",
        "arrow": b"ARROW1\x00\x00" + b"\xff" * 40 + b"\x10\x00\x00\x00ARROW1",
        "skops": model.getvalue(),
        "joblib": pickle.dumps({"weights": [1.0, 2.0]}),
    }


class FormatSuite:
    """Conformance of one format. Override ``format`` and ``values``; ``refused`` and ``same`` where the defaults do not fit."""

    @abstractmethod
    def format(self) -> Format:
        """A new instance of the format."""

    @abstractmethod
    def values(self) -> Sequence[Any]:
        """Values that it holds, the usual and the odd ones."""

    def refused(self) -> Sequence[Any]:
        """Values that it cannot hold without loss."""
        return [object(), lambda: None]

    def same(self, left: Any, right: Any) -> bool:
        """Whether a value came back as it went."""
        return type(left) is type(right) and bool(left == right)

    def foreign(self) -> Mapping[str, bytes]:
        """Files of other formats, by name."""
        return {name: content for name, content in foreign_files().items() if name != self.format().name}

    def test_declares_itself(self) -> None:
        """The contract stands in the class's own body, and every option explains itself."""
        kind: Any = type(self.format())
        assert issubclass(kind, Format)
        assert vars(kind).get("contract") == 1
        assert kind.name
        options = [one for one in attrs.fields(kind) if one.init]
        assert [one.name for one in options if not one.metadata.get("help")] == []

    def test_round_trip(self, tmp_path: Path) -> None:
        """What is written is recognised and comes back the same, whatever the file is called."""
        for number, value in enumerate(self.values()):
            one, path = self.format(), tmp_path / f"{number}.bin"
            assert one.accepts(value)
            one.write(value, path)
            assert one.sniff(path)
            assert self.same(value, one.read(path))

    def test_refuses_what_it_cannot_hold(self, tmp_path: Path) -> None:
        """A value that it does not accept is an error, and no file."""
        for value in self.refused():
            one, path = self.format(), tmp_path / "refused"
            assert not one.accepts(value)
            with pytest.raises(ArtifactError):
                one.write(value, path)
            assert not path.exists()

    def test_accepting_imports_nothing(self) -> None:
        """A value is recognised without the library that it might have come from."""
        before = set(sys.modules)
        self.format().accepts(object())
        assert set(sys.modules) == before

    def test_sniff_refuses_other_formats(self, tmp_path: Path) -> None:
        """Content of another kind is told apart, under any name."""
        wrong = []
        for name, content in self.foreign().items():
            path = tmp_path / f"file.{self.format().name}"
            path.write_bytes(content)
            if self.format().sniff(path):
                wrong.append(name)
        assert wrong == []
        assert not self.format().sniff(tmp_path)

    def test_sniff_is_bounded(self, tmp_path: Path) -> None:
        """A file of 4 GiB costs no more memory than a small one."""
        path = tmp_path / "large"
        self.format().write(self.values()[0], path)
        if path.is_dir():
            path = max((one for one in path.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
        with path.open("r+b") as stream:
            stream.truncate(_HOLE)
        self.format().sniff(path)  # whatever is imported at the first use is not counted
        tracemalloc.start()
        try:
            self.format().sniff(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < _MEMORY

    def test_sniff_executes_nothing(self, tmp_path: Path) -> None:
        """Looking at a hostile file runs none of it; reading it does not either, unless the format says that it runs code."""
        marker = tmp_path / "marker"
        for name, content in hostile_pickles(marker).items():
            one, path = self.format(), tmp_path / "hostile"
            path.write_bytes(content)
            one.sniff(path)
            if not one.runs_code:
                with pytest.raises(ArtifactError):
                    one.read(path)
            assert not marker.exists(), name

    def test_damage_is_an_artifact_error(self, tmp_path: Path) -> None:
        """A file that was cut short or emptied is refused with the typed error, and a flipped byte raises no other."""
        one, path = self.format(), tmp_path / "whole"
        one.write(self.values()[0], path)
        if path.is_dir():
            return
        whole = path.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2]):
            path.write_bytes(damaged)
            with pytest.raises(ArtifactError):
                one.read(path)
        for at in range(0, len(whole), max(1, len(whole) // 50)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            try:
                one.read(path)
            except ArtifactError as error:
                assert "\n" not in error.message  # noqa: PT017  the error is allowed, not demanded: a flip may hit padding

    def test_predicts_or_says_that_it_does_not(self) -> None:
        """Without the capability ``predict`` the answer is the typed error."""
        one = self.format()
        if "predict" not in one.capabilities:
            with pytest.raises(CapabilityError):
                one.predictor(self.values()[0], None)
