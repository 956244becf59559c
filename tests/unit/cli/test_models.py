"""``mlops models``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.records import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


def test_nothing_is_registered_at_first(mlops: Callable[..., Answer], project: Project) -> None:
    assert mlops("models").out == "Models: none is registered yet\n"


def test_models_and_their_versions(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    (model,) = mlops("models", "list", "--json").json
    assert (model["model"], model["versions"], model["newest"]) == ("line", 2, versions[1])
    assert "line" in mlops("models").out
    assert "slope=3" in mlops("models", "versions", "line", "--filter", "slope > 2").out
    assert "slope=2" not in mlops("models", "versions", "line", "--filter", "slope > 2").out
    assert mlops("models", "versions", "line", "--filter", "slope >").code == 2


def test_one_version(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    shown = mlops("models", "show", "line", versions[0])
    assert "metadata.slope  2" in shown.out
    assert mlops("models", "show", "line", "--json").json["metadata"] == {"slope": 3}


def test_figures_stand_beside_their_baseline_and_columns_by_type(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("line 2")
    schema = Schema(inputs=(Column("x", "float64"), Column("day", "string"), Column("y", "float64")))
    metadata = {"auc": 0.912345, "baseline_auc": 0.5, "baseline_only": 1}
    project.versioning.version_model("line", model_path=tmp_path / "model", metadata=metadata, schema=schema)
    shown = " ".join(mlops("models", "show", "line").out.split())
    assert "metadata.auc 0.9123 (baseline 0.5)" in shown
    assert "metadata.baseline_only 1" in shown
    assert "metadata.baseline_auc" not in shown
    assert "inputs of float64 (2) x, y inputs of string (1) day" in shown
    assert "auc=0.9123, baseline_only=1" in mlops("models", "versions", "line").out


def test_lineage_and_difference(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    assert "line" in mlops("models", "lineage", "line").out
    assert mlops("models", "lineage", "line", "--format", "mermaid").out.startswith(("graph", "flowchart"))
    assert mlops("models", "lineage", "line", "--format", "svg").out.startswith("<svg")
    assert mlops("models", "lineage", "line", "--format", "png").code == 2
    assert "slope" in mlops("models", "diff", "line", *versions).out


def test_aliases(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    assert mlops("models", "alias", "line", "champion", versions[0]).out == "line: alias champion -> 1\n"
    assert mlops("models", "alias", "line", "champion", versions[1]).code == 0
    assert "champion -> 2" in mlops("models").out
    assert [one["version"] for one in mlops("models", "alias", "line", "champion", "--json").json] == list(versions)
    assert mlops("models", "alias", "line", "champion", "--delete").out == "line: alias champion deleted\n"
    assert mlops("models", "show", "line", "@champion").code == 1


def test_a_model_that_is_not_there_is_an_error(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    for words in (("versions", "lime"), ("alias", "lime", "champion"), ("show", "lime"), ("lineage", "lime")):
        answer = mlops("models", *words)
        assert (answer.code, answer.out) == (1, "")
        assert "no model 'lime'" in answer.err
    assert mlops("models", "versions", "line", "--filter", "slope > 9").out == "Versions of line: none found\n"
    assert mlops("models", "alias", "line", "champion").out == "line: alias champion: was never set\n"


def test_deleting_an_alias_takes_no_version(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    mlops("models", "alias", "line", "champion", versions[0])
    answer = mlops("models", "alias", "line", "champion", versions[0], "--delete")
    assert (answer.code, answer.out) == (2, "")
    assert "--delete takes no version" in answer.err
    assert "champion -> 1" in mlops("models").out


def test_what_was_deleted_is_a_record(mlops: Callable[..., Answer], versions: tuple[str, str]) -> None:
    mlops("models", "alias", "line", "champion", versions[0])
    assert mlops("models", "alias", "line", "champion", "--delete", "--json").json["version"] is None
    deleted = {"model": "line", "version": versions[0], "reason": "too steep"}
    assert mlops("models", "delete", "line", versions[0], "--reason", "too steep", "--json").json == deleted


def test_download_and_delete(mlops: Callable[..., Answer], versions: tuple[str, str], tmp_path: Path) -> None:
    answer = mlops("models", "download", "line", "1", str(tmp_path / "out"))
    assert answer.out.startswith("line 1 -> ")
    assert (tmp_path / "out" / "model").read_text() == "line 2"
    assert mlops("models", "delete", "line", "1", "--reason", "too steep").out == "line 1: deleted\n"
    assert [one["version"] for one in mlops("models", "versions", "line", "--json").json] == ["2"]
