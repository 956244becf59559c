"""Tables that a command is given."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mlops_core.cli.tables import read_table
from mlops_core.exceptions import ConfigError, MLOpsError

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.project import Project


def test_numbers_text_and_missing(project: Project, tmp_path: Path) -> None:
    text = '\ufeffn,t\n1,a\n,"b,c"\nNA,\n2.5e3,d\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("a.csv", "a.csv.gz"):
        table = read_table(tmp_path / name, project.stack)
        assert np.array_equal(table["n"], [1.0, np.nan, np.nan, 2500.0], equal_nan=True)
        assert table["t"].tolist() == ["a", "b,c", None, "d"]


def test_other_formats_by_content(project: Project, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4))
    assert read_table(tmp_path / "a.npy", project.stack).tolist() == [0, 1, 2, 3]


def test_a_header_alone_is_an_empty_table(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    assert read_table(tmp_path / "a.csv", project.stack) == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"a,b,a\n1,2,3\n", "a.csv:1: several columns are called 'a' - rename all but one"),
        (b"a,b\n1\n", "a.csv:2: 1 fields, the header has 2"),
        (b"a\n\xff\xfe\n", "not a CSV file in UTF-8"),
    ],
)
def test_what_is_no_csv(project: Project, tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        read_table(tmp_path / "a.csv", project.stack)


def test_what_is_no_gzip_and_no_format(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"plain")
    with pytest.raises(ConfigError, match="not a CSV file"):
        read_table(tmp_path / "a.csv.gz", project.stack)
    (tmp_path / "a.bin").write_bytes(b"\0\1\2")
    with pytest.raises(MLOpsError, match="add its format to 'formats'"):
        read_table(tmp_path / "a.bin", project.stack)
    (tmp_path / "a.npy").write_bytes(b"\0\1\2")
    with pytest.raises(MLOpsError, match="it is no whole npy file: write it anew"):
        read_table(tmp_path / "a.npy", project.stack)
