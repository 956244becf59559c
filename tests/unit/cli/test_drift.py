"""``mlops drift``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    rng = np.random.default_rng(3)
    made = {}
    for name, shift in (("reference", 0.0), ("same", 0.0), ("moved", 1.0)):
        rows = "\n".join(f"{a:.6f},{b:.6f}" for a, b in zip(rng.normal(size=300), rng.normal(shift, size=300), strict=True))
        (tmp_path / f"{name}.csv").write_text(f"a,b\n{rows}\n")
        made[name] = str(tmp_path / f"{name}.csv")
    return made


def test_exit_codes(mlops: Callable[..., Answer], project: Project, files: dict[str, str]) -> None:
    assert mlops("drift", files["reference"], files["same"]).code == 0
    moved = mlops("drift", files["reference"], files["moved"])
    assert moved.code == 3
    assert moved.out.splitlines()[-1].startswith("drift in b: smallest adjusted p ")
    assert mlops("drift", files["reference"], files["moved"], "--columns", "a").code == 0
    told = mlops("drift", files["reference"], files["moved"], "--tests", "ks,psi", "--threshold", "0.01", "--json").json
    assert {one["test"] for one in told["outcomes"]} == {"ks", "psi"}


@pytest.mark.parametrize(("name", "begins"), [("drift.html", "<!doctype html>"), ("drift.md", "**Drift in b"), ("drift.json", "{")])
def test_a_report_is_written(
    mlops: Callable[..., Answer], project: Project, files: dict[str, str], tmp_path: Path, name: str, begins: str
) -> None:
    assert mlops("drift", files["reference"], files["moved"], "--report", str(tmp_path / name)).code == 3
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


def test_long_tables_are_cut_to_what_matters(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    names = [f"c{number}" for number in range(20)]
    for name, shift in (("before", 0.0), ("after", 2.0)):
        values = rng.normal(size=(100, 20))
        values[:, 7] += shift
        rows = "\n".join(",".join(f"{value:.6f}" for value in row) for row in values)
        (tmp_path / f"{name}.csv").write_text(f"{','.join(names)},{name}\n" + "\n".join(f"{row},1" for row in rows.splitlines()) + "\n")
    files = (str(tmp_path / "before.csv"), str(tmp_path / "after.csv"))
    shown = mlops("drift", *files).out.splitlines()
    assert shown[2].split()[0] == "c7"
    assert shown[2].endswith("drift")
    assert shown[-3] == "9 more without drift - `--all` shows them"
    assert shown[-2] == "not compared: after, before"
    everything = mlops("drift", *files, "--all").out
    assert all(f"  {name} " in everything for name in names)


def test_mistakes(mlops: Callable[..., Answer], project: Project, files: dict[str, str]) -> None:
    for args, code, says in (
        ([files["same"]], 2, "give two files, or --model MODEL and one file"),
        ([files["same"], "missing.csv"], 2, "there is no such file"),
        ([files["same"], files["same"], "--threshold", "2"], 2, "threshold"),
        ([files["same"], files["same"], "--columns", "z"], 2, "z"),
        ([files["same"], "--model", "line"], 1, "line"),
        ([files["same"], files["same"], "--report", "drift.pdf"], 2, ".html, .md, .json"),
        ([files["same"], files["same"], "--report", "no/such/drift.html"], 1, "cannot be written"),
    ):
        answer = mlops("drift", *args)
        assert (answer.code, answer.err.count("\n")) == (code, 1), answer.err
        assert says in answer.err


def test_kinds_are_declared(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for name, longer in (("before", 0), ("after", 8)):
        rows = "\n".join(
            f"{zipcode},{'x' * length}" for zipcode, length in zip(rng.integers(1, 4, 200), rng.poisson(20 + longer, 200), strict=True)
        )
        (tmp_path / f"{name}.csv").write_text(f"zip=code,note\n{rows}\n")
    files = (str(tmp_path / "before.csv"), str(tmp_path / "after.csv"))
    told = mlops("drift", *files, "--tests", "ks,chi2", "--schema", "zip=code=category,note=text", "--json")
    assert told.code == 3
    assert {(one["column"], one["test"]) for one in told.json["outcomes"]} == {("zip=code", "chi2"), ("note", "ks"), ("note", "chi2")}
    wrong = mlops("drift", *files, "--schema", "text")
    assert (wrong.code, "'text' is not written COLUMN=KIND" in wrong.err) == (2, True)
    unknown = mlops("drift", *files, "--schema", "note=txt")
    assert (unknown.code, "did you mean 'text'?" in unknown.err) == (2, True)
