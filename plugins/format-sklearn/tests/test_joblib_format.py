from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlops_core.exceptions import ArtifactError
from mlops_core.testing.format_suite import FormatSuite
from mlops_core.testing.hostile import hostile_pickles
from mlops_format_sklearn import mlops_format
from mlops_format_sklearn.joblib_format import JoblibFormat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class TestJoblibFormatConforms(FormatSuite):
    def format(self) -> JoblibFormat:
        return JoblibFormat()

    def values(self) -> Sequence[Any]:
        return [{"w": [1.5, None], "k": {1, 2}}, (1, 2), "text", np.float64(2.0), {"a": b"\x00" * 300_000}]

    def refused(self) -> Sequence[Any]:
        return [lambda: None, threading.Lock(), Sulky()]

    def foreign(self) -> Mapping[str, bytes]:
        return {**super().foreign(), "word that begins as an opcode": b"a.\n", "xylophone": b"xylophone\n" * 9, "BZh": b"BZh9 no archive"}


class Sulky:
    """Refuses to be pickled in its own way."""

    def __reduce__(self) -> Any:
        raise RuntimeError("no")


def test_accepting_says_no_to_a_plain_object_only_where_it_does_not_pickle() -> None:
    assert JoblibFormat().accepts(object())


def test_the_hook_hands_over_the_class_of_that_name() -> None:
    assert mlops_format("joblib") is JoblibFormat
    assert JoblibFormat.runs_code


@pytest.mark.parametrize("compress", [0, 3, ("zlib", 9), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)], ids=str)
@pytest.mark.parametrize("protocol", range(6))
def test_every_disguise_of_joblib_is_recognised(compress: Any, protocol: int, tmp_path: Path) -> None:
    joblib.dump({"weights": np.arange(1000.0), "name": "m"}, tmp_path / "model.json", compress=compress, protocol=protocol)
    assert JoblibFormat().sniff(tmp_path / "model.json")


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_is_recognised(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(pickle.dumps(LogisticRegression(), protocol=protocol))
    assert JoblibFormat().sniff(tmp_path / "model")
    assert JoblibFormat().read(tmp_path / "model").C == 1.0


def test_nearly_every_hostile_file_is_recognised_for_what_it_is(tmp_path: Path) -> None:
    unseen = set()
    for name, content in hostile_pickles(tmp_path / "marker").items():
        (tmp_path / "file").write_bytes(content)
        if not JoblibFormat().sniff(tmp_path / "file"):
            unseen.add(name)
    assert all(name.startswith("packed ") for name in unseen), unseen
    assert len(unseen) == 8  # arrays and archives, which joblib does not read
    assert not (tmp_path / "marker").exists()


def test_a_file_that_cannot_be_unpickled_is_one_typed_line(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"\x80\x04cno_such_module\nThing\n.")
    with pytest.raises(ArtifactError, match="format joblib: model cannot be read: ModuleNotFoundError") as caught:
        JoblibFormat().read(tmp_path / "model")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_zip_is_no_pickle_whatever_bytes_follow(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"PK\x03\x04\nS'\\\xa4'\n.")  # as opcodes: a persistent id, then text with a bad escape
    assert not JoblibFormat().sniff(path)
    path.write_bytes(b"S'\\\xa4'\n.")
    JoblibFormat().sniff(path)  # warns of nothing, whatever it answers
