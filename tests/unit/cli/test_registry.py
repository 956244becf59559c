"""``mlops registry``."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.project import Project
from mlops_core.testing.memory_registry import MemoryRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mlops_core.records import Leftover

    from .conftest import Answer


@pytest.fixture
def target(project: Project, versions: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A profile whose registry is another one."""
    (tmp_path / "mlops.target.yaml").write_text("registry: {use: sqlite, path: target.db}\n")
    monkeypatch.setattr("mlops_core.clock.SystemClock.sleep", lambda *_: None)
    return "target"


def test_a_copy_to_the_registry_of_a_profile(mlops: Callable[..., Answer], target: str, versions: tuple[str, str]) -> None:
    told = mlops("registry", "copy", "--to", target)
    assert (told.code, told.err) == (0, "")
    assert told.out.endswith("equal\n")
    assert "acme    2" in told.out
    assert mlops("models", "versions", "line", "--profile", target).out.count("line") == 3
    (again,) = mlops("registry", "copy", "--to", target, "--json").json
    assert (again["tenant"], again["versions"], again["behind"]) == ("acme", 2, 0)


def test_a_copy_between_two_files(mlops: Callable[..., Answer], target: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mlops.yaml").write_text("version: 1\nregistry: {use: sqlite, path: second.db}\n")
    assert mlops("registry", "copy", "--to", target).code == 0
    assert mlops("registry", "copy", "--from", target, "--to", "other", "--tenant", "acme").code == 0
    assert (other / "second.db").is_file()
    assert mlops("registry", "copy", "--from", "other/mlops.yaml", "--to", target).out.endswith("equal\n")


def test_a_move_seals_the_source(mlops: Callable[..., Answer], target: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    told = mlops("registry", "copy", "--to", target, "--seal")
    assert told.out.endswith("equal, and the source is sealed: let every program use the copy from now on\n")
    monkeypatch.setattr("mlops_core.stack.sealed.SEAL_LOOK", 0)
    refused = mlops("models", "alias", "line", "champion", "1")
    assert refused.code == 1
    assert "its records were copied to target - use that one, or `mlops registry unseal`" in refused.err
    assert refused.err.count("\n") == 1
    assert mlops("registry", "unseal").out == "the registry takes writes again\n"
    assert mlops("registry", "unseal").out == "the registry was not sealed\n"
    assert mlops("models", "alias", "line", "champion", "1").code == 0


def test_what_cannot_be_copied(mlops: Callable[..., Answer], target: str, tmp_path: Path) -> None:
    for arguments, said in {
        ("--to", "nowhere"): "profile 'nowhere': there is no mlops.nowhere.yaml",
        ("--to", "no/such.yaml"): "project: 'no/such.yaml': no such file or folder",
        ("--to", target, "--from", target): "source and target are the same registry",
        ("--to", target, "--seal", "--tenant", "acme"): "--seal is for the whole store - leave --tenant out",
        ("--to", target, "--tenant", "../x"): "tenant: '../x' is not a name",
    }.items():
        told = mlops("registry", "copy", *arguments)
        assert said in told.err
        assert (told.code, told.err.count("\n")) == (2, 1)
    assert "no tenant 'nobody'" in mlops("registry", "copy", "--to", target, "--tenant", "nobody").err
    assert not (tmp_path / "target.db").exists()


def test_a_source_that_goes_on_is_told(mlops: Callable[..., Answer], target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_core.versioning import Compared

    monkeypatch.setattr("mlops_core.versioning.copy_registry", lambda *_, **__: (Compared("acme", behind=3),))
    told = mlops("registry", "copy", "--to", target)
    assert (told.code, told.out.splitlines()[-1]) == (1, "the source has 3 newer records - copy again, or with --seal to end it")


def leave(project: Project, *texts: bytes, tenant: str = "acme") -> None:
    for text in texts:
        project.stack.parts.registry.put_artifact(tenant, io.BytesIO(text), size=len(text))


def test_leftovers_are_listed_first_and_removed_when_asked(mlops: Callable[..., Answer], project: Project) -> None:
    leave(project, b"x" * 3000)
    leave(project, b"yy", tenant="rival")
    assert mlops("registry", "gc").out == "nothing is left over that is older than 1d\n"
    listed = mlops("registry", "gc", "--grace", "0s")
    assert listed.code == 0
    assert "blob  acme/" in listed.out
    assert listed.out.endswith("1 would go, 2.93 KiB - call again with --yes to remove them\n")
    found = mlops("registry", "gc", "--grace", "0s", "--all-tenants", "--json").json
    assert (found["dry_run"], found["removed"], sorted(one["size"] for one in found["left"])) == (True, [], [2, 3000])
    assert mlops("registry", "gc", "--grace", "0s", "--yes").out.startswith("Removed\n")
    found = mlops("registry", "gc", "--grace", "0s", "--yes", "--all-tenants", "--json").json
    assert [one["size"] for one in found["removed"]] == [2]
    assert mlops("registry", "gc", "--grace", "0s", "--all-tenants").out == "nothing is left over that is older than 0s\n"
    assert mlops("registry", "gc", "--grace", "5").code == 2


def test_what_is_only_marked_is_told(mlops: Callable[..., Answer], project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[Leftover] = []

    def discard(self: MemoryRegistry, leftover: Leftover) -> bool:
        marked.append(leftover)
        return leftover.size == 1

    monkeypatch.setattr(MemoryRegistry, "discard", discard)
    leave(project, b"x", b"yy")
    told = mlops("registry", "gc", "--grace", "0s", "--yes").out
    assert len(marked) == 2
    assert told.index("Removed\n") < told.index("1 bytes") < told.index("Not removed\n") < told.index("2 bytes")
    assert told.endswith("these are in use again, or only marked: a store that needs two steps removes them when asked again later\n")


@pytest.mark.parametrize(("size", "shown"), [(0, "0 bytes"), (1024, "1 KiB"), (5 << 30, "5 GiB"), (3 << 50, "3072 TiB")])
def test_sizes(size: int, shown: str) -> None:
    from mlops_core.cli.registry import _size

    assert _size(size) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(3, "3s"), (90, "2m"), (7200, "2h"), (90000, "1d")])
def test_ages(seconds: float, shown: str) -> None:
    from mlops_core.cli.registry import _age

    assert _age(seconds) == shown


def test_a_migration_says_what_it_does(mlops: Callable[..., Answer], project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mlops("registry", "migrate").out == "nothing to do\n"
    done: list[bool] = []

    def migrate(self: Any, *, dry_run: bool) -> Sequence[str]:
        done.append(dry_run)
        return ("schema 1 -> 2: an index of runs",)

    monkeypatch.setattr(MemoryRegistry, "migrate", migrate)
    said = mlops("registry", "migrate", "--dry-run").out
    assert said == "schema 1 -> 2: an index of runs\nnothing was changed - call again without --dry-run\n"
    assert mlops("registry", "migrate", "--json").json == {"dry_run": False, "steps": ["schema 1 -> 2: an index of runs"]}
    assert done == [True, False]


def test_a_pair_of_keys_is_made_and_signs(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    made = mlops("registry", "keygen", "model.key", "--json").json
    assert (made["private"], made["public"]) == ("model.key", "model.key.pub")
    again = mlops("registry", "keygen", "model.key")
    assert (again.code, again.err) == (2, "mlops: keygen: model.key: it is there already - give another path; nothing is overwritten\n")
    said = mlops("registry", "keygen", "other.key").out
    assert said.endswith('to sign: registry: {sign: {key: "${file:other.key}"}}\n')
    configuration = (tmp_path / "mlops.yaml").read_text()
    signing = '{use: sqlite, path: signed.db, sign: {key: "${file:model.key}", require: true}}'
    (tmp_path / "mlops.yaml").write_text(configuration.replace('"mlops_core.testing.memory_registry:MemoryRegistry"', signing))
    (tmp_path / "model").write_text("line 2")
    with Project.open(tmp_path) as signed:
        signed.versioning.version_model("line", model_path=tmp_path / "model")
    assert f"signed by   {made['key_id']}" in mlops("models", "show", "line").out
    assert mlops("check", "--connect").code == 0
    (tmp_path / "model.key").write_text("no key of any kind")
    told = mlops("check", "--connect")
    assert told.err.startswith("mlops.yaml:6:54: registry.sign.key: it is no private Ed25519 key in PEM without a password - make one")
