"""``mlops registry``: the store that keeps versions, aliases, deployments and runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mlops_core.cli.options import DURATION, Session, project_options
from mlops_core.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from mlops_core.project import Project
    from mlops_core.records import Leftover
    from mlops_core.stack import Stack
    from mlops_core.versioning import Compared

__all__ = ["command"]

_FILES: Final = (".yaml", ".yml")
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


@click.group("registry")
def command() -> None:
    """The store that keeps versions, aliases, deployments and runs."""


@command.command("copy")
@click.option("--to", "target", required=True, help="The registry to copy to: of a profile, or of another configuration file.")
@click.option("--from", "source", help="The registry to copy from, named likewise. Default: the project's.")
@click.option("--seal", "sealing", is_flag=True, help="Let the source refuse writes, and copy what came meanwhile.")
@project_options
def _copy(session: Session, target: str, source: str | None, sealing: bool) -> int:  # noqa: FBT001  click passes flags so
    """Copy everything to another registry, go on with a copy that was cut short, and compare the two.

    Nothing is overwritten. Without --tenant, every tenant is copied. Exits 1 if the source holds more than the copy by then.
    """
    from mlops_core.versioning import copy_registry, move_registry

    if sealing and session.tenant is not None:
        raise click.UsageError("--seal is for the whole store - leave --tenant out")
    with _opened(session, source) as old, _opened(session, target) as new:
        _check_apart(old.stack, new.stack)
        stores = (old.stack.parts.registry, new.stack.parts.registry)
        with session.out.busy("copying") as said:
            if sealing:
                found = move_registry(*stores, target, said=said)
            else:
                found = copy_registry(*stores, None if session.tenant is None else (session.tenant,), said=said)
        _show_copies(session, found)
    behind = sum(one.behind for one in found)
    if behind:
        session.out.line(f"the source has {behind} newer records - copy again, or with --seal to end it", style="yellow")
    elif sealing:
        session.out.line("equal, and the source is sealed: let every program use the copy from now on", style="green")
    else:
        session.out.line("equal", style="green")
    return 1 if behind else 0


def _show_copies(session: Session, found: Sequence[Compared]) -> None:
    session.out.record(found)
    session.out.table(
        "Copied",
        ("tenant", "versions", "journals", "entries", "blobs", "size", "digest"),
        [(one.tenant, one.versions, one.journals, one.entries, one.blobs, _size(one.size), one.digest) for one in found],
        empty="the source holds nothing",
    )


@contextlib.contextmanager
def _opened(session: Session, named: str | None) -> Iterator[Project]:
    """The project that a configuration file or a profile describes; by default that of the command."""
    from mlops_core.project import Project

    if named is None:
        yield session.project
        return
    is_file = named.endswith(_FILES) or Path(named).is_dir()
    with Project.open(Path(named)) if is_file else Project.open(session.path, named) as opened:
        yield opened


def _check_apart(old: Stack, new: Stack) -> None:
    one, other = ((stack.root, use.use, use.options) if (use := stack.settings.registry) else None for stack in (old, new))
    if one == other:
        raise ConfigError("copy: source and target are the same registry - name another with --to, or with --from")


@command.command("gc")
@click.option("--grace", type=DURATION, default="1d", show_default=True, help="Leave what was used within this time.")
@click.option("--yes", is_flag=True, help="Really remove; without it, only a list.")
@click.option("--all-tenants", is_flag=True, help="Of every tenant, and what is nobody's.")
@project_options
def _gc(session: Session, grace: timedelta, yes: bool, all_tenants: bool) -> None:  # noqa: FBT001  as above
    """Remove what crashes left and nothing names. Without --yes it only says what that is."""
    from mlops_core.versioning import sweep

    stack = session.project.stack
    store, tenant = stack.parts.registry, None if all_tenants else stack.tenant
    found = sweep(store, grace, tenant=tenant, dry_run=True)
    gone = {(one.kind, one.location) for one in sweep(store, grace, tenant=tenant)} if yes else set()
    removed = [one for one in found if (one.kind, one.location) in gone]
    left = [one for one in found if (one.kind, one.location) not in gone]
    session.out.record({"dry_run": not yes, "removed": removed, "left": left})
    if not found:
        session.out.line(f"nothing is left over that is older than {_age(grace.total_seconds())}")
    elif not yes:
        _show_leftovers(session, "Left over", left)
        session.out.line(f"{len(left)} would go, {_size(sum(one.size for one in left))} - call again with --yes to remove them")
    else:
        _show_leftovers(session, "Removed", removed)
        if left:
            _show_leftovers(session, "Not removed", left)
            session.out.line("these are in use again, or only marked: a store that needs two steps removes them when asked again later")


def _show_leftovers(session: Session, title: str, leftovers: Sequence[Leftover]) -> None:
    rows = [(one.kind, one.location, _size(one.size), _age(one.age)) for one in leftovers]
    session.out.table(title, ("kind", "location", "size", "age"), rows, empty="none")


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def _size(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < _STEP:
            return f"{count:.4g} {unit}"
        count /= _STEP
    return f"{count:.4g} {_UNITS[-1]}"


@command.command("migrate")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@project_options
def _migrate(session: Session, dry_run: bool) -> None:  # noqa: FBT001  as above
    """Bring a store of an earlier release to this one."""
    steps = list(session.project.stack.parts.registry.migrate(dry_run=dry_run))
    session.out.record({"dry_run": dry_run, "steps": steps})
    for step in steps:
        session.out.line(step)
    if not steps:
        session.out.line("nothing to do")
    elif dry_run:
        session.out.line("nothing was changed - call again without --dry-run")


@command.command("keygen")
@click.argument("file", type=click.Path(path_type=Path), metavar="PATH")
@project_options
def _keygen(session: Session, file: Path) -> None:
    """Write a new pair of keys that sign versions: the private one to PATH, the public one to PATH.pub. Nothing is overwritten."""
    from mlops_core.stack.keys import write_pair

    public = write_pair(file)
    session.out.record({"private": str(file), "public": f"{file}.pub", "key_id": public.key_id})
    session.out.line(f"key {public.key_id}: {file} signs and is a secret, {file}.pub is for those who verify")
    session.out.line(f'to sign: registry: {{sign: {{key: "${{file:{file}}}"}}}}')


@command.command("unseal")
@project_options
def _unseal(session: Session) -> None:
    """Let a store that `copy --seal` has sealed take writes again. What is written then is in no copy."""
    from mlops_core.versioning import unseal

    opened = unseal(session.project.stack.parts.registry)
    session.out.record({"unsealed": opened})
    session.out.line("the registry takes writes again" if opened else "the registry was not sealed")
