"""A command with subcommands, of which one is the usual one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DefaultGroup"]


class DefaultGroup(click.Group):
    """A group that calls its subcommand ``default`` where none is named: ``mlops models --json`` is ``mlops models list --json``."""

    def __init__(self, *args: Any, default: str = "list", **options: Any) -> None:
        super().__init__(*args, **options)
        self.default = default

    def parse_args(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        """Put the default in front of options, and in place of nothing."""
        given = list(args)
        if not given or (given[0].startswith("-") and given[0] not in ctx.help_option_names):
            given.insert(0, self.default)
        return super().parse_args(ctx, given)
