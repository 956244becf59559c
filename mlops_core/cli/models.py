"""``mlops models``: what is registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlops_core.cli.group import DefaultGroup
from mlops_core.cli.options import Session, project_options
from mlops_core.cli.output import age, cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlops_core.records import ModelVersion

__all__ = ["command"]

_SHOWN_DIGEST = 12
_SHOWN_METADATA = 3


@click.group("models", cls=DefaultGroup)
def command() -> None:
    """Registered models and their versions. Without a subcommand: the list of models."""


@command.command("list")
@project_options
def _list(session: Session) -> None:
    """Models, with their newest version and aliases."""
    versioning = session.project.versioning
    found: list[dict[str, Any]] = [
        {
            "model": name,
            "versions": len(versions := versioning.list_versions(name)),
            "newest": versions[-1].version,
            "registered": versions[-1].created,
            "aliases": {alias.name: alias.version for alias in versioning.list_aliases(name)},
        }
        for name in versioning.models()
    ]
    session.out.record(found)
    now = session.project.stack.clock.now()
    rows = [
        (
            one["model"],
            one["versions"],
            one["newest"],
            age(one["registered"], now),
            ", ".join(f"{alias} -> {version}" for alias, version in one["aliases"].items()),
        )
        for one in found
    ]
    session.out.table("Models", ("model", "versions", "newest", "registered", "aliases"), rows, empty="none is registered yet")


@command.command("versions")
@click.argument("model")
@click.option("--filter", "filter_string", default="", help='Such as "accuracy >= 0.9 order by accuracy desc".')
@project_options
def _versions(session: Session, model: str, filter_string: str) -> None:
    """Versions of MODEL, oldest first."""
    versioning = session.project.versioning
    found = versioning.find(filter_string, model_id=model).items
    if not found:
        versioning.get_version(model)  # raises where there is no such model
    session.out.record(found)
    session.out.table(
        f"Versions of {model}",
        ("version", "registered", "format", "digest", "run", "metadata"),
        _version_rows(session, found),
        empty="none found",
    )


def _version_rows(session: Session, found: Iterable[ModelVersion]) -> list[tuple[object, ...]]:
    now = session.project.stack.clock.now()
    return [
        (
            one.version,
            age(one.created, now),
            one.format,
            one.digest[:_SHOWN_DIGEST],
            one.run_id,
            ", ".join(f"{name}={cell(one.metadata[name])}" for name in list(_metadata(one))[:_SHOWN_METADATA]),
        )
        for one in found
    ]


@command.command("show")
@click.argument("model")
@click.argument("version", required=False)
@project_options
def _show(session: Session, model: str, version: str | None) -> None:
    """One version of MODEL: a name, @ALIAS, or the newest."""
    found = session.project.versioning.get_version(model, version)
    session.out.record(found)
    session.out.pairs(
        f"{found.model} {found.version}",
        {
            "registered": found.created,
            "format": found.format,
            "digest": found.digest,
            "run": found.run_id,
            **({"signed by": found.signature.key_id} if found.signature is not None else {}),
            **{f"metadata.{name}": value for name, value in _metadata(found).items()},
            "files": ", ".join(f"{file.path} ({file.blob.size} bytes)" for file in found.files),
            "artifacts": ", ".join(found.artifacts),
            **_inputs(found),
        },
    )


def _metadata(version: ModelVersion) -> dict[str, Any]:
    """What is kept with a version; the figure of the trivial model stands beside the metric that it belongs to."""
    kept = version.metadata
    paired = {name: f"baseline_{name}" for name in kept if f"baseline_{name}" in kept}
    return {
        name: f"{cell(value)} (baseline {cell(kept[paired[name]])})" if name in paired else value
        for name, value in kept.items()
        if name not in paired.values()
    }


def _inputs(version: ModelVersion) -> dict[str, str]:
    """Names of the input columns by their type."""
    by_type: dict[str, list[str]] = {}
    for column in version.schema.inputs if version.schema else ():
        by_type.setdefault(column.dtype, []).append(column.name)
    return {f"inputs of {dtype} ({len(names)})": ", ".join(names) for dtype, names in by_type.items()}


@command.command("lineage")
@click.argument("model")
@click.argument("version", required=False)
@click.option("--format", "form", type=click.Choice(["text", "mermaid", "svg"]), default="text", show_default=True, help="How to print it.")
@project_options
def _lineage(session: Session, model: str, version: str | None, form: str) -> None:
    """Where a version comes from, and what comes from it: a tree, a Mermaid diagram, or a picture for a file."""
    lineage = session.project.versioning.get_lineage(model, version)
    session.out.record(lineage)
    session.out.line({"text": lineage.to_text, "mermaid": lineage.to_mermaid, "svg": lineage.to_svg}[form]().rstrip("\n"))


@command.command("diff")
@click.argument("model")
@click.argument("before")
@click.argument("after")
@project_options
def _diff(session: Session, model: str, before: str, after: str) -> None:
    """What differs between two versions of MODEL."""
    found = session.project.versioning.diff(model, before, after)
    session.out.record(found)
    session.out.line(found.to_text())


@command.command("alias")
@click.argument("model")
@click.argument("alias")
@click.argument("version", required=False)
@click.option("--delete", is_flag=True, help="Let the alias point to nothing.")
@project_options
def _alias(session: Session, model: str, alias: str, version: str | None, delete: bool) -> None:  # noqa: FBT001  click passes flags so
    """Point ALIAS to VERSION; without a version, show the alias's history."""
    if delete and version is not None:
        raise click.UsageError(f"--delete takes no version, got {version!r} - leave one of them out")
    versioning = session.project.versioning
    if delete:
        versioning.delete_alias(model, alias)
        session.out.record(versioning.alias_history(model, alias)[-1])
        session.out.line(f"{model}: alias {alias} deleted")
    elif version is not None:
        moved = versioning.set_alias(model, alias, version)
        session.out.record(moved)
        session.out.line(f"{model}: alias {alias} -> {moved.version}")
    else:
        history = versioning.alias_history(model, alias)
        if not history:
            versioning.get_version(model)  # as above
        session.out.record(history)
        session.out.table(
            f"{model}: alias {alias}",
            ("generation", "version", "since"),
            [(one.generation, one.version, one.at) for one in history],
            empty="was never set",
        )


@command.command("download")
@click.argument("model")
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path))
@project_options
def _download(session: Session, model: str, version: str, folder: Path) -> None:
    """Write the verified files of a version into FOLDER."""
    written = session.project.versioning.download(model, version, folder)
    session.out.record({"path": str(written)})
    session.out.line(f"{model} {version} -> {written}")


@command.command("delete")
@click.argument("model")
@click.argument("version")
@click.option("--reason", default="", help="Kept with the tombstone.")
@project_options
def _delete(session: Session, model: str, version: str, reason: str) -> None:
    """Hide a version; its name stays taken."""
    session.project.versioning.delete_version(model, version, reason)
    session.out.record({"model": model, "version": version, "reason": reason})
    session.out.line(f"{model} {version}: deleted")
