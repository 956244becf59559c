"""``mlops plugins``: what is installed, and what a plugin takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlops_core.cli.output import Output
from mlops_core.exceptions import ConfigError, MLOpsError

__all__ = ["command"]

_JSON = click.option("--json", "as_json", is_flag=True, help="Print records as JSON.")


@click.group("plugins", invoke_without_command=True)
@click.option("--load", is_flag=True, help="Import each; a broken one is one line with its distribution and cause.")
@_JSON
@click.pass_context
def command(context: click.Context, load: bool, as_json: bool) -> int:  # noqa: FBT001  click passes flags so
    """Installed plugins, from metadata alone: nothing is imported."""
    if context.invoked_subcommand is not None:
        return 0
    from mlops_core.plugins import Catalogue

    out = Output(as_json=as_json)
    found = list(Catalogue())
    problems = _load_each(found) if load else {}
    out.record([{**one.to_dict(), **({"problem": problems.get(one.plugin)} if load else {})} for one in found])
    columns = ("plugin", "distribution", "version", *(("loads",) if load else ()))
    rows = [(one.plugin, one.distribution, one.version, *(("no" if one.plugin in problems else "yes",) if load else ())) for one in found]
    out.table("Plugins", columns, rows, empty="none is installed - run: pip install 'motadata-mlops-core[quickstart]'")
    for problem in problems.values():
        out.line(problem, style="red")
    return 1 if problems else 0


def _load_each(found: list[Any]) -> dict[str, str]:
    from mlops_core.plugins import Loader

    loader, problems = Loader(Path.cwd()), {}
    for one in found:
        try:
            loader.load(one.role, one.name)
        except MLOpsError as error:
            problems[one.plugin] = error.message
    return problems


@command.command("show")
@click.argument("plugin")
@_JSON
def _show(plugin: str, as_json: bool) -> None:  # noqa: FBT001  as above
    """What PLUGIN does and its options, such as `mlops plugins show drift.ks`."""
    from mlops_core.plugins import GROUPS, Loader
    from mlops_core.plugins.options import describe

    role, _, name = plugin.partition(".")
    if not name or role not in GROUPS:
        raise ConfigError(f"plugins: {plugin!r} is not written ROLE.NAME - such as drift.ks; `mlops plugins` lists them")
    described = describe(Loader(Path.cwd()).load(role, name))
    out = Output(as_json=as_json)
    out.record(described)
    out.line(f"{plugin} ({described.source}): {described.summary}", wrap=True)
    if described.capabilities:
        out.line(f"capabilities: {', '.join(described.capabilities)}")
    rows = [(one.name, one.type, "required" if one.default is None else one.default, one.help) for one in described.options]
    out.table("Options", ("option", "type", "default", "help"), rows, empty="it takes none")
