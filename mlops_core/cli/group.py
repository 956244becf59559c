"""A command with subcommands, of which one is the usual one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DefaultGroup"]


class DefaultGroup(click.Group):
    """A group that calls its subcommand ``default`` where none is named: ``mlops models --json`` is ``mlops models list --json``.

    Args:
        default: The subcommand's name.
        any_word: A word that names no subcommand is the default's first argument, and no mistake.
    """

    def __init__(self, *args: Any, default: str = "list", any_word: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.default = default
        self.any_word = any_word

    def parse_args(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        """Put the default in front of options, in place of nothing and, where that is wanted, in front of any word."""
        given = list(args)
        if not given or self._is_of_default(given[0], ctx):
            given.insert(0, self.default)
        return super().parse_args(ctx, given)

    def _is_of_default(self, word: str, ctx: click.Context) -> bool:
        if word.startswith("-"):
            return word not in ctx.help_option_names
        return self.any_word and word not in self.list_commands(ctx)
