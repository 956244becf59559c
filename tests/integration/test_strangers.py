"""A stranger's distribution whose module raises at import, in every group, harms only who names it."""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import Project
from mlops_core.cli import main
from mlops_core.plugins import GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .conftest import Call

MEMORY = "mlops_core.testing.memory_{0}:Memory{1}"
PROJECT: dict[str, Any] = {
    "version": 1,
    "project": "strangers",
    "tracker": MEMORY.format("tracker", "Tracker"),
    "registry": "sqlite",
    "environments": {"staging": MEMORY.format("deployer", "Deployer")},
    "channels": {"ops": "log"},
    "monitoring": {"sinks": ["sqlite"]},
    "drift": {"tests": ["ks"]},
    "formats": ["json"],
    "observers": [],
    "executor": "inline",
    "pipeline": {"name": "strangers", "model": "line", "stages": {"collect": {"use": "./stages.py:collect"}}},
}
PLACES = {
    "tracker": ("tracker",),
    "registry": ("registry",),
    "deployer": ("environments", "staging"),
    "sink": ("monitoring", "sinks", 0),
    "drift": ("drift", "tests", 0),
    "stage": ("pipeline", "stages", "collect", "use"),
    "format": ("formats", 0),
    "executor": ("executor",),
    "alert": ("channels", "ops"),
    "observer": ("observers", 0),
}
CAUSE = "(acme-bombs 1.2): raises at import: RuntimeError: no luck today"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a process that has the stranger installed: a plugin called ``bomb`` in every group."""
    site = tmp_path_factory.mktemp("site")
    (site / "acme_bomb.py").write_text("raise RuntimeError('no luck\\ntoday')\n")
    info = site / "acme_bombs-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-bombs\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("\n".join(f"[{group.entry_points}]\nbomb = acme_bomb\n" for group in GROUPS.values()))
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))}


def project(folder: Path, role: str | None = None) -> None:
    """A project, whose configuration names the stranger in the place of one role."""
    configuration = copy.deepcopy(PROJECT)
    if role is not None:
        *way, last = PLACES[role]
        inner: Any = configuration
        for key in way:
            inner = inner[key]
        if last == 0:
            inner[:] = ["bomb"]
        else:
            inner[last] = "bomb"
    (folder / "mlops.yaml").write_text(json.dumps(configuration))
    (folder / "stages.py").write_text("def collect():\n    return [1, 2]\n")


def test_the_groups_of_this_test_are_all_groups() -> None:
    assert list(PLACES) == list(GROUPS)
    assert len(PLACES) == 10


def test_who_does_not_name_it_never_notices(mlops: Call, stranger: Mapping[str, str], tmp_path: Path) -> None:
    project(tmp_path)
    for arguments in (["--help"], ["plugins"], ["check"], ["run"], ["status"]):
        answer = mlops(*arguments, folder=tmp_path, further=stranger)
        assert (answer.code, answer.err) == (0, ""), arguments
        assert "no luck" not in answer.out


def test_it_is_listed_without_being_imported(mlops: Call, stranger: Mapping[str, str]) -> None:
    answer = mlops("plugins", "--json", further=stranger)
    listed = {f"{one['role']}.{one['name']}": one["distribution"] for one in answer.json}
    assert {name for name, distribution in listed.items() if distribution == "acme-bombs"} == {f"{role}.bomb" for role in GROUPS}
    assert {"tracker.mlflow", "registry.sqlite", "deployer.local"} < set(listed)


def test_loading_all_shows_it_in_one_line_for_each_group(mlops: Call, stranger: Mapping[str, str]) -> None:
    answer = mlops("plugins", "--load", further=stranger)
    assert (answer.code, answer.err) == (1, "")
    lines = [line for line in answer.out.splitlines() if "raises at import" in line]
    assert lines == [f"{role}.bomb {CAUSE}" for role in sorted(GROUPS)]
    loads = {line.split()[0]: line.split()[-1] for line in answer.out.splitlines() if line.startswith("  ") and "." in line}
    assert {name for name, loaded in loads.items() if loaded != "yes"} == {f"{role}.bomb" for role in GROUPS}


@pytest.mark.parametrize("role", GROUPS)
def test_who_names_it_is_told_in_one_line(
    role: str, stranger: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(stranger["PYTHONPATH"].partition(os.pathsep)[0])
    project(tmp_path, role)
    with pytest.raises(SystemExit) as ended:
        main(["check", "--project", str(tmp_path)])
    told = capsys.readouterr()
    assert (ended.value.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert told.err.startswith("mlops.yaml:1:")
    assert told.err.endswith(f"{role}.bomb {CAUSE}\n")


@pytest.mark.parametrize(("role", "code"), [("tracker", 1), ("stage", 2), ("observer", 1)])
def test_a_run_that_needs_it_ends_in_one_line_before_it_began(
    mlops: Call, stranger: Mapping[str, str], tmp_path: Path, role: str, code: int
) -> None:
    project(tmp_path, role)
    answer = mlops("run", folder=tmp_path, further=stranger)
    assert (answer.code, answer.out) == (code, "")
    assert answer.line.startswith("mlops: ")
    assert answer.line.endswith(f"{role}.bomb {CAUSE}")
    project(tmp_path)
    with Project.open(tmp_path) as opened:
        assert opened.pipeline().runs() == ()
